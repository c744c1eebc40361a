// Package proxy is the way of a request from the listener to an upstream and
// back: which route takes it, whether the one who asks may make it, what of it
// is sent on, and what of the answer is.
//
// The whole of the package is about one kind of mistake: two readers of the
// same bytes who disagree. A path is judged in every reading that an upstream
// could make of it; a header is dropped in every spelling that somebody could
// take for one that only we may send; and what is forwarded is what was
// judged, byte for byte.
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

// A Authenticator says who asks and serves our own pages: *auth.Auth is one.
type Authenticator interface {
	// Identify gives an identity, nobody (nil, nil), or an error when it
	// could not tell, which becomes a 503 and never a pass.
	Identify(r *http.Request) (*auth.Identity, error)
	// Active records that the person did something.
	RecordActivity(id *auth.Identity)
	// Refresh puts a new cookie into an answer where the session needs one.
	Refresh(r *http.Request, id *auth.Identity, h http.Header)
	// Challenge answers a request that needs a login.
	Challenge(w http.ResponseWriter, r *http.Request) error
	// ServeHTTP serves what lies under auth.Prefix.
	ServeHTTP(w http.ResponseWriter, r *http.Request) error
	// CookieNames are those that pass neither to an upstream nor from one.
	CookieNames() []string
}

// Options are what a Proxy is made of.
type Options struct {
	Routes   []RouteConfig
	Identity IdentityConfig   // for routes without their own
	Auth     Authenticator    // required
	Audit    *audit.Log       // nil: no audit
	Metrics  *metrics.Metrics // nil: nothing is counted
	Log      *slog.Logger     // nil: nothing is logged

	// Live knows what is forwarded for which session; nil: requests outlive
	// their session.
	Live *ActiveRequests

	Activity    sessions.ActivityConfig // which requests are told to Auth.Active
	SessionData SessionData             // for routes with session_data, which need it

	// Pseudonym is the gate's name in Via, by which it knows a request that
	// comes back to it: one for as long as the process lives, see
	// NewPseudonym. "": a new one.
	Pseudonym string
}

// A Proxy routes, judges and forwards requests. It belongs to one
// configuration. Safe for concurrent use.
type Proxy struct {
	auth     Authenticator
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

	unreadTime time.Duration // with bodies that nobody wants
}

// New builds the routes. Nothing is connected before the first request.
func New(o Options) (*Proxy, error) {
	if o.Auth == nil {
		return nil, errors.New("proxy: no Auth")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Proxy{
		auth: o.Auth, identify: o.Auth.Identify, audit: o.Audit, metrics: o.Metrics, log: o.Log, live: o.Live,
		activity: newActivity(o.Activity), sessionData: o.SessionData, anonymous: newAnonymousLimit(),
		cookies:    cookies{names: slices.Clone(o.Auth.CookieNames())},
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

// Close lets go of idle connections to upstreams. Requests under way end by
// themselves.
func (p *Proxy) Close() {
	for _, r := range p.routes {
		r.upstream.Close()
	}
}
