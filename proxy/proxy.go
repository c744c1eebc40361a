// Package proxy forwards a request from the listener to an upstream and the answer
// back. It finds the route for the request, decides whether the person may make it,
// and filters what is passed on in both directions.
//
//	ServeHTTP (serve.go)    one request, from decision to answer
//	Decide (decide.go)      route, rules and identity; forwards nothing
//	filters (filters.go)    what happens to requests and answers, in order
//	proxy/engine            the connection to the upstream
//
// Most of the package guards against one kind of mistake: two programs that
// interpret the same bytes differently. The rules are applied to every
// interpretation that an upstream could make of a path. A header that only the gate
// may send is dropped in every spelling that an application could take for it. The
// bytes that are forwarded are the bytes that were checked.
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
	"gatehouse/internal/httpfield"
	"gatehouse/internal/metrics"
	"gatehouse/internal/problem"
	"gatehouse/sessions"
)

// An Authenticator identifies the person behind a request. *auth.Auth implements
// it. Its methods may be called concurrently.
type Authenticator interface {
	// Identify returns the identity of the person who makes the request, or (nil,
	// nil) if nobody is signed in. An error means that the identity could not be
	// determined: the request is answered with 503. It never passes, and is never
	// treated as anonymous.
	Identify(r *http.Request) (*auth.Identity, error)
	// RecordActivity records that the session was used, which restarts its idle
	// time. It does nothing if id is nil or has no session. It must not block on
	// the store.
	RecordActivity(id *auth.Identity)
	// Refresh adds a new session cookie to the answer header h if the cookie of the
	// session was signed with an old secret (Session.StaleSignature).
	Refresh(r *http.Request, id *auth.Identity, h http.Header)
}

// Pages are the gate's own pages. *portal.Portal implements it.
type Pages interface {
	// ServeHTTP serves the paths below auth.Prefix, and every path of the login host,
	// where paths are not checked before. If it returns an error it has written
	// nothing, and its caller answers.
	ServeHTTP(w http.ResponseWriter, r *http.Request) error
	// Challenge answers a request that lacks what need names, usually with a
	// redirect to the sign-in page.
	Challenge(w http.ResponseWriter, r *http.Request, need auth.Need) error
	// CookieNames returns the names of the gate's own cookies. They are forwarded
	// neither to an upstream nor from one.
	CookieNames() []string
}

// Options configure a Proxy. Auth and Pages are required.
type Options struct {
	// Routes are checked again by New. The slice is not modified.
	Routes []RouteConfig

	// Identity sets the identity headers of routes that have no identity section of
	// their own.
	Identity IdentityConfig

	Auth Authenticator // required
	// Pages serve the paths below auth.Prefix, and all of LoginHost. Required.
	Pages Pages
	// LoginHost is the host whose every path is for Pages, whatever its port and
	// whatever routes match it: a name as httpfield.Host.Name has it. "": none.
	LoginHost string

	Audit   *audit.Log       // nil: no audit
	Metrics *metrics.Metrics // nil: nothing is counted
	Log     *slog.Logger     // nil: nothing is logged

	// Live indexes the requests that are being forwarded, so that they can be cut
	// when their session ends. nil: requests outlive their session.
	Live *ActiveRequests

	// Activity configures which requests count as a use of the session and restart
	// its idle time.
	Activity sessions.ActivityConfig

	// SessionData stores the values that applications keep in sessions. Required if
	// a route sets session_data.
	SessionData SessionData

	// Pseudonym is the gate's name in Via, by which it recognizes a request that it
	// forwarded itself. Keep it the same for the life of the process: see
	// NewPseudonym. "": a random one.
	Pseudonym string
}

// A Proxy routes, authorizes and forwards the requests of one configuration. It is
// immutable: a new configuration needs a new Proxy. Safe for concurrent use.
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

// New returns a Proxy for o. It checks the routes and reads the files that they
// name; an error names the route. It opens no connection: upstreams are connected
// on the first request, and health checks start at once. Close the Proxy when it
// has been replaced.
func New(o Options) (*Proxy, error) {
	if o.Auth == nil || o.Pages == nil {
		return nil, errors.New("proxy: no Auth or no Pages")
	}
	if h, err := httpfield.ParseHost(o.LoginHost, ""); o.LoginHost != "" && (err != nil || h.Name != o.LoginHost) {
		return nil, fmt.Errorf("proxy: LoginHost %q is not a name in lower case", o.LoginHost)
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	p := &Proxy{
		auth: o.Auth, pages: o.Pages, identify: o.Auth.Identify, audit: o.Audit, metrics: o.Metrics, log: o.Log, live: o.Live,
		activity: newActivity(o.Activity), sessionData: o.SessionData, anonymous: newAnonymousLimit(),
		cookies:    cookies{names: slices.Clone(o.Pages.CookieNames())},
		via:        newVia(o.Pseudonym),
		table:      routeTable{login: o.LoginHost},
		unreadTime: unreadTime,
	}
	if err := p.cookies.addSticky(o.Routes); err != nil {
		return nil, err
	}
	configured := o.Identity.names()
	for i := range o.Routes {
		c := o.Routes[i] // a copy, which newRoute modifies
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

// Close closes idle upstream connections and stops health checks. Requests in
// flight are not interrupted.
func (p *Proxy) Close() {
	for _, r := range p.routes {
		r.upstream.Close()
	}
}
