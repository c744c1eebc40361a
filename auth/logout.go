package auth

import (
	"log/slog"
	"net/http"

	"gatehouse/internal/audit"
	"gatehouse/internal/web"
)

type logoutPage struct {
	web.PageData
	Name, CSRFToken string
	Next            string // "" when there is none
}

// showLogout asks: a GET ends nothing, since any page can make a browser
// send one.
func (a *Auth) showLogout(w http.ResponseWriter, r *http.Request) error {
	id, err := a.Identify(r)
	if err != nil {
		return err
	}
	next, given := a.nextOf(r)
	if !given || len(quote(next)) > maxShown {
		next = ""
	}
	if id == nil {
		return seeOther(w, r, afterLogout(next))
	}
	frame := a.frame(r, withNext("logout", next))
	return a.logout.Write(w, r, http.StatusOK, logoutPage{PageData: frame, Name: id.Name, Next: next, CSRFToken: a.formToken(w, r, id.Session.Key)})
}

// postLogout ends the session. Who is not signed in any more (two logouts at
// once) is told the same.
func (a *Auth) postLogout(w http.ResponseWriter, r *http.Request) error {
	f, id, err := a.checkForm(w, r)
	if err != nil {
		return err
	}
	if id != nil {
		if err := a.endOwn(w, r, id); err != nil {
			return err
		}
	} else if a.o.Sessions.HasCookie(r) {
		a.o.Sessions.ClearCookies(r, w.Header())
		a.leaveNotice(w, r, noticeLogout)
	}
	next, given := a.nextIn(f, r)
	if !given {
		next = ""
	}
	redirect(w, r, http.StatusSeeOther, afterLogout(next))
	return nil
}

// endOwn ends the session of the visitor himself, and has the login page say so.
func (a *Auth) endOwn(w http.ResponseWriter, r *http.Request, id *Identity) error {
	s := a.o.Sessions.Open(r)
	if err := s.Logout(r.Context()); err != nil {
		return couldNot("sign out", err)
	}
	if err := a.o.Sessions.Commit(s, w.Header(), http.StatusSeeOther); err != nil {
		return couldNot("sign out", err)
	}
	a.leaveNotice(w, r, noticeLogout)
	if web.From(r.Context()).Secure() {
		// So that the Back button shows nothing. Browsers take this over
		// https only.
		w.Header().Set("Clear-Site-Data", `"cache"`)
	}
	a.event(r, audit.Logout, slog.String("user", id.Name), slog.String("session", id.Session.Handle))
	return nil
}

func afterLogout(next string) string {
	if next == "" {
		return Prefix + "login"
	}
	return next
}
