// Package auth says who is asking: it looks people up, checks their
// passwords, and serves the login, logout and account pages under Prefix.
// What a person may do is not its business; see package access.
//
// A check has three outcomes: an identity, nobody, or could not tell. The
// last is an error, and becomes a 503: never a pass, and never a logout.
package auth

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/limit"
	"gatehouse/internal/metrics"
	"gatehouse/internal/web"
	"gatehouse/sessions"
)

// Prefix is where our own pages live, on every host. No request below it is
// ever forwarded.
const Prefix = "/_gate/"

// An Identity is who asks. It comes from a session and an account, never from
// anything that a client sent. Its Groups are shared: nobody changes them.
type Identity struct {
	Name        string // the stored spelling
	Email       string // "" when unknown
	DisplayName string // "" when unknown
	Groups      []string
	Source      string        // "file" or "database"
	Session     sessions.Info // the session that it came with
}

// Options are what an Auth is made of.
type Options struct {
	Sessions *sessions.Manager // required
	Accounts Accounts          // required: where people are looked up
	Now      func() Accounts   // the accounts of the configuration in force, which a reload replaces; nil: Accounts
	Hasher   *Hasher           // required: outlives a configuration, because it bounds the work of the process
	Throttle *Throttle         // outlives a configuration as well; nil: tries are not limited
	Secrets  [][]byte          // required: sign the CSRF and device cookies; the first signs, all verify

	Cookie   sessions.Cookie // the look of the session's cookie; ours follow it
	Remember time.Duration   // how long "keep me signed in" keeps; 0: not offered
	Username UsernameConfig  // what else than its name signs in to an account
	// PasswordMin is how many characters a new password has at least; 0: DefaultPasswordMin.
	PasswordMin int
	Title       string       // of the login page; "" is Sign in, in the visitor's language
	Face        web.Branding // what the operator puts on our pages; its Cookie is that of Cookie
	// LoginFor gives what the login page shows to who goes to next, a path of
	// the host that r is for, in place of Title and the logo of Face; nil: nothing.
	LoginFor  func(r *http.Request, next string) RouteLoginConfig
	LoginHTML string // required: the template of the login page (login.html or the operator's); see LoginPage for its data

	BodyTime time.Duration // for the body of a request to one of our pages; 0: 10 seconds

	Pages   *web.Pages       // not used by Auth, which returns its errors; may be nil
	Audit   *audit.Log       // nil: no audit
	Metrics *metrics.Metrics // nil: not counted
	Log     *slog.Logger     // nil: nothing is logged
}

// An Auth says who asks, and serves our own pages. It belongs to one
// configuration. Safe for concurrent use.
type Auth struct {
	o          Options
	keys       keys
	cookieBase string
	database   *Database // the accounts whose passwords can be changed here; nil: none
	login      *web.Page
	logout     *web.Page
	account    *web.Page
	pages      map[string]page // by path
	keeping    *limit.Table    // how often return-to addresses were kept
	fresh      time.Duration   // freshFor
}

