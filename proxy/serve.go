package proxy

import (
	"errors"
	"log/slog"
	"net/http"

	"gatehouse/access"
	"gatehouse/auth"
	"gatehouse/internal/audit"
	"gatehouse/internal/web"
	"gatehouse/proxy/engine"
)

// ServeHTTP decides about a request and answers it: with one of the gate's own
// pages, with the upstream's answer, or with a challenge to sign in. Safe for
// concurrent use.
//
// If it refuses the request or cannot answer it, it returns an error and has
// written nothing; the caller must answer (web.AsError has the status). If an
// answer fails after it has begun, it panics with http.ErrAbortHandler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) error {
	s := p.newExchange(r)
	if err := s.serve(w); err != nil {
		s.vary(w.Header())
		p.noteRefused(&s.incoming, err)
		return err
	}
	s.release()
	return nil
}

// serve does the work of ServeHTTP.
func (s *exchange) serve(w http.ResponseWriter) error {
	armBodyDeadline(w, s.in, s.p.unreadTime)
	if err := s.p.via.checkLoop(s.in); err != nil {
		return err
	}
	d, err := s.p.decide(&s.incoming, &s.input, s.p.identify)
	s.note(&d)
	switch {
	case err != nil:
		return err
	case d.OwnPage:
		web.AnswerWithin(w)
		return s.p.pages.ServeHTTP(w, s.in)
	case d.Outcome < access.Allow:
		return s.turnAway(w, &d)
	}
	err = s.forward(w, &d)
	if revised, ok := errors.AsType[*revisionError](err); ok {
		s.note(&revised.Decision)
		return s.turnAway(w, &revised.Decision)
	}
	return err
}

// note records a decision in the exchange, and what the access log needs of it.
func (s *exchange) note(d *Decision) {
	s.route, s.id, s.byMethod = d.route, d.Identity, d.byMethod
	s.dependsOnSession = s.dependsOnSession || d.DependsOnSession
	if d.route != nil {
		s.info.Route = d.route.label
	}
	if d.Identity != nil {
		s.info.User, s.info.Session = d.Identity.Name, d.Identity.Session.Handle
	}
}

// turnAway answers a request that the rules do not allow: with a challenge to sign
// in, or with a 403 and an audit event.
func (s *exchange) turnAway(w http.ResponseWriter, d *Decision) error {
	if d.Outcome == access.Challenge {
		defer web.Linger(w, s.in, s.p.unreadTime)()
		web.AnswerWithin(w)
		s.vary(w.Header())
		return s.p.pages.Challenge(w, s.in, auth.NeedLogin)
	}
	s.p.audit.Event(s.in.Context(), audit.AccessDenied,
		slog.String("request_id", s.info.ID),
		slog.String("user", s.info.User),
		slog.String("client", s.info.Client.String()),
		slog.String("method", s.in.Method),
		slog.String("route", d.Route()),
		slog.Int("rule", d.Rule),
	)
	if d.Identity == nil {
		return web.Refuse(http.StatusForbidden, "This page may not be seen.")
	}
	return web.Refuse(http.StatusForbidden, "")
}

// forward forwards a request that may pass, and its answer. The request is in the
// index of active requests, and holds its slot of the limiter, until forward
// returns.
func (s *exchange) forward(w http.ResponseWriter, d *Decision) error {
	p := s.p
	if d.Outcome == access.Allow && d.Identity == nil {
		return web.Fail(http.StatusInternalServerError, "", errors.New("allowed, but nobody is signed in"))
	}
	if d.Outcome == access.Public {
		s.id = nil // on public paths the application gets no identity
	}
	// Only a request that may pass restarts the idle time.
	isUse := s.id != nil && p.activity.counts(&s.input, s.in)
	if isUse {
		p.auth.RecordActivity(s.id)
	}
	var err error
	// The form goes first: its refusal must not cost a slot of the limiter.
	if s.form, err = p.watchForm(s.in, &s.input, d); err != nil {
		return err
	}
	if !s.route.limiter.acquire() {
		return s.busy()
	}
	defer s.route.limiter.release()
	s.active.begin(w, s.in, s.id, isUse, &p.activity)
	p.live.add(&s.active)
	// remove runs before the exchange is released to the pool, so that the end of a
	// session cannot cut the next request.
	defer p.live.remove(&s.active)
	if err = s.buildRequest(); err != nil {
		return err
	}
	// From here on the upstream may see the request.
	s.info.LetThrough()
	clearBodyDeadline(w, s.in)
	to, err := s.bufferBody(w)
	if err == nil {
		err = s.route.upstream.Forward(to, &s.out.Request)
	}
	switch {
	case err == nil:
		_, s.spent = s.route.upstream.(*engine.HTTP1)
		return nil
	// The engine reports a broken body; these two cases know why it broke.
	case s.form != nil && s.form.refusal != nil:
		s.dependsOnSession = true
		return s.form.refuse(w)
	case s.active.breaker.Broken(): // the session ended before anything was answered
		return &revisionError{Decision{ruling: ruling{route: s.route, Outcome: access.Challenge, Rule: -1}, DependsOnSession: true}}
	default:
		return s.failed(w, err)
	}
}

// buildRequest builds the request for the upstream: it is empty at first, and the
// filters of the route add what may pass.
func (s *exchange) buildRequest() error {
	out := &s.out
	out.begin(s.hooks, &s.incoming)
	out.Host, out.MaxBody = s.route.sentHost(s.host), int64(s.route.conf.MaxBody)
	out.Owner, out.Shared = ownerOf(s.id, s.info.Trusted)
	for _, filter := range s.route.requestFilters {
		if err := filter(s, out); err != nil {
			return err
		}
	}
	out.Target = out.path + s.target.query
	return nil
}

// answer is called by the engine with the header of every answer, including 1xx,
// which it may modify. An error refuses the answer, and forwarding fails with it.
func (s *exchange) answer(status int, h http.Header) error {
	for _, filter := range s.route.answerFilters {
		if err := filter(s, status, h); err != nil {
			return err
		}
	}
	return nil
}

// vary adds Vary: Cookie if the answer depends on the session. Nothing else adds
// it.
func (s *exchange) vary(h http.Header) {
	switch {
	case !s.dependsOnSession:
	case len(h["Vary"]) == 0:
		h["Vary"] = varyCookie // shared, so that it costs no allocation
	default:
		web.AddVary(h, "Cookie")
	}
}
