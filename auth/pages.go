package auth

import (
	"cmp"
	_ "embed" // our pages and icons
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/web"
	"gatehouse/internal/web/lang"
)

var (
	//go:embed logout.html
	logoutHTML string
	//go:embed account.html
	accountHTML string
	//go:embed static/logo.svg
	logoSVG string
)

// A page is what lives at one path: one handler for GET and HEAD, one for
// POST; nil: the method is not allowed.
type page struct {
	get, post web.Handler
}

func (a *Auth) routes() map[string]page {
	return map[string]page{
		strings.TrimSuffix(Prefix, "/"): {get: toAccount},
		Prefix:                          {get: a.showAccount},
		Prefix + "login":                {get: a.showLogin, post: a.postLogin},
		Prefix + "logout":               {get: a.showLogout, post: a.postLogout},
		Prefix + "session":              {get: a.showSession},
		Prefix + "language":             {get: a.setLanguage},
		Prefix + "sessions/end":         {get: toAccount, post: a.postEnd},
		Prefix + "sessions/end-others":  {get: toAccount, post: a.postEndOthers},
		Prefix + "password":             {get: toAccount, post: a.postPassword},
		Prefix + "static/style.css":     {get: static("text/css; charset=utf-8", a.o.Face.Style())},
		Prefix + "static/logo.svg":      {get: static("image/svg+xml", logoSVG)},
		Prefix + "static/favicon.svg":   {get: static("image/svg+xml", logoSVG)},
	}
}

func (a *Auth) parsePages() (err error) {
	frame := web.PageData{Lang: lang.All()[0]}
	if a.login, err = newLoginPage(a.o.LoginHTML, a.o.Face); err != nil {
		return fmt.Errorf("login page: %w", err)
	}
	if a.logout, err = web.NewPage("logout.html", logoutHTML, a.o.Face, logoutPage{PageData: frame}); err != nil {
		return fmt.Errorf("logout page: %w", err)
	}
	a.logout.AllowExternalForms()
	if a.account, err = web.NewPage("account.html", accountHTML, a.o.Face, accountPage{PageData: frame, Sessions: []sessionRow{{}}}); err != nil {
		return fmt.Errorf("account page: %w", err)
	}
	return nil
}

// ServeHTTP serves the pages under Prefix:
//
//	login                 GET, POST  the form; see contract.md
//	logout                GET, POST  asks; ends the session
//	(itself)              GET        the account page, with the forms for
//	sessions/end          POST       csrf_token, session (a handle): end one
//	sessions/end-others   POST       csrf_token: end all but this one
//	password              POST       csrf_token, old_password, new_password, new_password_again
//	session               GET        JSON for scripts
//	language              GET        lang (a tag), next: remembers the language, and goes back
//	static/               GET        style.css, logo.svg, favicon.svg
//
// Prefix without its slash, and a GET of what only takes a POST (a page that
// is loaded again, or typed), lead to the account page. Only session and
// static/ answer to scripts; see visited.
//
// Only the literal spelling of a path counts. Like every handler of ours it
// returns what goes wrong, for web.Pages to answer.
func (a *Auth) ServeHTTP(w http.ResponseWriter, r *http.Request) error {
	limitBody(w, r, cmp.Or(a.o.BodyTime, defaultBodyTime))
	if r.Header.Get("Service-Worker") != "" {
		return web.Refuse(http.StatusBadRequest, "There is no service worker here.")
	}
	path := r.URL.EscapedPath()
	if !strings.HasPrefix(path, Prefix+"static/") {
		web.AddVary(w.Header(), "Cookie")
		if path != Prefix+"session" {
			if err := a.visited(r); err != nil {
				return err
			}
		}
	}
	p, ok := a.pages[path]
	if !ok {
		return web.Refuse(http.StatusNotFound, "")
	}
	switch {
	case p.get != nil && (r.Method == http.MethodGet || r.Method == http.MethodHead):
		return p.get(w, r)
	case p.post != nil && r.Method == http.MethodPost:
		return p.post(w, r)
	}
	return p.notAllowed()
}

func (p page) notAllowed() error {
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
func toAccount(w http.ResponseWriter, r *http.Request) error { return seeOther(w, r, Prefix) }

// static serves a text that never changes.
func static(kind, text string) web.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		send(w, r, kind, []byte(text))
		return nil
	}
}

func send(w http.ResponseWriter, r *http.Request, kind string, body []byte) {
	h := w.Header()
	web.PageHeaders(r, h)
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Content-Type", kind)
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	if r.Method != http.MethodHead {
		_, _ = w.Write(body) // a visitor who left is no failure of ours
	}
}

// A sessionStatus is what a script may know of its session. Seconds that are null
// have no end.
type sessionStatus struct {
	Authenticated bool     `json:"authenticated"`
	User          string   `json:"user"`
	Groups        []string `json:"groups"`
	IdleRemaining *int64   `json:"idle_remaining"` // until the session ends for lack of use
	Remaining     *int64   `json:"remaining"`      // until it ends whatever its use
}

// showSession never extends the session: a script that asks is no person who
// does something.
func (a *Auth) showSession(w http.ResponseWriter, r *http.Request) error {
	id, err := a.Identify(r)
	if err != nil {
		return err
	}
	s := sessionStatus{Groups: []string{}}
	if id == nil {
		s.IdleRemaining, s.Remaining = new(int64), new(int64)
	} else {
		s.Authenticated, s.User = true, id.Name
		s.Groups = append(s.Groups, id.Groups...)
		if id.Session.Idle > 0 {
			s.IdleRemaining = secondsUntil(id.Session.Expires)
		}
		s.Remaining = secondsUntil(id.Session.Limit)
	}
	body, err := json.Marshal(s)
	if err != nil {
		return fmt.Errorf("encode the session's state: %w", err)
	}
	send(w, r, "application/json", append(body, '\n'))
	return nil
}

func secondsUntil(t time.Time) *int64 {
	if t.IsZero() {
		return nil
	}
	left := max(0, int64(time.Until(t)/time.Second))
	return &left
}

// names of groups, sorted, for people.
func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }
