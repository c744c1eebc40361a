package portal

import (
	"errors"
	"log/slog"
	"net/http"

	"gatehouse/auth"
	"gatehouse/auth/account"
	"gatehouse/auth/password"
	"gatehouse/internal/audit"
	"gatehouse/internal/web"
	"gatehouse/internal/web/lang"
)

// openPassword returns the target of the account page's form with the password.
func openPassword(p *Portal) (page, error) { return page{get: toAccount, post: p.postPassword}, nil }

// postPassword changes the visitor's password and ends their other sessions. Wrong
// current passwords are throttled like wrong passwords at the login page.
func (p *Portal) postPassword(w http.ResponseWriter, r *http.Request) error {
	f, id, err := p.checkForm(w, r)
	if err != nil {
		return err
	}
	if id == nil {
		return p.Challenge(w, r, auth.NeedLogin)
	}
	store := p.o.Accounts.PasswordStore(id.Source)
	if store == nil {
		return web.Refuse(http.StatusForbidden, "The administrator keeps the password of this account.")
	}
	code, problem, err := p.changePassword(w, r, id, store, f)
	switch {
	case errors.Is(err, account.ErrMoved):
		return p.lost(w, r, id)
	case err != nil:
		return err
	}
	if code != 0 {
		return p.accountForm(w, r, id, code, lang.Text{}, problem)
	}
	p.leaveNotice(w, r, noticePassword)
	redirect(w, r, http.StatusSeeOther, prefix)
	return nil
}

// lost responds to visitors whose account was changed or disabled elsewhere while
// they changed the password: it ends their session and shows the login form with
// 409.
func (p *Portal) lost(w http.ResponseWriter, r *http.Request, id *auth.Identity) error {
	p.o.Auth.End(r.Context(), &id.Session, "password")
	p.event(r, audit.LoginFailure, slog.String("user", id.Name), slog.String("reason", "the account was changed meanwhile"))
	return p.loginForm(w, r, http.StatusConflict, "", prefix, lang.Text{Key: msgLost}, 0)
}

// changePassword changes the password and renews the session. If the form is not
// accepted, it returns a status and what to tell the visitor; the status is 0 if the
// password was changed. account.ErrMoved means that the account or the session was
// changed or ended in the meantime.
//
// The session is checked again between hashing and storing, because hashing may
// wait in a queue: an ended session must not set a password any more.
func (p *Portal) changePassword(w http.ResponseWriter, r *http.Request, id *auth.Identity, store account.PasswordStore, f form) (int, trouble, error) {
	old, fresh := f["old_password"], f["new_password"]
	switch {
	case old == "" || len(old) > password.MaxLength:
		return http.StatusUnauthorized, because(msgOld, 0), nil
	case fresh != f["new_password_again"]:
		return http.StatusUnprocessableEntity, because("The two new passwords differ.", 0), nil
	case fresh == old:
		return http.StatusUnprocessableEntity, because("The new password is the old one.", 0), nil
	}
	if weak, ok := errors.AsType[*password.WeakError](password.Check(fresh, id.Name, p.o.PasswordMin)); ok {
		return http.StatusUnprocessableEntity, trouble{why: weak.Say}, nil
	}
	changed, err := p.o.Auth.ConfirmPassword(r, id, old)
	if err != nil {
		return unconfirmed(w, err)
	}
	hash, err := p.o.Hasher.Hash(p.o.Auth.Claim(r, id.Name), fresh)
	if err != nil {
		return 0, trouble{}, err
	}
	if ok, err := p.o.Auth.Counts(r.Context(), id.Session); err != nil {
		return 0, trouble{}, couldNot("change the password", err)
	} else if !ok { // ended while the hashes were made
		return 0, trouble{}, account.ErrMoved
	}
	changed.Stamp, err = store.ReplacePassword(r.Context(), id.Name, changed.Stamp, hash)
	switch {
	case errors.Is(err, account.ErrMoved), errors.Is(err, account.ErrNoAccount):
		return 0, trouble{}, account.ErrMoved
	case err != nil:
		return 0, trouble{}, couldNot("change the password", err)
	}
	p.event(r, audit.PasswordChanged, slog.String("user", id.Name), slog.String("by", "user"))
	if err := p.o.Auth.Renew(w, r, changed); err != nil {
		return 0, trouble{}, err
	}
	p.setCSRF(w, r)
	return 0, trouble{}, nil
}
