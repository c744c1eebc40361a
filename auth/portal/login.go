package portal

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	"gatehouse/auth"
	"gatehouse/internal/web"
	"gatehouse/internal/web/lang"
	"gatehouse/sessions"
)

// LoginPage is the data of the login page's template: login.html, or the operator's
// own. The form must be a POST to Action with the fields username, password, next,
// csrf_token and, if Remember is not empty, remember. For the functions of
// templates see web.NewPage; docs/login-page.md explains all of it to operators.
// Sentences are in the visitor's language.
type LoginPage struct {
	web.PageData
	Title       string // the title of the configuration, or of the route
	Action      string // the address that the form is posted to
	Next        string // the value of the hidden field next: a safe path, or a reference to one
	CSRFToken   string // the value of the hidden field csrf_token
	Notice      string // a sentence that says why the visitor is no longer signed in; "": none
	Error       string // a sentence that says what went wrong; "": nothing did
	Wrong       bool   // Error is about a wrong name or password
	Wait        string // a sentence that says when to try again; "": at once
	Remember    string // the label of the box, such as "Keep me signed in for 30 days"; "": do not show the box
	RememberFor string // such as "30 days"; not empty if Remember is not
}

// openLogin returns the login page, which asks for a name and a password.
func openLogin(p *Portal) (_ page, err error) {
	if p.login, err = newLoginPage(p.o.LoginHTML, p.o.Face); err != nil {
		return page{}, fmt.Errorf("login page: %w", err)
	}
	return page{get: p.showLogin, post: p.postLogin}, nil
}

// newLoginPage parses the template, and runs it with sample data both with all
// optional fields empty and with all of them set, so that a mistake shows when the
// configuration is loaded.
func newLoginPage(html string, face web.Branding) (*web.Page, error) {
	sample := LoginPage{
		PageData: web.PageData{Lang: lang.All()[0], Here: prefix + "login", Links: []web.Link{{Text: "Help", URL: "/help"}}},
		Title:    "Sign in", Action: prefix + "login", Next: "/", CSRFToken: "token",
	}
	if _, err := web.NewPage(loginName, html, face, sample); err != nil {
		return nil, err
	}
	sample.Logo, sample.Message = "data:image/png;base64,", "Welcome."
	sample.Notice, sample.Error, sample.Wrong, sample.Wait = "You are signed out.", "That did not work.", true, "Please try again in 5 minutes."
	sample.Remember, sample.RememberFor = "Keep me signed in for 30 days", "30 days"
	p, err := web.NewPage(loginName, html, face, sample)
	if err != nil {
		return nil, err
	}
	return p.AllowExternalForms(), nil
}

// loginName is the template's name in error messages.
const loginName = "login.html"

// What visitors read on the login page. msgWrong must not tell whether the account
// exists.
const (
	msgWrong = "The name or the password is not right."
	msgStale = "This page was out of date. Please sign in again."
)

// showLogin shows the form. Visitors who are signed in already are redirected to
// next if it is given: they have signed in from another tab. Without next they get the
// form, to sign in as somebody else.
func (p *Portal) showLogin(w http.ResponseWriter, r *http.Request) error {
	id, err := p.person(r)
	if err != nil {
		return err
	}
	next, _ := p.nextOf(r)
	if q := r.URL.Query(); id != nil && (q.Has("next") || q.Has("rd")) {
		if isAway(next) {
			return p.sendAway(w, r, id, next)
		}
		return seeOther(w, r, next)
	}
	n := p.takeNotice(w, r)
	switch {
	case id != nil:
		n = ""
	case n == "": // a script may have led here by login_url, for which forget sets no notice
		n = p.endOf(r)
	}
	data := p.loginPage(w, r, sessionOf(id), next)
	data.Notice, data.Error = data.Lang.Say(n.onLogin()), data.Lang.Say(p.whyNobody(r, id))
	return p.login.Write(w, r, http.StatusOK, data)
}

// whyNobody returns a message for visitors who are not signed in although they have
// session cookies: two that differ. It is empty for all others.
func (p *Portal) whyNobody(r *http.Request, id *auth.Identity) lang.Text {
	if id == nil {
		if _, err := p.o.Sessions.Find(r); errors.Is(err, sessions.ErrTwoSessions) {
			return lang.Text{Key: msgTwo}
		}
	}
	return lang.Text{}
}