// New checks the options and the template.
func New(o Options) (*Auth, error) {
	switch {
	case o.Sessions == nil || o.Accounts == nil || o.Hasher == nil:
		return nil, errors.New("auth: sessions, accounts and a hasher are required")
	case len(o.Secrets) == 0:
		return nil, errors.New("auth: no secrets")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.PasswordMin == 0 {
		o.PasswordMin = DefaultPasswordMin
	}
	if o.Title == "" {
		o.Title = defaultTitle
	}
	a := &Auth{
		o: o, keys: newKeys(o.Secrets), cookieBase: o.Cookie.Name, database: databaseOf(o.Accounts),
		keeping: limit.NewTable(keepBuckets), fresh: freshFor,
	}
	if a.cookieBase == "" {
		a.cookieBase = "gatehouse"
	}
	a.o.Face.Cookie = a.cookieBase
	if err := a.parsePages(); err != nil {
		return nil, err
	}
	a.pages = a.routes()
	expectFile(o.Hasher, o.Accounts)
	return a, nil
}

// Identify says who asks: an identity, nobody (nil, nil), or could not tell
// (an error, which must become a 503 and never a pass or a logout).
//
// A session whose account has gone, is disabled, or has another password than
// at login is ended here, and gives nobody. Identify does not extend the
// session: see Active. It notes the name and the session for the access line.
func (a *Auth) Identify(r *http.Request) (*Identity, error) {
	id := new(Identity)
	var err error
	id.Session, err = a.o.Sessions.Find(r)
	switch {
	case errors.Is(err, sessions.ErrTwoSessions):
		a.o.Log.LogAttrs(r.Context(), slog.LevelWarn, "two session cookies of ours that differ, so that neither counts: another host of the domain may have planted one",
			slog.String("request_id", web.From(r.Context()).ID), slog.String("client", client(r).String()), slog.String("host", short(web.From(r.Context()).Host)))
		return nil, nil //nolint:nilnil // nobody, as far as can be told
	case errors.Is(err, sessions.ErrNotFound):
		return nil, nil //nolint:nilnil // nobody: the second of three outcomes
	case err != nil:
		return nil, web.Fail(http.StatusServiceUnavailable, "", fmt.Errorf("identify: %w", err))
	}
	account, ok, err := a.owner(r.Context(), &id.Session)
	switch {
	case err != nil:
		return nil, web.Fail(http.StatusServiceUnavailable, "", fmt.Errorf("identify: %w", err))
	case !ok:
		return nil, nil //nolint:nilnil // nobody's session, or nobody any more
	}
	about := web.From(r.Context())
	about.User, about.Session = account.Name, id.Session.Handle
	id.Name, id.Email, id.DisplayName = account.Name, account.Email, account.DisplayName
	id.Groups, id.Source = account.Groups, account.Source
	return id, nil
}

// Counts reports whether somebody is signed in still with a session that
// Identify has found: for what goes on for longer than a request takes to be
// judged. It asks what Identify asks, ends what Identify ends, and has the same
// three outcomes.
func (a *Auth) Counts(ctx context.Context, session sessions.Info) (bool, error) {
	info, err := a.o.Sessions.Lookup(ctx, session)
	switch {
	case errors.Is(err, sessions.ErrNotFound):
		return false, nil
	case err != nil:
		return false, err
	}
	_, ok, err := a.owner(ctx, &info)
	return ok, err
}

// Used records a use of a session that Identify has found, as Active does: for
// what goes on for longer than a request takes.
func (a *Auth) Used(ctx context.Context, session sessions.Info) {
	if info, err := a.o.Sessions.Lookup(ctx, session); err == nil {
		a.o.Sessions.Touch(info)
	}
}

// owner gives the account of the session's user, if the session may count. One
// that must not any more is ended.
func (a *Auth) owner(ctx context.Context, info *sessions.Info) (account Account, ok bool, err error) {
	if info.User == "" {
		return Account{}, false, nil
	}
	account, err = a.o.Accounts.Account(ctx, info.User)
	if err != nil && !errors.Is(err, ErrNoAccount) {
		return Account{}, false, err
	}
	if reason := outdated(info, &account, err); reason != "" {
		a.end(ctx, info, reason)
		return Account{}, false, nil
	}
	return account, true, nil
}

// outdated says why the session must not count any more; "" when it may.
func outdated(info *sessions.Info, account *Account, err error) (reason string) {
	switch {
	case err != nil, account.Disabled, account.Source != info.Source:
		return "account"
	case account.Stamp == "" || subtle.ConstantTimeCompare([]byte(account.Stamp), []byte(info.Stamp)) != 1:
		return "password"
	}
	return ""
}

// end ends somebody's session. When that fails it has ended all the same for
// this request, and is tried again at the next.
func (a *Auth) end(ctx context.Context, info *sessions.Info, reason string) {
	ctx = context.WithoutCancel(ctx)
	switch _, err := a.o.Sessions.Revoke(ctx, info.Key, reason); {
	case errors.Is(err, sessions.ErrNotFound): // another request was faster
	case err != nil:
		a.o.Log.LogAttrs(ctx, slog.LevelError, "session could not be ended",
			slog.String("session", info.Handle), slog.String("user", info.User), slog.Any("error", err))
	default:
		a.eventIn(ctx, audit.SessionRevoked, slog.String("user", info.User), slog.String("session", info.Handle), slog.String("reason", reason))
	}
}

// Active records that the person did something: the idle time begins again.
// It may be called with nil.
func (a *Auth) RecordActivity(id *Identity) {
	if id != nil {
		a.o.Sessions.Touch(id.Session)
	}
}

// Refresh gives a session whose cookie was signed with an older secret a
// cookie of the first one, in the answer with the header; most need none. That
// it fails is no failure of the answer: the next one tries again.
func (a *Auth) Refresh(r *http.Request, id *Identity, h http.Header) {
	if !id.Session.StaleSignature {
		return
	}
	if err := a.o.Sessions.Refresh(r, h); err != nil {
		a.o.Log.LogAttrs(r.Context(), slog.LevelWarn, "session not signed anew", slog.String("session", id.Session.Handle), slog.Any("error", err))
	}
}

// CookieNames gives the names of all cookies of ours: none of them may pass
// to an upstream, or come from one.
func (a *Auth) CookieNames() []string {
	names := a.o.Sessions.CookieNames()
	for _, kind := range []string{"csrf", "device", noticeCookie, web.LanguageCookie} {
		names = append(names, a.cookieBase+"_"+kind, "__Host-"+a.cookieBase+"_"+kind)
	}
	return names
}

// event writes an audit event with where it came from.
func (a *Auth) event(r *http.Request, name string, attrs ...slog.Attr) {
	a.eventIn(r.Context(), name, attrs...)
}

// eventIn does so for what may come from no request at all.
func (a *Auth) eventIn(ctx context.Context, name string, attrs ...slog.Attr) {
	if info := web.From(ctx); info.ID != "" || info.Client.IsValid() {
		attrs = append(attrs, slog.String("client", info.Client.String()), slog.String("request_id", info.ID))
	}
	a.o.Audit.Event(ctx, name, attrs...)
}
