package proxy

import (
	"errors"
	"net/http"

	"gatehouse/access"
	"gatehouse/internal/web"
)

// A question is a request as the rules see it: one path for a plain one, else
// all of its readings.
type question struct {
	host     *hostRoutes
	facts    access.Facts
	path     string
	readings []reading // nil: path is the only one
}

// newQuestion refuses a path which some upstream, or some browser, could read
// as one of ours, and one with too many readings.
func newQuestion(hr *hostRoutes, path string, f access.Facts) (*question, error) {
	q := new(question)
	return q, q.ask(hr, path, f)
}

// ask makes it the question about a path.
func (q *question) ask(hr *hostRoutes, path string, f access.Facts) error {
	*q = question{host: hr, facts: f, path: path}
	if plainPath(path) {
		if ownLike(path) {
			return web.Refuse(http.StatusNotFound, "")
		}
		return nil
	}
	var ok bool
	if q.readings, ok = expand(path); !ok {
		return web.Refuse(http.StatusBadRequest, "")
	}
	for _, r := range q.readings {
		if ownLike(r.path) {
			return web.Refuse(http.StatusBadRequest, "")
		}
	}
	return nil
}

// judge says what all readings agree on for who. Where they lead to different
// routes or decisions, the request is refused: it might do to the upstream
// what nobody allowed. No route: 404.
func (q *question) judge(who *access.Who) (verdict, error) {
	v, err := q.agree(who)
	switch {
	case err != nil:
		return verdict{}, err
	case v.route == nil:
		return verdict{}, web.Refuse(http.StatusNotFound, "")
	default:
		return v, nil
	}
}

func (q *question) agree(who *access.Who) (verdict, error) {
	if q.readings == nil {
		return q.one(q.path, who), nil
	}
	all := q.one(q.readings[0].path, who)
	for _, r := range q.readings[1:] {
		v := q.one(r.path, who)
		if r.cautious && v.decision < all.decision || !r.cautious && (v.route != all.route || v.decision != all.decision) {
			return verdict{}, ambiguous()
		}
	}
	if err := q.stripped(all, who); err != nil {
		return verdict{}, err
	}
	return all, nil
}

// stripped looks at what the upstream of a route with strip_prefix reads: it
// sees the rest alone, where a slash or dots that stood in the middle stand in
// front.
func (q *question) stripped(all verdict, who *access.Who) error {
	if all.route == nil || !all.route.conf.StripPrefix || all.route.prefix == "" {
		return nil
	}
	rest, ok := all.route.strip(q.path)
	if !ok {
		return ambiguous()
	}
	list, ok := expand(rest)
	if !ok {
		return ambiguous()
	}
	for _, r := range list {
		if q.one(all.route.prefix+r.path, who).decision < all.decision {
			return ambiguous()
		}
	}
	return nil
}

func (q *question) one(path string, who *access.Who) verdict {
	f := q.facts
	f.Path = path
	return q.host.judge(f, who)
}

// errAmbiguous is what the log says of it.
var errAmbiguous = errors.New("the readings of the path lead to different decisions")

func ambiguous() error {
	return web.Fail(http.StatusBadRequest, "The address can be read in more than one way.", errAmbiguous)
}