// sessionOf returns the key of the visitor's session, to which their forms are
// bound; "" if nobody is signed in.
func sessionOf(id *auth.Identity) string {
	if id == nil {
		return ""
	}
	return id.Session.Key
}

// loginForm writes the form with the status code, what went wrong, and when to try
// again.
func (p *Portal) loginForm(w http.ResponseWriter, r *http.Request, code int, session, next string, problem lang.Text, wait time.Duration) error {
	data := p.loginPage(w, r, session, next)
	data.Error, data.Wrong, data.Wait = data.Lang.Say(problem), problem.Key == msgWrong, data.Lang.Wait(wait)
	return p.login.Write(w, r, code, data)
}

// loginPage returns the data of a form without any message. It may set the cookies
// that the form needs, so it must be called before the header is written.
func (p *Portal) loginPage(w http.ResponseWriter, r *http.Request, session, next string) LoginPage {
	short := p.shortNext(w, r, next)
	data := LoginPage{
		PageData: p.frame(r, withNext("login", short)), Title: p.o.Title, Action: prefix + "login", Next: short,
		CSRFToken: p.formToken(w, r, session),
	}
	if state := stateOfQuery(r); state != "" && isAway(next) {
		data.Here += stateQuery(state)
		data.Action += "?state=" + state
	}
	if p.o.LoginFor != nil {
		own := p.o.LoginFor(r, next)
		data.Title, data.Logo = cmp.Or(own.Title, data.Title), cmp.Or(own.LogoURL, data.Logo)
	}
	if data.Title == defaultTitle {
		data.Title = data.T(defaultTitle)
	}
	data.Remember, data.RememberFor = data.Lang.Remember(p.o.Remember), data.Lang.Duration(p.o.Remember)
	return data
}

// postLogin checks name and password. It then signs the visitor in and redirects to
// next, or to the second step if the account requires one; otherwise it shows the
// form again. A form that was sent after a login in another tab redirects to next.
// The CSRF nonce is replaced at a login: forms from before must not work after it.
func (p *Portal) postLogin(w http.ResponseWriter, r *http.Request) error {
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	if err := p.sentFromHere(r); err != nil {
		return err
	}
	next, _ := p.nextIn(f, r)
	id, err := p.person(r)
	if err != nil {
		return err
	}
	session := sessionOf(id)
	switch known := p.loginToken(r, f["csrf_token"], session); {
	case known == tokenSpent:
		return seeOther(w, r, onward(next, stateOfQuery(r)))
	case known != tokenGood:
		say, why := p.tokenTrouble(r, f["csrf_token"])
		p.noteForged(r, why)
		return p.loginForm(w, r, http.StatusForbidden, session, next, say, 0)
	}
	found, err := p.o.Auth.CheckPassword(r, f["username"], f["password"])
	if err == nil {
		var half bool
		remember := f["remember"] != "" && p.o.Remember > 0
		switch half, err = p.o.Auth.NeedsFactor(r.Context(), found); {
		case half:
			return p.beginSecondStep(w, r, halfLogin{Ref: found.Ref(), Remember: remember, Next: next, State: stateOfQuery(r)})
		case err == nil:
			err = p.o.Auth.SignIn(w, r, auth.SignIn{Account: found, Remember: remember, Spent: []string{keptKey, halfLoginKey}})
		}
	}
	switch e := (*web.Error)(nil); {
	case errors.Is(err, auth.ErrWrong):
		return p.loginForm(w, r, http.StatusUnauthorized, session, next, lang.Text{Key: msgWrong}, 0)
	case errors.As(err, &e) && e.Code == http.StatusTooManyRequests:
		maps.Copy(w.Header(), e.Header)
		return p.loginForm(w, r, e.Code, session, next, lang.Text{Key: e.Msg}, e.Wait())
	case err != nil:
		return err
	}
	p.setCSRF(w, r)
	redirect(w, r, http.StatusSeeOther, onward(next, stateOfQuery(r)))
	return nil
}
