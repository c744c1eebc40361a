package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"gatehouse/auth"
	"gatehouse/config"
	"gatehouse/internal/audit"
	"gatehouse/internal/metrics"
	"gatehouse/internal/secret"
	"gatehouse/internal/web"
	"gatehouse/proxy"
	"gatehouse/sessions"
)

// A site is all that one configuration builds. It never changes; a reload
// builds another beside it and swaps the two in one atomic step.
type site struct {
	config       *config.Config
	certificates certificateSource // nil: no TLS
	sessions     *sessions.Manager
	accounts     auth.Accounts
	auth         *auth.Auth
	proxy        *proxy.Proxy
	handler      http.Handler
}

// shared are what sites are made of besides their configuration: what they
// share with the ones before and after them.
type shared struct {
	state     *state
	hasher    *auth.Hasher
	throttle  *auth.Throttle
	live      *proxy.ActiveRequests
	loginHTML string // the built-in page
	pseudonym string // of this process, in Via; "": a new one for each site
	audit     *audit.Log
	metrics   *metrics.Metrics
	log       *slog.Logger
	warnings  *warnings // of what visitors can cause
	// accounts returns those of the site in force; nil where no site replaces
	// another.
	accounts func() auth.Accounts
}

// Check builds what the configuration describes, without opening or changing
// anything: what it says nothing against can be served.
func Check(c *config.Config, loginHTML string) error {
	p := shared{
		state:     &state{store: sessions.NewCached(sessions.NewMemory(), 0)},
		hasher:    auth.NewHasher(1),
		live:      new(proxy.ActiveRequests),
		loginHTML: loginHTML,
		log:       slog.New(slog.DiscardHandler),
		warnings:  new(warnings),
	}
	s, err := p.assemble(c, [][]byte{make([]byte, secret.KeySize)})
	if err != nil {
		return err
	}
	s.retire()
	return p.state.store.Close()
}

// build makes a site. It changes nothing that is in use, so a failure leaves
// no trace.
func (p *shared) build(c *config.Config) (*site, error) {
	keys, err := p.state.keys(c)
	if err != nil {
		return nil, err
	}
	return p.assemble(c, keys)
}

func (p *shared) assemble(c *config.Config, keys [][]byte) (*site, error) {
	s := &site{config: c}
	var err error
	if s.certificates, err = certificatesOf(&c.TLS); err != nil {
		return nil, err
	}
	pages, err := web.NewPages(faceOf(c))
	if err != nil {
		return nil, err
	}
	cookie := cookieOf(&c.Cookie)
	s.sessions, err = sessions.NewManager(sessions.Options{
		Store: p.state.store, Secrets: keys, Cookie: cookie,
		IdleTimeout: c.Session.IdleTimeout.D(), Lifetime: c.Session.MaxAge.D(), RememberLifetime: c.Session.RememberMe.D(),
		SessionCookie: c.Session.BrowserSession, MaxPerUser: c.Session.MaxPerUser, SlideAnonymous: true, DataLimit: int64(c.Session.DataLimit),
		OnEnd: p.ended, OnInvalidRecord: p.rejected, LegacyUntil: p.state.formerUntil, Log: p.log,
	})
	if err != nil {
		return nil, fmt.Errorf("sessions: %w", err)
	}
	if err := p.buildAuth(s, keys, cookie, pages); err != nil {
		s.sessions.Close()
		return nil, err
	}
	return s, nil
}

func (p *shared) buildAuth(s *site, keys [][]byte, cookie sessions.Cookie, pages *web.Pages) error {
	c := s.config
	file, err := auth.FileAccounts(c.Users)
	if err != nil {
		return fmt.Errorf("users: %w", err)
	}
	s.accounts = auth.InOrder(file, p.state.accounts)
	html := c.LoginHTML
	if html == "" {
		html = p.loginHTML
	}
	looks, err := proxy.NewLoginLooks(c.Routes)
	if err != nil {
		return fmt.Errorf("routes: %w", err)
	}
	gate, err := auth.New(auth.Options{
		Sessions: s.sessions, Accounts: s.accounts, Now: p.accounts,
		Hasher: p.hasher, Throttle: p.throttle, Secrets: keys,
		Username: c.Login.Username, PasswordMin: c.Login.PasswordMin,
		Cookie: cookie, Remember: c.Session.RememberMe.D(), Title: c.Login.Title, LoginHTML: html,
		Face: faceOf(c), LoginFor: looks.For,
		Audit: p.audit, Metrics: p.metrics, Log: p.log,
	})
	if err != nil {
		return fmt.Errorf("login: %w", err)
	}
	s.auth = gate
	s.proxy, err = proxy.New(proxy.Options{
		Routes: c.Routes, Identity: c.Identity, Auth: gate,
		Audit: p.audit, Metrics: p.metrics, Log: p.log, Live: p.live,
		Activity: c.Session.Activity, SessionData: s.sessions, Pseudonym: p.pseudonym,
	})
	if err != nil {
		return fmt.Errorf("routes: %w", err)
	}
	s.handler = p.chain(s, pages)
	return nil
}

