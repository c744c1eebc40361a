package portal

import (
	_ "embed" // the page
	"fmt"
	"log/slog"
	"net/http"

	"gatehouse/auth"
	"gatehouse/internal/audit"
	"gatehouse/internal/web"
	"gatehouse/internal/web/lang"
)

//go:embed logout.html
var logoutHTML string

// openLogout is the page that asks whether to sign out.
func openLogout(p *Portal) (_ page, err error) {
	if p.logout, err = web.NewPage("logout.html", logoutHTML, p.o.Face, logoutPage{PageData: web.PageData{Lang: lang.All()[0]}}); err != nil {
		return page{}, fmt.Errorf("logout page: %w", err)
	}
	p.logout.AllowExternalForms()
	return page{get: p.showLogout, post: p.postLogout}, nil
}

type logoutPage struct {
	web.PageData
	Name, CSRFToken string
	Next            string // "" when there is none
}

// showLogout asks: a GET ends nothing, since any page can make a browser
// send one.
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
		return seeOther(w, r, afterLogout(next))
	}
	frame := p.frame(r, withNext("logout", next))
	return p.logout.Write(w, r, http.StatusOK, logoutPage{PageData: frame, Name: id.Name, Next: next, CSRFToken: p.formToken(w, r, id.Session.Key)})
}

// postLogout ends the session. Who is not signed in any more (two logouts at
// once) is told the same.
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
		p.leaveNotice(w, r, noticeLogout)
	}
	next, given := p.nextIn(f, r)
	if !given {
		next = ""
	}
	redirect(w, r, http.StatusSeeOther, afterLogout(next))
	return nil
}

// endOwn ends the session of the visitor himself, and has the login page say so.
func (p *Portal) endOwn(w http.ResponseWriter, r *http.Request, id *auth.Identity) error {
	s := p.o.Sessions.Open(r)
	if err := s.Logout(r.Context()); err != nil {
		return couldNot("sign out", err)
	}
	if err := p.o.Sessions.Commit(s, w.Header(), http.StatusSeeOther); err != nil {
		return couldNot("sign out", err)
	}
	p.leaveNotice(w, r, noticeLogout)
	if web.From(r.Context()).Secure() {
		// So that the Back button shows nothing. Browsers take this over
		// https only.
		w.Header().Set("Clear-Site-Data", `"cache"`)
	}
	p.event(r, audit.Logout, slog.String("user", id.Name), slog.String("session", id.Session.Handle))
	return nil
}

func afterLogout(next string) string {
	if next == "" {
		return prefix + "login"
	}
	return next
}
