package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"gatehouse/access"
	"gatehouse/internal/httpfield"
	"gatehouse/internal/urlpath"
	"gatehouse/internal/web"
)

// A ExplainRequest is a request that nobody makes: for gatehouse explain.
type ExplainRequest struct {
	Method string // "": GET
	URL    string // absolute, or a path, which asks for a route without host
	Client netip.Addr
	Who    *access.Who // nil: not signed in
}

// An Explanation says which route and rule decide, and why, for each reading
// of the path.
type Explanation struct {
	Decision string    `json:"decision"` // allow | optional | public | challenge | deny | ambiguous | own-page | no-route | bad-request
	Why      string    `json:"why"`
	Route    string    `json:"route,omitempty"`
	Rule     int       `json:"rule"`           // from 0; -1: none
	Asks     string    `json:"asks,omitempty"` // what that rule asks for
	Has      string    `json:"has,omitempty"`  // what the person has of it
	Line     string    `json:"line,omitempty"` // FILE:LINE of the rule, of the route where none decides; "": not from a file
	Readings []Reading `json:"readings,omitempty"`

	routeAt int // its place in the configuration; -1: none decides
}

// A Reading is one way in which an upstream may read a path, and what is
// decided of it.
type Reading struct {
	Path     string `json:"path"`
	How      string `json:"how"` // such as "decoded, slashes merged"
	Route    string `json:"route"`
	Rule     int    `json:"rule"`
	Decision string `json:"decision"`
}

// Explain decides a question without forwarding anything. It goes the way of
// ServeHTTP, so that both say the same.
func (p *Proxy) Explain(ctx context.Context, q ExplainRequest) Explanation {
	s, err := p.imagine(ctx, q)
	if err != nil {
		return Explanation{Decision: "bad-request", Rule: -1, routeAt: -1, Why: err.Error()}
	}
	hr, err := s.open()
	if err != nil {
		return explainError(err)
	}
	if ownPath(s.t.path) && urlpath.Plain(s.t.path) {
		return Explanation{Decision: "own-page", Rule: -1, routeAt: -1, Why: "our own pages are on every host, and need no route"}
	}
	question, err := newDecisionInput(hr, s.t.path, access.Facts{Method: s.in.Method, Client: q.Client})
	if err != nil {
		return explainError(err)
	}
	question.query = s.t.query
	v, err := question.decide(nil)
	if err == nil && v.Outcome != access.Public {
		v, err = question.decide(q.Who)
	}
	e := Explanation{Rule: -1, routeAt: -1}
	if err != nil {
		e = explainError(err)
	} else {
		e.Decision, e.Route, e.Rule, e.Why = v.Outcome.String(), v.route.label, v.Rule, why(v, q.Who)
		e.Asks, e.Has, e.routeAt = v.by.rules.Asks(v.Rule), has(q.Who), v.by.at
		if v.as != "" {
			e.Why = "judged as " + v.as + ", which the query names: " + e.Why
		}
	}
	e.Readings = question.explain(q.Who)
	return e
}

// imagine makes the request that the question is about.
func (p *Proxy) imagine(ctx context.Context, q ExplainRequest) (*exchange, error) {
	if q.Method == "" {
		q.Method = http.MethodGet
	}
	info := &web.Info{Scheme: "https", Client: q.Client, Host: "localhost"}
	target := q.URL
	if !strings.HasPrefix(target, "/") {
		scheme, _, ok := strings.Cut(target, "://")
		if scheme = strings.ToLower(scheme); !ok || scheme != "http" && scheme != "https" {
			return nil, errors.New("write a path, or an address with http:// or https://")
		}
		rest, authority, ok := httpfield.CutAuthority(target)
		if !ok {
			return nil, errors.New("the address has no host")
		}
		authority, err := httpfield.ASCIIHost(authority)
		if err != nil {
			return nil, errors.New("the host of the address is none")
		}
		info.Scheme, info.Host, target = scheme, authority, rest
	}
	if i := strings.IndexByte(target, '#'); i >= 0 {
		target = target[:i] // browsers keep it for themselves
	}
	r := &http.Request{Method: q.Method, RequestURI: target, Host: info.Host, URL: &url.URL{}, ProtoMajor: 1, ProtoMinor: 1}
	return &exchange{p: p, in: r.WithContext(ctx), info: info}, nil
}

// explain judges each reading by itself, and those places that a rule or a
// route names among what somebody might end at.
func (q *decisionInput) explain(who *access.Who) []Reading {
	r := q.readings
	if r == nil {
		r, _ = urlpath.Interpret(q.path)
	}
	var out []Reading
	for i := range r.List {
		out = append(out, q.describe(r.List[i].Path, r.How(i), who))
	}
	seen := map[string]bool{}
	for place := range r.Named() {
		v := q.rule(place, who)
		if v.route == nil || !v.named && v.route.prefix == "" || seen[place] || len(seen) == maxNamed {
			continue
		}
		seen[place] = true
		out = append(out, q.describe(place, "what may be left of it", who))
	}
	return out
}

// maxNamed is how many of them are shown.
const maxNamed = 20

func (q *decisionInput) describe(path, how string, who *access.Who) Reading {
	v := q.rule(path, who)
	r := Reading{Path: path, How: how, Rule: v.Rule, Decision: v.Outcome.String()}
	if v.route == nil {
		r.Decision = "no-route"
	} else {
		r.Route = v.route.label
	}
	return r
}

// RouteAt returns the place of the route whose rule decides, in the
// configuration; -1: none does.
func (e *Explanation) RouteAt() int { return e.routeAt }

// has says who somebody is, as far as rules care.
func has(who *access.Who) string {
	switch {
	case who == nil:
		return "nobody is signed in"
	case len(who.Groups) == 0:
		return who.Name + ", in no group"
	default:
		return who.Name + ", in " + strings.Join(who.Groups, " and ")
	}
}

func explainError(err error) Explanation {
	e := Explanation{Decision: "bad-request", Rule: -1, routeAt: -1, Why: err.Error()}
	switch web.AsError(err).Code {
	case http.StatusMethodNotAllowed:
		e.Why = "the method never passes, whatever the rules say"
	case http.StatusMisdirectedRequest:
		e.Decision, e.Why = "no-route", "no route takes the host"
	case http.StatusNotFound:
		e.Decision, e.Why = "no-route", "no route of the host takes the path"
	case http.StatusBadRequest:
		e.Why = "the host or the path is malformed, or could be read as one of our own pages"
		if errors.Is(err, errAmbiguous) {
			e.Decision, e.Why = "ambiguous", "upstreams may read the path in several ways, which lead to different decisions"
		}
	}
	return e
}

func why(v ruling, who *access.Who) string {
	switch {
	case v.Rule < 0 && v.Outcome == access.Deny:
		return "no rule selects the request"
	case v.Rule < 0:
		return "the route has no rules, so that whoever is signed in may pass"
	}
	switch v.Outcome {
	case access.Public:
		return "the rule is public"
	case access.Optional:
		if who == nil {
			return "the rule is optional, and nobody is signed in"
		}
		return "the rule is optional, and the application is told of " + who.Name
	case access.Challenge:
		return "the rule asks who it is, and nobody is signed in"
	case access.Allow:
		return "the rule lets " + who.Name + " through"
	default:
		if who == nil {
			return "the rule denies"
		}
		return "the rule does not let " + who.Name + " through"
	}
}
