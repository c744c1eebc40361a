package server

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/account"
	"gatehouse/auth/password"
	"gatehouse/auth/portal"
	"gatehouse/auth/throttle"
	"gatehouse/config"
	"gatehouse/internal/audit"
	"gatehouse/internal/metrics"
	"gatehouse/internal/secret"
	"gatehouse/internal/web"
	"gatehouse/proxy"
	"gatehouse/sessions"
)

// A site is everything that is built from one configuration. It does not change:
// a reload builds another site beside it and swaps the two in one atomic step. It
// is safe for concurrent use.
type site struct {
	config       *config.Config
	certificates certificateSource // nil if TLS is off
	sessions     *sessions.Manager
	accounts     *account.Sources
	auth         *auth.Auth
	portal       *portal.Portal
	proxy        *proxy.Proxy
	handler      http.Handler
}

// shared is what a site is made of besides its configuration. It outlives sites.
type shared struct {
	storage   *storage
	hasher    *password.Hasher
	throttle  *throttle.Throttle
	live      *proxy.ActiveRequests
	loginHTML string // the template of the built-in login page
	pseudonym string // the name of this process in Via (RFC 9110, 7.6.3); "": a new one for each site
	audit     *audit.Log
	metrics   *metrics.Metrics
	log       *slog.Logger
	warnings  *warnings // limits warnings that visitors can cause
	// accounts returns those of the site in force, for requests that began before
	// a reload; nil where no site replaces another.
	accounts func() *account.Sources
}

