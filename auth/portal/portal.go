// Package portal serves our own pages under auth.Prefix, where people sign in, sign
// out and manage their account. It has the forms with their CSRF tokens, the
// return-to addresses, and the messages in the visitor's language and with the
// operator's branding. Package auth identifies people and signs them in.
package portal

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/account"
	"gatehouse/auth/password"
	"gatehouse/internal/limit"
	"gatehouse/internal/web"
	"gatehouse/sessions"
)

// prefix begins the paths of all our pages.
const prefix = auth.Prefix

// Options are the options of New.
type Options struct {
	// Auth identifies people and signs them in. Required.
	Auth *auth.Auth
	// Sessions must be the Manager that Auth uses. Required.
	Sessions *sessions.Manager
	// Cookies must be those that Auth uses. Required.
	Cookies *auth.Cookies
	// Accounts must be the sources that Auth uses. Passwords are changed in them.
	// Required.
	Accounts *account.Sources
	// Hasher hashes new passwords. Required.
	Hasher *password.Hasher

	// Remember is the lifetime of a session with "keep me signed in", as the login
	// page shows it. 0: the box is not offered.
	Remember time.Duration
	// PasswordMin is the minimum length of a new password in characters. Default
	// (0): password.DefaultMinLength.
	PasswordMin int
	// Title is the title of the login page. Default (""): "Sign in", translated
	// into the visitor's language.
	Title string
	// Face is the operator's branding of our pages. Its Cookie is ignored: New sets
	// it from Cookies.
	Face web.Branding
	// LoginFor, if not nil, returns what the login page shows to visitors on the way
	// to next, a path of the host that r is for. Empty fields leave Title and the
	// logo of Face in place. It must be safe for concurrent use.
	LoginFor func(r *http.Request, next string) RouteLoginConfig
	// LoginHTML is the template of the login page: login.html or the operator's own.
	// For its data see LoginPage. Required.
	LoginHTML string
	// LoginHost is the one host on which people sign in, and have their account, for
	// the hosts of all routes. It is a name in lower case, and the same as that of
	// Sessions. "": the pages are on every host, for that host.
	LoginHost string
	// LogoutHost limits what signing out on another host ends to that host.
	LogoutHost bool
	// Serves reports whether a host has a route. Required with LoginHost. It must be
	// safe for concurrent use.
	Serves func(host string) bool
	// BodyTime limits how long a client may take to send the body of a request to
	// one of our pages. Default (0): 10 seconds.
	BodyTime time.Duration

	// Log gets warnings, such as those about refused forms. nil: nothing is logged.
	Log *slog.Logger
}

// A Portal serves our own pages. It belongs to one configuration; a reload makes a
// new one. Safe for concurrent use.
type Portal struct {
	o       Options
	pages   map[string]page // by path
	login   *web.Page
	factor  *web.Page
	logout  *web.Page
	account *web.Page
	keeping *limit.Table  // limits how often return-to addresses are stored
	fresh   time.Duration // freshFor, except in tests
	halfway time.Duration // halfLoginTime, except in tests
}

