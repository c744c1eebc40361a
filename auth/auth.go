package auth

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/metrics"
	"gatehouse/internal/web"
	"gatehouse/sessions"
)

// Prefix is where our own pages live, on every host. No request below it is
// ever forwarded.
const Prefix = "/_gate/"

// An Identity is who asks. It comes from a session and an account, never from
// anything that a client sent.
type Identity struct {
	Name        string // the stored spelling
	Email       string // "" when unknown
	DisplayName string // "" when unknown
	Groups      []string
	Session     sessions.Info // the session that it came with
}

// Options are what an Auth is made of.
type Options struct {
	Sessions *sessions.Manager // required
	Accounts Accounts          // required: where people are looked up
	Hasher   *Hasher           // required: outlives a configuration, because it bounds the work of the process
	Throttle *Throttle         // outlives a configuration as well; nil: tries are not limited
	Secrets  [][]byte          // sign the CSRF and device cookies; the first signs, all verify

	Cookie    sessions.Cookie // the look of the session's cookie; ours follow it
	Remember  time.Duration   // how long "keep me signed in" keeps; 0: not offered
	Title     string          // of the login page
	LoginHTML string          // the template of the login page (login.html or the operator's); see LoginPage for its data

	Pages   *web.Pages // answers errors
	Audit   *audit.Log // nil: no audit
	Metrics *metrics.Metrics
	Log     *slog.Logger
}

// An Auth says who asks, and serves our own pages. It belongs to one
// configuration. Safe for concurrent use.
type Auth struct{}

// New checks the options and the template.
func New(o Options) (*Auth, error) { panic("being built") }

// Identify says who asks: an identity, nobody (nil, nil), or could not tell
// (an error, which must become a 503 and never a pass or a logout).
//
// A session whose account has gone, is disabled, or has another password than
// at login is ended here, and gives nobody. Identify does not extend the
// session: see Active.
func (a *Auth) Identify(r *http.Request) (*Identity, error) { panic("being built") }

// Active records that the person did something: the idle time begins again.
func (a *Auth) Active(id *Identity) { panic("being built") }

// Challenge answers a request that needs a login: a navigation is redirected
// to the login page, with the way back in next; everything else gets 401
// problem+json with login_url (contract: Answers of the gate).
func (a *Auth) Challenge(w http.ResponseWriter, r *http.Request) error { panic("being built") }

// ServeHTTP serves the pages under Prefix.
func (a *Auth) ServeHTTP(w http.ResponseWriter, r *http.Request) error { panic("being built") }

// CookieNames gives the names of all cookies of ours: none of them may pass
// to an upstream, or come from one.
func (a *Auth) CookieNames() []string { panic("being built") }

// Accounts is where people are looked up. Safe for concurrent use.
type Accounts interface {
	// Account gives the account of that name, which is compared as stored
	// after NFKC. ErrNoAccount when there is none; any other error means
	// that the source could not tell.
	Account(ctx context.Context, name string) (Account, error)
}
