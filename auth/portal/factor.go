package portal

import (
	_ "embed" // the page
	"errors"
	"fmt"
	"maps"
	"net/http"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/account"
	"gatehouse/internal/web"
	"gatehouse/internal/web/lang"
)

//go:embed factor.html
var factorHTML string

// A login in two steps. After the right password of an account that requires a
// second factor, the state of the login is stored in the visitor's session under a
// new id, sealed like all session data. It grants no access to the account: only
// the second step begins a session for it.
const (
	halfLoginKey  = "_login"         // the key in the session's data
	halfLoginTime = 10 * time.Minute // the time for the second step
	maxWrongCodes = 5                // wrong codes after which the login starts again
)

// A halfLogin is the state of a login whose password was right.
type halfLogin struct {
	account.Ref // the account at that time; a later change ends the login

	Remember bool
	Next     string // the return-to address, which safe accepts
	State    string // that the login page was asked for with; "": none
	Begun    time.Time
	Wrong    int // wrong codes so far
}

// factorPage is the data of factor.html. Sentences are in the visitor's language.
type factorPage struct {
	web.PageData
	Name, CSRFToken string
	Error           string // a sentence that says what went wrong; "": nothing did
	Wrong           bool   // Error is about a wrong code
	Wait            string // a sentence that says when to try again; "": at once
}

// msgWrongCode is what visitors read after a wrong code.
const msgWrongCode = "Incorrect code. Wait for the next one and try again."

// openFactor returns the page of a login's second step.
func openFactor(p *Portal) (_ page, err error) {
	sample := factorPage{PageData: web.PageData{Lang: lang.All()[0]}}
	if p.factor, err = web.NewPage("factor.html", factorHTML, p.o.Face, sample); err != nil {
		return page{}, fmt.Errorf("page of the second step: %w", err)
	}
	p.factor.AllowExternalForms()
	return page{get: p.showFactor, post: p.postFactor}, nil
}

// beginSecondStep stores the state of the login and redirects to the second step.
func (p *Portal) beginSecondStep(w http.ResponseWriter, r *http.Request, half halfLogin) error {
	id, err := p.person(r)
	if err != nil {
		return err
	}
	s := p.o.Sessions.Open(r)
	half.Begun = time.Now()
	err = s.Set(r.Context(), halfLoginKey, half)
	if err == nil && id == nil {
		// A new id, in case somebody has planted the old one. If the visitor is
		// still signed in, the id is safe: it was made at that login.
		err = s.Cycle(r.Context())
	}
	if err == nil {
		err = p.o.Sessions.Commit(s, w.Header(), http.StatusSeeOther)
	}
	if err != nil {
		return couldNot("begin the second step of a login", err)
	}
	redirect(w, r, http.StatusSeeOther, prefix+"factor")
	return nil
}

// halfLogin returns the state of the visitor's login; nil if there is none or it is
// too old.
func (p *Portal) halfLogin(r *http.Request) (*halfLogin, error) {
	half := new(halfLogin)
	ok, err := p.o.Sessions.Open(r).Get(r.Context(), halfLoginKey, half)
	switch {
	case err != nil:
		return nil, couldNot("look up a half-done login", err)
	case !ok || half.Name == "" || time.Since(half.Begun) > p.halfway:
		return nil, nil //nolint:nilnil // none
	}
	return half, nil
}

// showFactor asks for the second factor. If no login has been started, it redirects
// to the first step.
func (p *Portal) showFactor(w http.ResponseWriter, r *http.Request) error {
	half, err := p.halfLogin(r)
	if err != nil {
		return err
	}
	if half == nil {
		return seeOther(w, r, prefix+"login")
	}
	id, err := p.person(r)
	if err != nil {
		return err
	}
	return p.factorForm(w, r, http.StatusOK, half, sessionOf(id), lang.Text{}, 0)
}

// factorForm writes the form with the status code, what went wrong, and when to try
// again.
func (p *Portal) factorForm(w http.ResponseWriter, r *http.Request, code int, half *halfLogin, session string, problem lang.Text, wait time.Duration) error {
	data := factorPage{PageData: p.frame(r, prefix+"factor"), Name: half.Name, CSRFToken: p.formToken(w, r, session)}
	data.Error, data.Wrong, data.Wait = data.Lang.Say(problem), problem.Key == msgWrongCode, data.Lang.Wait(wait)
	return p.factor.Write(w, r, code, data)
}

// postFactor signs the visitor in if the code is right, and shows the form again
// otherwise. The password is not checked again: CheckFactor confirms that the account
// has not changed since.
func (p *Portal) postFactor(w http.ResponseWriter, r *http.Request) error {
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	if err := p.sentFromHere(r); err != nil {
		return err
	}
	id, err := p.person(r)
	if err != nil {
		return err
	}
	half, err := p.halfLogin(r)
	switch {
	case err != nil:
		return err
	case half == nil: // too late, or finished in another tab
		return seeOther(w, r, prefix+"login")
	case !p.validToken(r, f["csrf_token"], sessionOf(id)):
		say, why := p.tokenTrouble(r, f["csrf_token"])
		p.noteForged(r, why)
		return p.factorForm(w, r, http.StatusForbidden, half, sessionOf(id), say, 0)
	}
	owner, method, err := p.o.Auth.CheckFactor(r, half.Ref, f["code"])
	if err == nil {
		err = p.o.Auth.SignIn(w, r, auth.SignIn{
			Account: owner, Methods: []string{"pwd", method}, Level: 2, Remember: half.Remember, Spent: []string{keptKey, halfLoginKey},
		})
	}
	switch e := (*web.Error)(nil); {
	case errors.Is(err, account.ErrMoved):
		return p.restartLogin(w, r)
	case errors.Is(err, auth.ErrWrong):
		return p.wrongCode(w, r, half, sessionOf(id))
	case errors.As(err, &e) && e.Code == http.StatusTooManyRequests:
		maps.Copy(w.Header(), e.Header)
		return p.factorForm(w, r, e.Code, half, sessionOf(id), lang.Text{Key: e.Msg}, e.Wait())
	case err != nil:
		return err
	}
	p.setCSRF(w, r)
	next, _ := p.safe(r, half.Next)
	redirect(w, r, http.StatusSeeOther, onward(next, half.State))
	return nil
}

// wrongCode counts a wrong code. It shows the form again or, after maxWrongCodes,
// restarts the login.
func (p *Portal) wrongCode(w http.ResponseWriter, r *http.Request, half *halfLogin, session string) error {
	if half.Wrong++; half.Wrong >= maxWrongCodes {
		return p.restartLogin(w, r)
	}
	s := p.o.Sessions.Open(r)
	err := s.Set(r.Context(), halfLoginKey, half)
	if err == nil {
		err = p.o.Sessions.Commit(s, w.Header(), http.StatusUnauthorized)
	}
	if err != nil {
		return couldNot("count a wrong code", err)
	}
	return p.factorForm(w, r, http.StatusUnauthorized, half, session, lang.Text{Key: msgWrongCode}, 0)
}

// restartLogin deletes the state of the login and redirects to the first step.
func (p *Portal) restartLogin(w http.ResponseWriter, r *http.Request) error {
	s := p.o.Sessions.Open(r)
	err := s.Delete(r.Context(), halfLoginKey)
	if err == nil {
		err = p.o.Sessions.Commit(s, w.Header(), http.StatusSeeOther)
	}
	if err != nil {
		return couldNot("begin a login anew", err)
	}
	return seeOther(w, r, prefix+"login")
}