// New returns a Portal. It returns an error if a required option is missing or the
// login page's template does not work; see CheckTemplate.
func New(o Options) (*Portal, error) {
	if o.Auth == nil || o.Sessions == nil || o.Cookies == nil || o.Accounts == nil || o.Hasher == nil {
		return nil, errors.New("portal: auth, sessions, cookies, accounts and a hasher are required")
	}
	if o.LoginHost != "" && o.Serves == nil {
		return nil, errors.New("portal: a login host without hosts of routes")
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	o.PasswordMin = cmp.Or(o.PasswordMin, password.DefaultMinLength)
	o.Title = cmp.Or(o.Title, defaultTitle)
	o.BodyTime = cmp.Or(o.BodyTime, defaultBodyTime)
	o.Face.Cookie = o.Cookies.Base()
	p := &Portal{o: o, pages: make(map[string]page), keeping: limit.NewTable(keepBuckets), fresh: freshFor, halfway: halfLoginTime}
	for path, open := range table {
		opened, err := open(p)
		if err != nil {
			return nil, err
		}
		p.pages[prefix+path] = opened
	}
	return p, nil
}

// A page has the handlers of one path: get for GET and HEAD, post for POST. A
// method whose handler is nil gets a 405.
type page struct {
	get, post web.Handler
}

// table has all pages by their path below prefix. New calls each function once; it
// parses the page's template.
var table = map[string]func(*Portal) (page, error){
	"":                    openAccount,
	"login":               openLogin,
	"factor":              openFactor,
	"logout":              openLogout,
	"password":            openPassword,
	"session":             openSession,
	"enter":               openEnter,
	"sessions/end":        openEnd,
	"sessions/end-others": openEndOthers,
	"language":            openLanguage,
	"static/style.css":    openStyle,
	"static/logo.svg":     openLogo,
	"static/favicon.svg":  openLogo,
}

// ServeHTTP serves the pages under prefix:
//
//	login                 GET, POST  the form; see contract.md
//	factor                GET, POST  the second step of a login, for accounts that ask for one
//	logout                GET, POST  asks; ends the session
//	(itself)              GET        the account page, with the forms for
//	sessions/end          POST       csrf_token, session (a handle): end one
//	sessions/end-others   POST       csrf_token: end all but this one
//	password              POST       csrf_token, old_password, new_password, new_password_again
//	session               GET        JSON for scripts
//	language              GET        lang (a tag), next: remembers the language, and goes back
//	static/               GET        style.css, logo.svg, favicon.svg
//	enter                 GET        code: comes from the login host to this one
//
// With Options.LoginHost, other hosts have enter, logout, session, language and
// static/ alone, and the rest leads to the login host; that has no enter.
//
// The prefix without its final slash, and a GET of an address that is only for POST
// (after a reload, for example), redirect to the account page. Only session and
// static/ respond to scripts; see visited.
//
// Paths must match literally, without any decoding. Like all our handlers it
// returns an error, a *web.Error where the status is not 500, for web.Pages to
// respond with. Safe for concurrent use.
func (p *Portal) ServeHTTP(w http.ResponseWriter, r *http.Request) error {
	limitBody(w, r, p.o.BodyTime)
	if r.Header.Get("Service-Worker") != "" {
		return web.Refuse(http.StatusBadRequest, "There is no service worker here.")
	}
	path := r.URL.EscapedPath()
	if !strings.HasPrefix(path, prefix+"static/") {
		web.AddVary(w.Header(), "Cookie")
		if path != prefix+"session" {
			if err := p.visited(r); err != nil {
				return err
			}
		}
	}
	if path == strings.TrimSuffix(prefix, "/") {
		return page{get: toAccount}.serve(w, r)
	}
	if p.o.LoginHost != "" && !strings.HasPrefix(path, prefix) {
		return p.own(w, r)
	}
	name := strings.TrimPrefix(path, prefix)
	found, ok := p.pages[path]
	switch away := p.onAppHost(r); {
	case !ok, name == "enter" && !away:
		return web.Refuse(http.StatusNotFound, "")
	case away && !hostPages[name]:
		return p.elsewhere(w, r, name)
	}
	return found.serve(w, r)
}

// CookieNames returns the names of all our cookies, including the session's. None of
// them may be sent to an upstream, or accepted from one.
func (p *Portal) CookieNames() []string {
	return append(p.o.Sessions.CookieNames(), p.o.Cookies.Names()...)
}

// serve calls the handler of the request's method. If there is none, it returns a
// 405 with Allow.
func (p page) serve(w http.ResponseWriter, r *http.Request) error {
	switch {
	case p.get != nil && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		return p.get(w, r)
	case p.post != nil && r.Method == http.MethodPost:
		return p.post(w, r)
	}
	var allow []string
	if p.get != nil {
		allow = append(allow, http.MethodGet, http.MethodHead)
	}
	if p.post != nil {
		allow = append(allow, http.MethodPost)
	}
	e := web.Refuse(http.StatusMethodNotAllowed, "")
	e.Header = http.Header{"Allow": {strings.Join(allow, ", ")}}
	return e
}

// toAccount redirects to the account page.
func toAccount(w http.ResponseWriter, r *http.Request) error { return seeOther(w, r, prefix) }

// person is Auth.Identify for our pages: nil, nil if nobody is signed in. It also
// returns nil for an identity without a session, because our pages are for browsers
// and their forms are bound to a session.
func (p *Portal) person(r *http.Request) (*auth.Identity, error) {
	id, err := p.o.Auth.Identify(r)
	if err != nil || !id.HasSession() {
		return nil, err
	}
	return id, nil
}

// event writes an audit event with the client and the id of the request.
func (p *Portal) event(r *http.Request, name string, attrs ...slog.Attr) {
	p.o.Auth.Event(r.Context(), name, attrs...)
}

// couldNot returns a 503 for something that could not be found out or done. The
// visitor does not see err.
func couldNot(what string, err error) error {
	return web.Fail(http.StatusServiceUnavailable, "", fmt.Errorf("%s: %w", what, err))
}
