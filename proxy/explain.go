package proxy

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"net/url"
	"strings"

	"gatehouse/access"
	"gatehouse/auth"
	"gatehouse/internal/httpfield"
	"gatehouse/internal/urlpath"
	"gatehouse/internal/web"
)

// An ExplainRequest describes a hypothetical request for Explain.
type ExplainRequest struct {
	Method string      // the request method; "": GET
	URL    string      // an absolute URL, or a path on https://localhost, for which there are usually only routes without a host
	Client netip.Addr  // the client's address; zero: unknown, so that no rule with networks matches
	Who    *access.Who // the person; nil: nobody is signed in
}

// An Explanation names the route and the rule that decide about a request, and what
// the rules say about each interpretation of its path.
type Explanation struct {
	Decision string    `json:"decision"` // allow, optional, public, challenge, deny, ambiguous, own-page, no-route or bad-request
	Why      string    `json:"why"`
	Route    string    `json:"route,omitempty"`
	Rule     int       `json:"rule"`           // index in the access section of the route, from 0; -1: no rule decides
	Asks     string    `json:"asks,omitempty"` // what that rule requires
	Has      string    `json:"has,omitempty"`  // the name and groups of the person
	Line     string    `json:"line,omitempty"` // FILE:LINE of the rule, or of the route if no rule decides; "": not from a file. Set by the caller.
	Readings []Reading `json:"readings,omitempty"`

	routeAt int // index in the configuration; -1: no route decides
}

// A Reading is one interpretation that an upstream may make of a path, and what the
// rules say about it.
type Reading struct {
	Path     string `json:"path"`
	How      string `json:"how"` // such as "decoded, slashes merged"
	Route    string `json:"route"`
	Rule     int    `json:"rule"`
	Decision string `json:"decision"`
}

// RouteAt returns the index in the configuration, from 0, of the route whose rule
// decides; -1 if no route takes the request. It may differ from Route, which takes
// the path: of two routes that differ only in letter case, the stricter decides.
func (e *Explanation) RouteAt() int { return e.routeAt }

// Explain explains what Decide says about a request. It uses the same code; only
// the identity comes from q.Who instead of a session. It forwards nothing, looks up
// no session and writes no audit event. A q that is malformed is explained as
// bad-request.
func (p *Proxy) Explain(ctx context.Context, q ExplainRequest) Explanation {
	in, err := decodeRequest(ctx, q)
	if err != nil {
		return explainError(err)
	}
	var input decisionInput
	d, err := p.decide(in, &input, func(*http.Request) (*auth.Identity, error) { return identityOf(q.Who), nil })
	e := Explanation{Rule: -1, routeAt: -1}
	switch {
	case err != nil:
		e = explainError(err)
	case d.OwnPage && p.table.isLogin(in.host):
		e.Decision, e.Why = "own-page", "the host is login.host, which has our own pages and no application"
	case d.OwnPage:
		e.Decision, e.Why = "own-page", "our own pages are on every host, and need no route"
	default:
		e.Decision, e.Route, e.Rule, e.Why = d.Outcome.String(), d.Route(), d.Rule, why(d.ruling, q.Who)
		e.Asks, e.Has, e.routeAt = d.by.rules.Asks(d.Rule), has(q.Who), d.by.at
		if d.as != "" {
			e.Why = "judged as " + d.as + ", which the query names: " + e.Why
		}
	}
	if input.routes != nil {
		e.Readings = input.explain(q.Who)
	}
	return e
}

// identityOf returns an identity with the name and groups of who; nil for nil.
func identityOf(who *access.Who) *auth.Identity {
	if who == nil {
		return nil
	}
	return &auth.Identity{Name: who.Name, Groups: who.Groups}
}

// decodeRequest builds the request that q describes. An error means that q.URL is
// malformed. A path alone is for https://localhost.
func decodeRequest(ctx context.Context, q ExplainRequest) (*incoming, error) {
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
		target = target[:i] // browsers do not send it
	}
	r := &http.Request{Method: q.Method, RequestURI: target, Host: info.Host, URL: &url.URL{}, ProtoMajor: 1, ProtoMinor: 1}
	return &incoming{in: r.WithContext(ctx), info: info}, nil
}

// explain returns what the rules say about each interpretation by itself, followed
// by the less likely ones (Interpretations.Named) that a rule or a route names, at
// most maxNamed of them.
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

// maxNamed bounds the list for paths with many segments.
const maxNamed = 20

// describe returns the Reading for one interpretation of the path.
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

// has describes who as rules see them: a name and groups.
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

// explainError explains the error of a decision. No rule decides then.
func explainError(err error) Explanation {
	e := Explanation{Decision: "bad-request", Rule: -1, routeAt: -1, Why: err.Error()}
	switch web.AsError(err).Code {
	case http.StatusForbidden:
		e.Decision = "deny"
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

// why returns the reason for a ruling as a sentence to read.
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
