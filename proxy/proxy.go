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

	"gatehouse/access"
	"gatehouse/auth"
	"gatehouse/internal/audit"
	"gatehouse/internal/httpfield"
	"gatehouse/internal/metrics"
	"gatehouse/internal/problem"
	"gatehouse/internal/urlpath"
	"gatehouse/internal/web"
	"gatehouse/proxy/engine"
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
	auth    Authenticator
	audit   *audit.Log
	metrics *metrics.Metrics
	log     *slog.Logger
	live    *ActiveRequests

	activity    activity
	sessionData SessionData
	anonymous   anonymousLimit

	table   table
	routes  []*route
	names   *policyTable
	cookies cookies
	via     via

	exchanges sync.Pool // of *passage, see release

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
		auth: o.Auth, audit: o.Audit, metrics: o.Metrics, log: o.Log, live: o.Live,
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
	p.names = newNames(configured)
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

// ServeHTTP takes a request from the routing to the end of the answer. It
// returns an error while nothing has been written; once an answer has begun, a
// failure panics with http.ErrAbortHandler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) error {
	s := p.newExchange(r)
	err := s.serve(w)
	if err == nil {
		s.release()
		return nil
	}
	s.noteRefused(err)
	return err
}

func (s *exchange) serve(w http.ResponseWriter) error {
	p, r := s.p, s.in
	armBodyDeadline(w, r, p.unreadTime)
	if err := s.checkLoop(); err != nil {
		return err
	}
	hr, err := s.open()
	if err != nil {
		return err
	}
	if ownPath(s.t.path) && urlpath.Plain(s.t.path) {
		web.AnswerWithin(w)
		return p.auth.ServeHTTP(w, r)
	}
	q := &s.question
	if err := q.read(hr, s.t.path, access.Facts{Method: r.Method, Client: s.info.Client}); err != nil {
		return err
	}
	q.query = s.t.query
	v, err := q.decide(nil)
	if err != nil {
		return err
	}
	s.route = v.route
	s.info.Route = v.route.label
	if err := s.refuseWorker(); err != nil {
		return err
	}
	if v.Outcome != access.Public {
		if v, err = s.identify(q, v); err != nil {
			web.AddVary(w.Header(), "Cookie")
			return err
		}
	}
	if v.Outcome >= access.Allow {
		if err := s.judgeDestination(hr, v); err != nil {
			return err
		}
	}
	return s.act(w, v)
}

// open refuses what no rule needs to be asked about, and finds the routes of
// the host.
func (s *exchange) open() (*hostRoutes, error) {
	if err := checkMethod(s.in.Method); err != nil {
		return nil, err
	}
	var err error
	if s.t, err = readTarget(s.in); err != nil {
		return nil, err
	}
	if s.info.Host == "" && !s.in.ProtoAtLeast(1, 1) {
		s.info.Host = s.p.hostOfOld(s.in)
	}
	if s.host, err = httpfield.ParseHost(s.info.Host, s.info.Scheme); err != nil {
		return nil, web.Refuse(http.StatusBadRequest, "")
	}
	s.info.Host = s.host.Text
	hr := s.p.table.find(s.host)
	if hr == nil {
		return nil, misdirected(errors.New("no route has this host"))
	}
	if s.t.authority != "" {
		// net/http has replaced the Host header by the authority. Such
		// requests are meant for proxies: where any host would do, we must not
		// look like one.
		h, err := httpfield.ParseHost(s.t.authority, s.info.Scheme)
		if err != nil {
			return nil, web.Refuse(http.StatusBadRequest, "")
		}
		if h.Name != s.host.Name || h.Port != s.host.Port || !s.p.table.known(h) {
			return nil, misdirected(errors.New("the target names a host as requests to a proxy do, which is not the Host or not one of the routes"))
		}
	}
	return hr, nil
}

func misdirected(why error) error { return web.Refuse(http.StatusMisdirectedRequest, "").Because(why) }