// chain is the way of every request, outermost first: the same for our own
// pages, for what is forwarded, and for what is refused.
func (p *shared) chain(s *site, pages *web.Pages) http.Handler {
	done := []web.Done{func(r *http.Request, rec *web.Recorder, took time.Duration) {
		p.metrics.Request(web.From(r.Context()).Route, r.Method, rec.Status, took)
	}}
	done = append(done, web.Warnings(p.log, p.warnings.allow))
	if s.config.Log.Access {
		done = append(done, web.AccessLog(p.log))
	}
	return web.Chain(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := s.serve(w, r); err != nil {
				pages.Answer(w, r, err)
			}
		}),
		web.RequestInfo(s.config.Trusted), // below, web.From(ctx) knows the visitor
		web.HSTS(s.config.TLS.HSTS),
		web.RecordAnswer(done...), // below, w is the one *web.Recorder
		web.Recover(p.log, pages.Answer),
	)
}

// serve judges one request and answers it, or returns why it does not. What the
// request holds in memory until it has been judged is counted, and so is one
// that is refused, for as long as the visitor takes to take that.
func (s *site) serve(w http.ResponseWriter, r *http.Request) error {
	if v := visitorOf(r.Context()); v != nil {
		info := web.From(r.Context())
		if !v.hold(info, r) {
			info.Failure = errTooMuchHeld
			refuseAtOnce(w, r)
			v.holding.end()
			return nil
		}
		defer v.holding.end()
		defer info.LetThrough()
	}
	if err := web.WellFormed(w, r); err != nil {
		return err
	}
	return s.proxy.ServeHTTP(w, r)
}

// retire lets go of what a site holds, once another has taken its place.
// Requests under way end by themselves.
func (s *site) retire() {
	s.proxy.Close()
	s.sessions.Close()
}

// ended is told of each session that ends, for whatever reason: it cuts what
// is under way for it, and counts it. The audit event of a session that
// somebody ended is written where it is known who; those that end by
// themselves are left to here.
func (p *shared) ended(i sessions.Info, reason string) {
	p.metrics.SessionEnded(reason)
	p.live.Cut(i.Key)
	var event string
	switch reason {
	case "expired":
		event = audit.SessionExpired
	case "limit":
		event = audit.SessionRevoked
	default:
		return
	}
	p.audit.Event(context.Background(), event,
		slog.String("user", i.User), slog.String("session", i.Handle), slog.String("reason", reason))
}

// rejected is told of each session whose record in the store does not count.
func (p *shared) rejected(handle string) {
	p.audit.Event(context.Background(), audit.SessionRejected, slog.String("session", handle), slog.String("reason", "record"))
}

// faceOf is what the operator puts on our pages.
func faceOf(c *config.Config) web.Branding {
	face := c.Login.Face()
	face.Cookie = c.Cookie.Name
	return face
}

func cookieOf(c *sessions.CookieConfig) sessions.Cookie {
	cookie := sessions.Cookie{Name: c.Name, Domain: c.ASCIIDomain(), SameSite: c.Mode()}
	switch c.Secure {
	case "true":
		cookie.Secure = func(*http.Request) bool { return true }
	case "false":
		cookie.Secure = func(*http.Request) bool { return false }
	default: // auto
		cookie.Secure = func(r *http.Request) bool { return web.From(r.Context()).Secure() }
	}
	return cookie
}

// restart names the keys that a reload would have to change in the running
// process, and cannot.
func restart(old, next *config.Config) error {
	var keys []string
	for _, k := range []struct {
		name    string
		changed bool
	}{
		{"listen", old.Listen != next.Listen},
		{"listen_mode", old.ListenMode != next.ListenMode},
		{"data_dir", old.DataDir != next.DataDir},
		{"admin.listen", old.Admin.Listen != next.Admin.Listen},
		{"session.store", old.Session.Store != next.Session.Store},
		{"session.cache", old.Session.Cache != next.Session.Cache},
		{"session.postgres", !old.Session.Postgres.Same(&next.Session.Postgres)},
		{"session.redis", !old.Session.Redis.Same(&next.Session.Redis)},
		{"tls", old.TLS.Enabled() != next.TLS.Enabled()},
		{"log.format", old.Log.Format != next.Log.Format},
	} {
		if k.changed {
			keys = append(keys, k.name)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return &restartError{keys}
}

type restartError struct{ keys []string }

func (e *restartError) Error() string { return "needs a restart: " + strings.Join(e.keys, ", ") }
