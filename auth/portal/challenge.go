package portal

import (
	"errors"
	"net/http"

	"gatehouse/auth"
	"gatehouse/internal/web"
	"gatehouse/sessions"
)

// Challenge responds to a request that lacks what the auth.Need says; today that is
// always a login. A navigation is redirected to the login page, with a return-to
// address in next. Everything else gets a 401 problem+json with login_url
// (contract.md: Answers of the gate). If it returns an error it has written nothing:
// with a login host, where the browser and the gate do not agree about https.
//
// The return-to address of a GET or HEAD is its own target. Another method cannot
// be repeated by a redirect, so it returns to the page that it was sent from. The
// redirect is relative: it contains nothing that the client said about the host. With
// a login host it leads there, with an address of this host, which a route has.
func (p *Portal) Challenge(w http.ResponseWriter, r *http.Request, _ auth.Need) error {
	web.AddVary(w.Header(), "Cookie")
	if ended := p.forget(w, r); ended != "" && !p.onAppHost(r) {
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
	if p.onAppHost(r) {
		next := cameFrom(r)
		if r.Method == http.MethodGet || r.Method == http.MethodHead {
			next, _ = SafeNext(target(r))
		}
		return p.leave(w, r, next)
	}
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		next, _ := SafeNext(target(r))
		redirect(w, r, http.StatusFound, loginURL(p.shortNext(w, r, next)))
		return nil
	}
	redirect(w, r, http.StatusSeeOther, loginURL(p.shortNext(w, r, cameFrom(r))))
	return nil
}

// forget deletes the cookie of a session that ended before this request, and
// returns the notice about its end; "" if there is nothing to delete. It does so
// only for a navigation to the login page: a late response to a script in another
// tab, or to a request that was cut off by the end of its session, would delete a
// cookie that was set in the meantime. Cookies that we did not sign stay, because
// they may be those of another gate, and so do two valid ones that differ; the
// next login replaces them.
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

// redirect responds with a redirect that must not be cached. location must be a
// path of ours or a result of SafeNext.
func redirect(w http.ResponseWriter, r *http.Request, code int, location string) {
	redirectAs(w, r, code, location, "same-origin")
}

// redirectAs is redirect with a Referrer-Policy, which the browser follows in the
// request that comes of it.
func redirectAs(w http.ResponseWriter, r *http.Request, code int, location, referrer string) {
	h := w.Header()
	web.PageHeaders(r, h)
	h.Set("Referrer-Policy", referrer)
	h.Set("Location", location)
	h.Set("Content-Length", "0")
	w.WriteHeader(code)
}

// seeOther redirects after what r asked for is done or not needed, so that the
// client continues with a GET: with 302 after GET and HEAD, and 303 after other
// methods. It always returns nil.
func seeOther(w http.ResponseWriter, r *http.Request, location string) error {
	code := http.StatusSeeOther
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		code = http.StatusFound
	}
	redirect(w, r, code, location)
	return nil
}
