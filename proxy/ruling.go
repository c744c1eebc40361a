package proxy

import (
	"net/http"

	"gatehouse/access"
	"gatehouse/internal/urlpath"
	"gatehouse/internal/web"
)

// A ruling is what the rules say about one interpretation of a path, or about all
// of them together. The zero value denies.
type ruling struct {
	Outcome access.Decision
	Rule    int // the rule that decided, in the access section of by; -1: none

	route    *route // the route that takes the path; nil: none does
	by       *route // whose rule decided: route, or a stricter one whose path differs only in letter case or an extension
	named    bool   // the rule that decided names a path
	byMethod bool   // a rule that was evaluated depends on the method
	as       string // the method that the query or a form names, where that decided; "": the request's own
}

// decide finds the route of one interpretation and applies its rules. If a longer
// route differs only in letter case or an extension, the stricter of both decides,
// because the application may ignore the difference.
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

// A decisionInput is a request as the rules see it. A path of plain characters has
// one interpretation; any other has all those that an upstream might make of it.
type decisionInput struct {
	routes   *hostRoutes // nil: nothing was read
	facts    access.Facts
	path     string
	query    string                   // with its question mark
	readings *urlpath.Interpretations // nil: path is the only one

	who access.Who // whom Decision.identify asks for; here, it costs no allocation
}

// read sets q to the input for a target on a host with these routes. It refuses a
// path that an upstream or a browser could take for one of the gate's own pages,
// and one with too many interpretations; q is zero then.
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

// decide returns the ruling for who (nil: nobody) on which all interpretations
// agree. If they lead to different routes or decisions it returns a 400, because
// the request might reach something that no rule allows. If no route takes the path
// it returns a 404.
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

// agree returns the ruling on which all interpretations agree, for the method of
// the request alone. Interpretations that are DenyOnly may only make it fail.
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

// closer reports whether v, the ruling for a less likely interpretation,
// contradicts the common ruling all: a more specific route takes it, or a rule that
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

// checkStripped returns an error if what strip_prefix leaves of the path has an
// interpretation with a stricter ruling. The upstream sees only the rest, in which
// slashes or dots from the middle of the path come first.
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

// rule returns the ruling for one interpretation.
func (q *decisionInput) rule(path string, who *access.Who) ruling {
	f := q.facts
	f.Path = path
	return q.routes.decide(f, who)
}
