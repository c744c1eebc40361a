// Package portal is the pages of ours under auth.Prefix, through which people
// sign in, sign out and look after their account: forms and the tokens in
// them, where to go next, what is said, in which language and with which face.
// It asks package auth who somebody is, and has it sign them in.
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

// prefix is where our pages are.
const prefix = auth.Prefix

// Options are what a Portal is made of.
type Options struct {
	// Auth knows who somebody is, and signs people in. Required.
	Auth *auth.Auth
	// Sessions are those that Auth signs people in to. Required.
	Sessions *sessions.Manager
	// Cookies are those of Auth. Required.
	Cookies *auth.Cookies
	// Accounts are those of Auth, in which passwords are changed. Required.
	Accounts *account.Sources
	// Hasher makes the hashes of new passwords. Required.
	Hasher *password.Hasher

	Remember time.Duration // how long "keep me signed in" keeps; 0: not offered
	// PasswordMin is how many characters a new password has at least; 0:
	// password.DefaultMinLength.
	PasswordMin int
	Title       string       // of the login page; "": Sign in, in the visitor's language
	Face        web.Branding // what the operator puts on our pages; its Cookie is that of Cookies
	// LoginFor returns what the login page shows to a person on the way to next,
	// a path of the host that r is for, in place of Title and the logo of Face.
	// nil: nothing.
	LoginFor func(r *http.Request, next string) RouteLoginConfig
	// LoginHTML is the template of the login page (login.html or the operator's);
	// see LoginPage for its data. Required.
	LoginHTML string
	// BodyTime is how long the body of a request to one of our pages may take; 0:
	// 10 seconds.
	BodyTime time.Duration

	Log *slog.Logger // nil: nothing is logged
}

// A Portal serves our own pages. It belongs to one configuration. Safe for
// concurrent use.
type Portal struct {
	o       Options
	pages   map[string]page // by path
	login   *web.Page
	factor  *web.Page
	logout  *web.Page
	account *web.Page
	keeping *limit.Table  // how often return-to addresses were kept
	fresh   time.Duration // freshFor
	halfway time.Duration // halfLoginTime
}

// New checks the options and the template.
func New(o Options) (*Portal, error) {
	if o.Auth == nil || o.Sessions == nil || o.Cookies == nil || o.Accounts == nil || o.Hasher == nil {
		return nil, errors.New("portal: auth, sessions, cookies, accounts and a hasher are required")
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

// A page is what is served at one path: one handler for GET and HEAD, one for
// POST. nil: the method is not allowed.
type page struct {
	get, post web.Handler
}

// table are all pages by their paths below prefix. Each is opened once, when a
// Portal is made, and reads its template then.
var table = map[string]func(*Portal) (page, error){
	"":                    openAccount,
	"login":               openLogin,
	"factor":              openFactor,
	"logout":              openLogout,
	"password":            openPassword,
	"session":             openSession,
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
//
// prefix without its slash, and a GET of what only takes a POST (a page that
// is loaded again, or typed), lead to the account page. Only session and
// static/ answer scripts; see visited.
//
// Only the literal spelling of a path counts. Like every handler of ours it
// returns what goes wrong, for web.Pages to answer.
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
	found, ok := p.pages[path]
	if !ok {
		return web.Refuse(http.StatusNotFound, "")
	}
	return found.serve(w, r)
}

// CookieNames returns the names of all cookies of ours: none of them may pass
// to an upstream, or come from one.
func (p *Portal) CookieNames() []string {
	return append(p.o.Sessions.CookieNames(), p.o.Cookies.Names()...)
}

// serve answers with the handler of the request's method, or refuses it.
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

// toAccount leads to the account page.
func toAccount(w http.ResponseWriter, r *http.Request) error { return seeOther(w, r, prefix) }

// person returns who is signed in with the request's session, with the outcomes
// of Auth.Identify. An identity that came without a session is nobody here: our
// pages are for browsers, and their forms are bound to a session.
func (p *Portal) person(r *http.Request) (*auth.Identity, error) {
	id, err := p.o.Auth.Identify(r)
	if err != nil || !id.HasSession() {
		return nil, err
	}
	return id, nil
}

// event writes an audit event with where it came from.
func (p *Portal) event(r *http.Request, name string, attrs ...slog.Attr) {
	p.o.Auth.Event(r.Context(), name, attrs...)
}

// couldNot is the failure of what could not be told or done.
func couldNot(what string, err error) error {
	return web.Fail(http.StatusServiceUnavailable, "", fmt.Errorf("%s: %w", what, err))
}
