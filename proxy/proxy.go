// Package proxy takes a request from the listener to an upstream, and the
// answer back. It finds the route that takes the request, decides whether the
// person may make it, and filters what is sent on in both directions.
//
//	ServeHTTP (serve.go)    the whole way, from top to bottom
//	Decide (decide.go)      route, rules and identity; nothing is forwarded
//	filters (filters.go)    what is done to requests and to answers, in order
//	proxy/engine            the connection to the upstream
//
// Most of the package guards against one kind of mistake: two readers of the
// same bytes that disagree. Every interpretation that an upstream could make of
// a path is checked against the rules. A header that only the gate may send is
// dropped in every spelling that somebody could take for it. What is forwarded
// is what was checked, byte for byte.
package proxy

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"gatehouse/auth"
	"gatehouse/internal/audit"
	"gatehouse/internal/metrics"
	"gatehouse/internal/problem"
	"gatehouse/sessions"
)

// An Authenticator tells who makes a request: *auth.Auth is one. Its methods are
// called for many requests at once.
type Authenticator interface {
	// Identify returns an identity, nobody (nil, nil), or an error when it
	// could not tell. An error is answered with 503; it never lets a request
	// pass, and never counts as nobody.
	Identify(r *http.Request) (*auth.Identity, error)
	// RecordActivity records a use of the session. The identity may be nil or
	// have none. It must not wait for the store.
	RecordActivity(id *auth.Identity)
	// Refresh adds a new session cookie to the header of an answer where the
	// session needs one (Session.StaleSignature).
	Refresh(r *http.Request, id *auth.Identity, h http.Header)
}

// Pages are our own pages: *portal.Portal is one.
type Pages interface {
	// ServeHTTP serves what lies under auth.Prefix.
	ServeHTTP(w http.ResponseWriter, r *http.Request) error
	// Challenge answers a request that lacks what need says.
	Challenge(w http.ResponseWriter, r *http.Request, need auth.Need) error
	// CookieNames returns the names of cookies that pass neither to an upstream
	// nor from one.
	CookieNames() []string
}

// Options are what a Proxy is made of.
type Options struct {
	// Routes take the requests. Each is checked again; the slice is not
	// changed.
	Routes []RouteConfig

	// Identity is what routes without a section identity tell their upstream.
	Identity IdentityConfig

	Auth Authenticator // required
	// Pages serve what lies below auth.Prefix. Required.
	Pages   Pages
	Audit   *audit.Log       // nil: no audit
	Metrics *metrics.Metrics // nil: nothing is counted
	Log     *slog.Logger     // nil: nothing is logged

	// Live holds the requests that are being forwarded, so that the end of a
	// session cuts them. nil: they outlive their session.
	Live *ActiveRequests

	// Activity says which requests are a use of the session, so that its idle
	// time begins again.
	Activity sessions.ActivityConfig

	// SessionData is where applications keep values. Routes with session_data
	// require it.
	SessionData SessionData

	// Pseudonym is the gate's name in Via, by which it recognizes a request
	// that comes back to it. It should stay the same while the process runs:
	// see NewPseudonym. "": a new one.
	Pseudonym string
}

// A Proxy routes, decides about and forwards the requests of one
// configuration. It does not change. Safe for concurrent use.
type Proxy struct {
	auth     Authenticator
	pages    Pages
	identify identifyFunc // auth.Identify, bound once
	audit    *audit.Log
	metrics  *metrics.Metrics
	log      *slog.Logger
	live     *ActiveRequests

	activity    activity
	sessionData SessionData
	anonymous   anonymousLimit

	table   routeTable
	routes  []*route
	names   *policyTable
	cookies cookies
	via     via

	exchanges sync.Pool // of *exchange, see release

	unreadTime time.Duration // see armBodyDeadline
}

// New returns a Proxy for routes that were checked; an error names the route.
// Files that a route names are read. Nothing is connected before the first
// request. Close the Proxy when another has taken its place.
func New(o Options) (*Proxy, error) {
	if o.Auth == nil || o.Pages == nil {
		return nil, errors.New("proxy: no Auth or no Pages")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Proxy{
		auth: o.Auth, pages: o.Pages, identify: o.Auth.Identify, audit: o.Audit, metrics: o.Metrics, log: o.Log, live: o.Live,
		activity: newActivity(o.Activity), sessionData: o.SessionData, anonymous: newAnonymousLimit(),
		cookies:    cookies{names: slices.Clone(o.Pages.CookieNames())},
		via:        newVia(o.Pseudonym),
		unreadTime: unreadTime,
	}
	if err := p.cookies.addSticky(o.Routes); err != nil {
		return nil, err
	}
	configured := o.Identity.names()
	for i := range o.Routes {
		c := o.Routes[i] // ours alone from now on
		if c.SessionData && o.SessionData == nil {
			p.Close()
			return nil, fmt.Errorf("routes[%d]: session_data: there is no SessionData", i)
		}
		r, err := newRoute(&c, o.Identity, o.Log)
		if err == nil {
			r.at = i
			p.routes = append(p.routes, r)
			err = p.table.add(r)
		}
		if err != nil {
			p.Close()
			return nil, fmt.Errorf("routes[%d]: %w", i, err)
		}
		configured = append(configured, c.Identity.names()...)
	}
	p.names = newPolicyTable(configured)
	for i, r := range p.routes {
		var found problem.List
		r.conf.CheckIdentity(configured, found.In(fmt.Sprintf("routes[%d]", i)))
		if err := found.Err(); err != nil {
			p.Close()
			return nil, err
		}
	}
	return p, nil
}

// Close closes idle connections to upstreams and ends health checks. Requests
// that are under way are not cut.
func (p *Proxy) Close() {
	for _, r := range p.routes {
		r.upstream.Close()
	}
}
