package portal

import (
	_ "embed" // the page
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"gatehouse/auth"
	"gatehouse/internal/audit"
	"gatehouse/internal/web"
	"gatehouse/internal/web/lang"
	"gatehouse/sessions"
)

//go:embed logout.html
var logoutHTML string

// openLogout returns the page that asks whether to sign out.
func openLogout(p *Portal) (_ page, err error) {
	if p.logout, err = web.NewPage("logout.html", logoutHTML, p.o.Face, logoutPage{PageData: web.PageData{Lang: lang.All()[0]}}); err != nil {
		return page{}, fmt.Errorf("logout page: %w", err)
	}
	p.logout.AllowExternalForms()
	return page{get: p.showLogout, post: p.postLogout}, nil
}

// logoutPage is the data of logout.html.
type logoutPage struct {
	web.PageData
	Name, CSRFToken string
	Next            string // where to go afterwards, a safe path; "": to the login page
}

// showLogout asks for confirmation. A GET never ends a session, because any page
// can make a browser send one.
func (p *Portal) showLogout(w http.ResponseWriter, r *http.Request) error {
	id, err := p.person(r)
	if err != nil {
		return err
	}
	next, given := p.nextOf(r)
	if !given || len(quote(next)) > maxShown {
		next = ""
	}
	if id == nil {
		return seeOther(w, r, p.afterLogout(r, next))
	}
	frame := p.frame(r, withNext("logout", next))
	return p.logout.Write(w, r, http.StatusOK, logoutPage{PageData: frame, Name: id.Name, Next: next, CSRFToken: p.formToken(w, r, id.Session.Key)})
}

// postLogout ends the session. Visitors who are not signed in any more, for example
// after a logout in another tab, get the same response.
func (p *Portal) postLogout(w http.ResponseWriter, r *http.Request) error {
	f, id, err := p.checkForm(w, r)
	if err != nil {
		return err
	}
	if id != nil {
		if err := p.endOwn(w, r, id); err != nil {
			return err
		}
	} else if p.o.Sessions.HasCookie(r) {
		p.o.Sessions.ClearCookies(r, w.Header())
		p.noteLogout(w, r)
	}
	next, given := p.nextIn(f, r)
	if !given {
		next = ""
	}
	redirect(w, r, http.StatusSeeOther, p.afterLogout(r, next))
	return nil
}

// noteLogout leaves a notice for the login page. That of another host finds out by
// itself; see endOf.
func (p *Portal) noteLogout(w http.ResponseWriter, r *http.Request) {
	if !p.onAppHost(r) {
		p.leaveNotice(w, r, noticeLogout)
	}
}

// endOwn ends the session that the request came with, or what it is on this host, and
// leaves a notice for the login page.
func (p *Portal) endOwn(w http.ResponseWriter, r *http.Request, id *auth.Identity) error {
	if err := p.end(w, r, id); err != nil {
		return couldNot("sign out", err)
	}
	p.noteLogout(w, r)
	if web.From(r.Context()).Secure() {
		// The Back button must not show cached pages. Browsers accept this
		// header over https only.
		w.Header().Set("Clear-Site-Data", `"cache"`)
	}
	attrs := []slog.Attr{slog.String("user", id.Name), slog.String("session", id.Session.Handle)}
	if id.Session.Host != "" {
		attrs = append(attrs, slog.String("host", id.Session.Host))
	}
	p.event(r, audit.Logout, attrs...)
	return nil
}

// end ends the session of the request, and deletes its cookie. On the host of an
// application, Options.LogoutHost ends what it is there.
func (p *Portal) end(w http.ResponseWriter, r *http.Request, id *auth.Identity) error {
	switch {
	case id.Session.Host == "":
		s := p.o.Sessions.Open(r)
		if err := s.Logout(r.Context()); err != nil {
			return err
		}
		return p.o.Sessions.Commit(s, w.Header(), http.StatusSeeOther)
	case p.o.LogoutHost:
		return p.o.Sessions.LeaveHost(r, w.Header(), id.Session)
	}
	if _, err := p.o.Sessions.Revoke(r.Context(), id.Session.Key, "logout"); err != nil && !errors.Is(err, sessions.ErrNotFound) {
		return err
	}
	p.o.Sessions.ClearCookies(r, w.Header())
	return nil
}

// afterLogout returns where to go after a logout: next, or the login page if it is
// "". Whoever has left one host alone is still signed in on the login host, and goes
// to the account page.
func (p *Portal) afterLogout(r *http.Request, next string) string {
	switch {
	case next != "":
		return next
	case !p.onAppHost(r):
		return prefix + "login"
	case p.o.LogoutHost:
		return p.loginOrigin(r) + prefix
	default:
		return p.loginOrigin(r) + prefix + "login"
	}
}
