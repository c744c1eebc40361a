package proxy

import (
	"net/http"

	"gatehouse/access"
	"gatehouse/internal/urlpath"
	"gatehouse/internal/web"
)

// A ruling is what the rules say about one interpretation of a path, or what
// they say about all of them. The zero value denies.
type ruling struct {
	Outcome access.Decision
	Rule    int // the rule that decided, in the access section of by; -1: none

	route    *route // that takes the path; nil: none does
	by       *route // whose rule decided: route, or a stricter one whose path differs only in letter case or an extension
	named    bool   // the rule names a path
	byMethod bool   // a rule that was asked looks at the method
	as       string // the method that the query or a form names, where that decided; "": the request's own
}

// decide routes one interpretation of a path and asks the rules. An application
// that ignores letter case must not be reached past a route that is spelled
// differently, so the stricter of both decides.
func (hr *hostRoutes) decide(f access.Facts, who *access.Who) ruling {
	r := hr.find(f.Path)
	if r == nil {
		return ruling{Rule: -1}
	}
	v := ruling{route: r, by: r, byMethod: r.rules.ByMethod()}
	v.Outcome, v.Rule = r.rules.Decide(f, who)
	v.named = r.rules.HasPath(v.Rule)
	if near := hr.nearly(f.Path, r); near != nil {
		v.byMethod = v.byMethod || near.rules.ByMethod()
		if d, rule := near.rules.Decide(f, who); d < v.Outcome {
			v.Outcome, v.Rule, v.named, v.by = d, rule, true, near
		}
	}
	return v
}

// A decisionInput is a request as the rules see it. A path of plain characters
// has one interpretation; any other has all that an upstream might make of it.
type decisionInput struct {
	routes   *hostRoutes // nil: nothing was read
	facts    access.Facts
	path     string
	query    string                   // with its question mark
	readings *urlpath.Interpretations // nil: path is the only one

	who access.Who // whom Decision.identify asks for; here, it costs no allocation
}

// read makes q the input for a target on a host with these routes. It refuses
// a path that an upstream, or a browser, could take for one of the gate's own
// pages, and one with too many interpretations; q is zero then.
func (q *decisionInput) read(routes *hostRoutes, t *target, f access.Facts) error {
	*q = decisionInput{}
	var readings *urlpath.Interpretations
	if urlpath.Plain(t.path) {
		if ownLike(t.path) {
			return refusePath(http.StatusNotFound, errOwnPath)
		}
	} else {
		var ok bool
		if readings, ok = urlpath.Interpret(t.path); !ok {
			return refusePath(http.StatusBadRequest, errManyReadings)
		}
		if readings.MayBeBelow(ownPrefix) {
			return refusePath(http.StatusBadRequest, errOwnPath)
		}
	}
	q.routes, q.facts, q.path, q.query, q.readings = routes, f, t.path, t.query, readings
	return nil
}

// decide returns what the rules say for who, which all interpretations agree
// on. It is an error if they lead to different routes or decisions (400): the
// request might do to the upstream what no rule allows. It is one as well if no
// route takes the path (404).
func (q *decisionInput) decide(who *access.Who) (ruling, error) {
	v, err := q.agree(who)
	if err == nil {
		v, err = q.overrideMethod(v, who)
	}
	switch {
	case err != nil:
		return ruling{}, err
	case v.route == nil:
		return ruling{}, web.Refuse(http.StatusNotFound, "")
	default:
		return v, nil
	}
}

// agree returns what all interpretations agree on.
func (q *decisionInput) agree(who *access.Who) (ruling, error) {
	if q.readings == nil {
		return q.rule(q.path, who), nil
	}
	list := q.readings.List
	all := q.rule(list[0].Path, who)
	for i := range list[1:] {
		r := &list[i+1]
		v := q.rule(r.Path, who)
		if v.route != all.route || v.Outcome < all.Outcome || !r.DenyOnly && v.Outcome != all.Outcome {
			return ruling{}, ambiguous()
		}
		all.byMethod = all.byMethod || v.byMethod
	}
	for place := range q.readings.Named() {
		if closer(q.rule(place, who), all) {
			return ruling{}, ambiguous()
		}
	}
	if err := q.checkStripped(all, who); err != nil {
		return ruling{}, err
	}
	return all, nil
}

// closer reports whether v, for a place that the path may end at, contradicts
// what the interpretations agree on: a closer route takes it, or a rule that
// names a path is stricter.
func closer(v, all ruling) bool {
	switch {
	case v.route == nil:
		return false
	case v.route != all.route && v.route.prefix != "":
		return true
	default:
		return v.named && v.Outcome < all.Outcome
	}
}

// checkStripped returns an error if what is left of the path after strip_prefix
// can be read as something stricter. The upstream sees the rest alone, where
// slashes or dots from the middle of the path stand in front.
func (q *decisionInput) checkStripped(all ruling, who *access.Who) error {
	if all.route == nil || !all.route.conf.StripPrefix || all.route.prefix == "" {
		return nil
	}
	rest, ok := all.route.strip(q.path)
	if !ok {
		return ambiguous()
	}
	readings, ok := urlpath.Interpret(rest)
	if !ok {
		return ambiguous()
	}
	for i := range readings.List {
		if q.rule(all.route.prefix+readings.List[i].Path, who).Outcome < all.Outcome {
			return ambiguous()
		}
	}
	for place := range readings.Named() {
		if v := q.rule(all.route.prefix+place, who); v.route == all.route && closer(v, all) {
			return ambiguous()
		}
	}
	return nil
}

// rule returns what the rules say about one interpretation.
func (q *decisionInput) rule(path string, who *access.Who) ruling {
	f := q.facts
	f.Path = path
	return q.routes.decide(f, who)
}
