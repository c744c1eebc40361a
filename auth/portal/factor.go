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

// A login of two steps. After the right password of an account that asks for a
// second factor, what is known so far is kept in the visitor's session, sealed
// as all data are, under a new id. It admits nothing: the session is nobody's
// until the second step, which begins another one.
const (
	halfLoginKey  = "_login"         // in the session
	halfLoginTime = 10 * time.Minute // for the second step
	maxWrongCodes = 5                // of one login; then it begins anew
)

// A halfLogin is a login whose password was right.
type halfLogin struct {
	account.Ref // as the account was then; a change since ends the login

	Remember bool
	Next     string // where the visitor goes afterwards; a safe path
	Begun    time.Time
	Wrong    int // how many codes were
}

// factorPage is the data of factor.html.
type factorPage struct {
	web.PageData
	Name, CSRFToken string
	Error           string // a sentence; "": there is none
	Wrong           bool   // it is the code that is not right
	Wait            string // a sentence: when to try again; "": at once
}

const msgWrongCode = "Incorrect code. Wait for the next one and try again."

// openFactor is the second step of a login.
func openFactor(p *Portal) (_ page, err error) {
	sample := factorPage{PageData: web.PageData{Lang: lang.All()[0]}}
	if p.factor, err = web.NewPage("factor.html", factorHTML, p.o.Face, sample); err != nil {
		return page{}, fmt.Errorf("page of the second step: %w", err)
	}
	p.factor.AllowExternalForms()
	return page{get: p.showFactor, post: p.postFactor}, nil
}

// beginSecondStep keeps the half-done login and leads to the second step.
func (p *Portal) beginSecondStep(w http.ResponseWriter, r *http.Request, half halfLogin) error {
	id, err := p.person(r)
	if err != nil {
		return err
	}
	s := p.o.Sessions.Open(r)
	half.Begun = time.Now()
	err = s.Set(r.Context(), halfLoginKey, half)
	if err == nil && id == nil {
		// An id that somebody has planted opens nothing of it. That of a person
		// who is still signed in as somebody else was made at their login.
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

// halfLogin returns the half-done login of the visitor; nil when there is none,
// or it is too old.
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

// showFactor asks for the second factor. Without a half-done login it leads to
// the first step.
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

// factorForm shows the form with what went wrong, and when to try again.
func (p *Portal) factorForm(w http.ResponseWriter, r *http.Request, code int, half *halfLogin, session string, problem lang.Text, wait time.Duration) error {
	data := factorPage{PageData: p.frame(r, prefix+"factor"), Name: half.Name, CSRFToken: p.formToken(w, r, session)}
	data.Error, data.Wrong, data.Wait = data.Lang.Say(problem), problem.Key == msgWrongCode, data.Lang.Wait(wait)
	return p.factor.Write(w, r, code, data)
}

// postFactor signs somebody in whose code is right, or says no.
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
	next, _ := SafeNext(half.Next)
	redirect(w, r, http.StatusSeeOther, next)
	return nil
}

// wrongCode counts a wrong code, and shows the form again or begins anew.
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

// restartLogin forgets the half-done login and leads to the first step.
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