// checkMethod refuses what would open a tunnel or send a request back as it
// came, on every protocol, and what readers might take for another method: one
// that is not in capitals.
func checkMethod(m string) error {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return nil
	case http.MethodConnect, http.MethodTrace, "TRACK", "":
		return notAllowed()
	}
	if !httpfield.IsMethod(m) {
		return notAllowed()
	}
	return nil
}

func notAllowed() error {
	e := web.Refuse(http.StatusMethodNotAllowed, "")
	e.Header = http.Header{"Allow": {"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"}}
	return e
}

// identify finds out who asks, and judges again with that; what is decided of
// nobody is known already.
func (s *exchange) identify(q *decisionInput, nobody ruling) (ruling, error) {
	s.asked = true
	id, err := s.p.auth.Identify(s.in)
	if err != nil {
		return ruling{}, web.Fail(http.StatusServiceUnavailable, "", fmt.Errorf("identify: %w", err))
	}
	if id == nil {
		return nobody, nil
	}
	s.id = id
	s.info.User, s.info.Session = id.Name, id.Session.Handle
	return q.decide(s.who())
}

// who is the identity, as far as rules care; nil: nobody was looked up.
func (s *exchange) who() *access.Who {
	if s.id == nil {
		return nil
	}
	return &access.Who{Name: s.id.Name, Groups: s.id.Groups}
}

// act does what was decided.
func (s *exchange) act(w http.ResponseWriter, v ruling) error {
	switch v.Outcome {
	case access.Public:
		s.id = nil
	case access.Optional:
		s.use()
	case access.Allow:
		if s.id == nil {
			return web.Fail(http.StatusInternalServerError, "", errors.New("allowed, but nobody is signed in"))
		}
		s.use()
	case access.Challenge:
		defer web.Linger(w, s.in, s.p.unreadTime)()
		web.AnswerWithin(w)
		web.AddVary(w.Header(), "Cookie")
		return s.p.auth.Challenge(w, s.in)
	default:
		web.AddVary(w.Header(), "Cookie")
		return s.deny(v)
	}
	s.byMethod = v.byMethod
	if err := s.watchForm(v); err != nil {
		return err
	}
	return s.forward(w)
}

// use records that the person did something, if somebody is signed in and the
// request counts as that.
func (s *exchange) use() {
	if s.active = s.id != nil && s.p.activity.counts(&s.question, s.in); s.active {
		s.p.auth.RecordActivity(s.id)
	}
}

func (s *exchange) deny(v ruling) error {
	s.p.audit.Event(s.in.Context(), audit.AccessDenied,
		slog.String("request_id", s.info.ID),
		slog.String("user", s.info.User),
		slog.String("client", s.info.Client.String()),
		slog.String("method", s.in.Method),
		slog.String("route", v.route.label),
		slog.Int("rule", v.Rule),
	)
	if s.id == nil {
		return web.Refuse(http.StatusForbidden, "This page may not be seen.")
	}
	return web.Refuse(http.StatusForbidden, "")
}

// forward sends the request upstream and the answer back.
func (s *exchange) forward(w http.ResponseWriter) error {
	if !s.route.limiter.acquire() {
		return s.busy(w)
	}
	defer s.route.limiter.release()
	s.meter(w)
	s.p.live.add(s)
	defer s.p.live.remove(s)
	r, err := s.request()
	if err != nil {
		return err
	}
	s.info.LetThrough()
	clearBodyDeadline(w, s.in)
	to, err := s.bufferBody(w, r)
	if err == nil {
		err = s.route.upstream.Forward(to, r)
	}
	switch {
	case err == nil:
		_, s.spent = s.route.upstream.(*engine.HTTP1)
		return nil
	case s.form != nil && s.form.refusal != nil:
		return s.refuseForm(w)
	case s.breaker.Broken(): // the session ended while nothing was answered
		web.AddVary(w.Header(), "Cookie")
		return s.p.auth.Challenge(w, s.in)
	default:
		return s.failed(w, err)
	}
}

// switched counts the connections that were handed over to another protocol.
func (s *exchange) switched() (ended func()) {
	s.p.metrics.LiveStreams(1)
	return func() { s.p.metrics.LiveStreams(-1) }
}
