// Package auth says who a request comes from, and signs people in. It knows
// the ways in (today the cookie of a session), whether a session still counts,
// and how a password is checked: throttled, counted and audited. The pages
// through which people do this are in auth/portal; what they may do is the
// business of package access.
//
// Every check has three outcomes: an identity, nobody, or could not tell. The
// last is an error and becomes a 503: never a pass, and never a logout.
package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"

	"gatehouse/auth/account"
	"gatehouse/auth/throttle"
	"gatehouse/internal/audit"
	"gatehouse/internal/metrics"
	"gatehouse/internal/web"
	"gatehouse/sessions"
)

// Prefix is where our own pages are, on every host. No request below it is
// ever forwarded.
const Prefix = "/_gate/"

// Options are what an Auth is made of.
type Options struct {
	// Sessions are those of people who are signed in. Required.
	Sessions *sessions.Manager
	// Accounts are where people are looked up. Required.
	Accounts *account.Sources
	// Latest returns the accounts of the configuration in force, which a reload
	// replaces while requests still use the older one. nil: Accounts.
	Latest func() *account.Sources
	// Username says what else than its name signs in to an account.
	Username account.UsernameConfig
	// Throttle counts wrong passwords. It outlives a configuration. nil: they
	// are not limited.
	Throttle *throttle.Throttle
	// Cookies are those of ours besides the session's. Required.
	Cookies *Cookies
	// Factors are the second factors that accounts may ask for. nil: none.
	Factors []Factor

	Audit   *audit.Log       // nil: no audit
	Metrics *metrics.Metrics // nil: not counted
	Log     *slog.Logger     // nil: nothing is logged
}

// An Auth knows who requests come from, and signs people in. It belongs to one
// configuration. Safe for concurrent use.
type Auth struct {
	o    Options
	ways []Way // in the order in which they are asked
}

// New checks the options.
func New(o Options) (*Auth, error) {
	if o.Sessions == nil || o.Accounts == nil || o.Cookies == nil {
		return nil, errors.New("auth: sessions, accounts and cookies are required")
	}
	if o.Latest == nil {
		o.Latest = func() *account.Sources { return o.Accounts }
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	a := &Auth{o: o}
	a.ways = []Way{bySession{a}}
	return a, nil
}

// Event writes an audit event with where the request of ctx came from; without
// a request, with nothing of it.
func (a *Auth) Event(ctx context.Context, name string, attrs ...slog.Attr) {
	if info := web.From(ctx); info.ID != "" || info.Client.IsValid() {
		attrs = append(attrs, slog.String("client", info.Client.String()), slog.String("request_id", info.ID))
	}
	a.o.Audit.Event(ctx, name, attrs...)
}

// Clip returns what a client sent as it can stand in the log: cut, and valid
// UTF-8.
func Clip(s string) string {
	if len(s) > account.MaxName {
		s = s[:account.MaxName] + "..."
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// couldNot is the failure of what could not be told or done.
func couldNot(what string, err error) error {
	return web.Fail(http.StatusServiceUnavailable, "", fmt.Errorf("%s: %w", what, err))
}

// client returns the address that the request came from; the zero Addr: it has
// none, as over a unix socket.
func client(r *http.Request) netip.Addr { return web.From(r.Context()).Client }
