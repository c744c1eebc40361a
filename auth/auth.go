// Package auth identifies the person that a request comes from, and signs people
// in. It decides what identifies them (today the cookie of a session) and whether a
// session is still valid, and it checks passwords: throttled, counted and audited.
// The pages for this are in package auth/portal; what people may do is decided by
// package access.
//
// Every check has three outcomes: an identity, nobody, or could not tell. The last
// is an error and must become a 503, never a pass and never a logout.
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

// Prefix begins the paths of our own pages, on every host. No request below it is
// ever forwarded to an upstream.
const Prefix = "/_gate/"

// Options are the options of New.
type Options struct {
	// Sessions has the sessions of people who are signed in. Required.
	Sessions *sessions.Manager
	// Accounts are the sources in which people are looked up. Required.
	Accounts *account.Sources
	// Latest returns the accounts of the configuration in force. They differ from
	// Accounts after a reload, while requests that began before it still use this
	// Auth. A login is confirmed with them. It must be safe for concurrent use.
	// Default (nil): Accounts.
	Latest func() *account.Sources
	// Username says what people may type in place of an account's name. The zero
	// value: nothing.
	Username account.UsernameConfig
	// Throttle limits wrong passwords. It is kept when the configuration is
	// reloaded. nil: they are not limited.
	Throttle *throttle.Throttle
	// Cookies are our cookies other than the session's. Required.
	Cookies *Cookies
	// Factors are the second factors that accounts may require after the password.
	// nil: none.
	Factors []Factor

	Audit   *audit.Log       // gets audit events; nil: none are written
	Metrics *metrics.Metrics // counts logins by outcome; nil: they are not counted
	Log     *slog.Logger     // gets warnings and errors; nil: nothing is logged
}

// An Auth identifies people and signs them in. It belongs to one configuration; a
// reload makes a new one. Safe for concurrent use.
type Auth struct {
	o    Options
	ways []Way // in the order in which they are asked
}

// New returns an Auth. It returns an error if a required option is missing.
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

// Event writes an audit event. If ctx is that of a request, it adds the client's
// address and the id of the request.
func (a *Auth) Event(ctx context.Context, name string, attrs ...slog.Attr) {
	if info := web.From(ctx); info.ID != "" || info.Client.IsValid() {
		attrs = append(attrs, slog.String("client", info.Client.String()), slog.String("request_id", info.ID))
	}
	a.o.Audit.Event(ctx, name, attrs...)
}

// Clip makes a text that a client sent fit for a log: it cuts it after
// account.MaxName bytes, followed by "...", and replaces invalid UTF-8.
func Clip(s string) string {
	if len(s) > account.MaxName {
		s = s[:account.MaxName] + "..."
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// couldNot returns a 503 for something that could not be found out or done. The
// visitor does not see err.
func couldNot(what string, err error) error {
	return web.Fail(http.StatusServiceUnavailable, "", fmt.Errorf("%s: %w", what, err))
}

// client returns the visitor's address, which trusted proxies may have forwarded;
// the zero Addr if there is none, as with a unix socket.
func client(r *http.Request) netip.Addr { return web.From(r.Context()).Client }
