package portal

import (
	"errors"
	"net/http"

	"gatehouse/auth"
	"gatehouse/internal/web"
	"gatehouse/sessions"
)

// Challenge answers a request of which need says what it lacks; today that is
// a login, whatever it says. A navigation is redirected
// to the login page, with the way back in next; everything else gets 401
// problem+json with login_url (contract: Answers of the gate).
//
// The way back of a GET or HEAD is what it came for. Another method cannot be
// repeated by a redirect, so its way back is the page that it was sent from.
// The redirect is relative: nothing that a client said of a host is in it.
func (p *Portal) Challenge(w http.ResponseWriter, r *http.Request, _ auth.Need) error {
	web.AddVary(w.Header(), "Cookie")
	if ended := p.forget(w, r); ended != "" {
		p.leaveNotice(w, r, ended)
	}
	if !web.IsNavigation(r) {
		login := prefix + "login"
		if next := cameFrom(r); next != "/" && len(quote(next)) <= maxShown {
			login = loginURL(next)
		}
		web.WriteProblem(w, r, web.Problem{Status: http.StatusUnauthorized, Detail: "Please sign in.", LoginURL: login})
		return nil
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		next, _ := SafeNext(target(r))
		redirect(w, r, http.StatusFound, loginURL(p.shortNext(w, r, next)))
		return nil
	}
	redirect(w, r, http.StatusSeeOther, loginURL(p.shortNext(w, r, cameFrom(r))))
	return nil
}

// forget takes away the cookie of a session that had ended before the request
// came, when a person is on the way to the login page, and returns what that page
// says of its end; "": nothing. No other answer takes it away:
// one that is late, to a script in another tab or to a request that the end of
// its session has cut, would take away the cookie that came in between. What we
// did not sign stays, because it may be another gate's, and so do two that live:
// the next login replaces them.
func (p *Portal) forget(w http.ResponseWriter, r *http.Request) notice {
	if !web.IsNavigation(r) || !p.o.Sessions.HasCookie(r) || web.From(r.Context()).Session != "" {
		return ""
	}
	if _, err := p.o.Sessions.Find(r); !errors.Is(err, sessions.ErrNotFound) || errors.Is(err, sessions.ErrTwoSessions) {
		return ""
	}
	p.o.Sessions.ClearCookies(r, w.Header())
	return p.endOf(r)
}

// redirect answers with a redirect that nobody stores. The location is a
// path of ours or what SafeNext returned.
func redirect(w http.ResponseWriter, r *http.Request, code int, location string) {
	h := w.Header()
	web.PageHeaders(r, h)
	h.Set("Location", location)
	h.Set("Content-Length", "0")
	w.WriteHeader(code)
}

// seeOther is the redirect after what r asked for was done, or need not be:
// 302 after GET and HEAD, 303 after the others.
func seeOther(w http.ResponseWriter, r *http.Request, location string) error {
	code := http.StatusSeeOther
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		code = http.StatusFound
	}
	redirect(w, r, code, location)
	return nil
}