// Check returns nil if the configuration can be served. It builds a site like a
// start does, but opens, reads and changes nothing outside the process. loginHTML
// is the built-in login page.
func Check(c *config.Config, loginHTML string) error {
	p := shared{
		storage:   &storage{store: sessions.NewCached(sessions.NewMemory(), 0)},
		hasher:    password.NewHasher(password.Options{}),
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
	return p.storage.store.Close()
}

// build returns a site for the configuration. It changes nothing that is in use,
// so a failure has no effect. The caller retires the site.
func (p *shared) build(c *config.Config) (*site, error) {
	keys, err := p.storage.keys(c)
	if err != nil {
		return nil, err
	}
	return p.assemble(c, keys)
}

// assemble builds a site that signs and seals with keys; the first key signs, all
// are accepted. The order is that of dependence: sessions, then accounts and
// sign-in, then pages, then the proxy.
func (p *shared) assemble(c *config.Config, keys [][]byte) (*site, error) {
	s := &site{config: c}
	var err error
	if s.certificates, err = certificatesOf(&c.TLS); err != nil {
		return nil, err
	}
	pages, err := web.NewPages(brandingOf(c))
	if err != nil {
		return nil, err
	}
	cookie := cookieOf(&c.Cookie)
	s.sessions, err = sessions.NewManager(sessions.Options{
		Store: p.storage.store, Secrets: keys, Cookie: cookie, LoginHost: c.Login.ASCIIHost(),
		IdleTimeout: c.Session.IdleTimeout.D(), Lifetime: c.Session.MaxAge.D(), RememberLifetime: c.Session.RememberMe.D(),
		SessionCookie: c.Session.BrowserSession, MaxPerUser: c.Session.MaxPerUser, SlideAnonymous: true, DataLimit: int64(c.Session.DataLimit),
		OnEnd: p.ended, OnInvalidRecord: p.rejected, LegacyUntil: p.storage.formerUntil, Log: p.log,
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

// buildAuth adds to s what needs its sessions: accounts, auth, portal, proxy and
// the handler of all requests.
func (p *shared) buildAuth(s *site, keys [][]byte, cookie sessions.Cookie, pages *web.Pages) error {
	c := s.config
	file, err := account.FileSource(p.hasher, c.Users)
	if err != nil {
		return fmt.Errorf("users: %w", err)
	}
	s.accounts = account.InOrder(p.hasher, file, p.storage.accounts.Source(p.hasher, p.log))
	cookies, err := auth.NewCookies(cookie.Name, cookie.Secure, keys)
	if err != nil {
		return fmt.Errorf("login: %w", err)
	}
	index, err := proxy.NewRouteIndex(c.Routes)
	if err != nil {
		return fmt.Errorf("routes: %w", err)
	}
	s.auth, err = auth.New(auth.Options{
		Sessions: s.sessions, Accounts: s.accounts, Latest: p.accounts, Username: c.Login.Username,
		Throttle: p.throttle, Cookies: cookies, Audit: p.audit, Metrics: p.metrics, Log: p.log,
	})
	if err != nil {
		return fmt.Errorf("login: %w", err)
	}
	html := c.LoginHTML
	if html == "" {
		html = p.loginHTML
	}
	s.portal, err = portal.New(portal.Options{
		Auth: s.auth, Sessions: s.sessions, Cookies: cookies, Accounts: s.accounts, Hasher: p.hasher,
		Remember: c.Session.RememberMe.D(), PasswordMin: c.Login.PasswordMin,
		Title: c.Login.Title, Face: brandingOf(c), LoginHTML: html,
		LoginFor: index.LoginFor, Log: p.log,
		LoginHost: c.Login.ASCIIHost(), LogoutHost: c.Login.Logout == "host", Serves: index.Serves,
	})
	if err != nil {
		return fmt.Errorf("login: %w", err)
	}
	s.proxy, err = proxy.New(proxy.Options{
		Routes: c.Routes, Identity: c.Identity, Auth: s.auth, Pages: s.portal,
		Audit: p.audit, Metrics: p.metrics, Log: p.log, Live: p.live,
		Activity: c.Session.Activity, SessionData: s.sessions, Pseudonym: p.pseudonym,
		LoginHost: c.Login.ASCIIHost(),
	})
	if err != nil {
		return fmt.Errorf("routes: %w", err)
	}
	s.handler = p.chain(s, pages)
	return nil
}

// chain returns the handlers through which every request passes, outermost first,
// whether it is forwarded, refused, or for one of our own pages. The order
// matters: each handler relies on what those above it have put into the context
// and the writer.
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

// serve answers a request, or returns the error that the chain turns into a page.
// What the request holds in memory counts against the budget until it has been
// judged; a request that is refused counts until its client has read the
// response.
func (s *site) serve(w http.ResponseWriter, r *http.Request) error {
	if v := visitorOf(r.Context()); v != nil {
		info := web.From(r.Context())
		if !v.hold(info, r) {
			info.Failure = errTooMuchHeld
			refuseAtOnce(w, r)
			v.holding.end()
			return nil
		}
		// Deferred calls run in reverse: end comes after LetThrough, as it must.
		defer v.holding.end()
		defer info.LetThrough()
	}
	if err := web.WellFormed(w, r); err != nil {
		return err
	}
	return s.proxy.ServeHTTP(w, r)
}

// retire releases what a site holds, once another one has taken its place or the
// server has stopped. Requests under way may finish with it.
func (s *site) retire() {
	s.proxy.Close()
	s.sessions.Close()
}

// ended is called for each session that ends, for whatever reason. It cuts off
// the requests under way for that session and counts its end. Revocations are
// audited by their caller, who knows who asked for them; sessions that end by
// themselves (expired, or over the limit of a user) are audited here.
func (p *shared) ended(i sessions.Info, reason string) {
	p.metrics.SessionEnded(reason)
	p.live.Cut(i)
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

// rejected is called for each session whose record in the store is not authentic:
// something other than a gate with our keys has written it.
func (p *shared) rejected(handle string) {
	p.audit.Event(context.Background(), audit.SessionRejected, slog.String("session", handle), slog.String("reason", "record"))
}

// brandingOf returns what the operator wants to have on our own pages.
func brandingOf(c *config.Config) web.Branding {
	face := c.Login.Face()
	face.Cookie = c.Cookie.Name
	return face
}

// cookieOf returns the session cookie. With secure: auto, each request decides:
// the cookie is Secure if the visitor uses https, also through a trusted proxy.
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
