package proxy

import (
	"net/http"

	"gatehouse/access"
	"gatehouse/internal/urlpath"
	"gatehouse/internal/web"
)

// A decisionInput is a request as the rules see it: one path for a plain one, else
// all of its readings.
type decisionInput struct {
	host     *hostRoutes
	facts    access.Facts
	path     string
	query    string                   // with its question mark
	readings *urlpath.Interpretations // nil: path is the only one
}

// newDecisionInput refuses a path which some upstream, or some browser, could read
// as one of ours, and one with too many readings.
func newDecisionInput(hr *hostRoutes, path string, f access.Facts) (*decisionInput, error) {
	q := new(decisionInput)
	return q, q.read(hr, path, f)
}

// read makes it the question about a path.
func (q *decisionInput) read(hr *hostRoutes, path string, f access.Facts) error {
	*q = decisionInput{host: hr, facts: f, path: path}
	if urlpath.Plain(path) {
		if ownLike(path) {
			return refusePath(http.StatusNotFound, errOwnPath)
		}
		return nil
	}
	var ok bool
	if q.readings, ok = urlpath.Interpret(path); !ok {
		return refusePath(http.StatusBadRequest, errManyReadings)
	}
	if q.readings.MayBeBelow(ownPrefix) {
		return refusePath(http.StatusBadRequest, errOwnPath)
	}
	return nil
}

// decide says what all readings agree on for who. Where they lead to different
// routes or decisions, the request is refused: it might do to the upstream
// what nobody allowed. No route: 404.
func (q *decisionInput) decide(who *access.Who) (ruling, error) {
	v, err := q.agree(who)
	if err == nil {
		v, err = q.judgeAs(v, who)
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
	if err := q.stripped(all, who); err != nil {
		return ruling{}, err
	}
	return all, nil
}

// closer reports whether a place that somebody might end at is one that a rule
// or a route names, and that asks for more, or goes elsewhere, than what all
// other readings agree on.
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

// stripped looks at what the upstream of a route with strip_prefix reads: it
// sees the rest alone, where a slash or dots that stood in the middle stand in
// front.
func (q *decisionInput) stripped(all ruling, who *access.Who) error {
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

func (q *decisionInput) rule(path string, who *access.Who) ruling {
	f := q.facts
	f.Path = path
	return q.host.decide(f, who)
}
