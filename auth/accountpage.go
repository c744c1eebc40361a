package auth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/web"
	"gatehouse/internal/web/lang"
	"gatehouse/sessions"
)

// accountPage is the data of account.html.
type accountPage struct {
	web.PageData
	Name, DisplayName, Email string
	Groups                   string
	CSRFToken                string
	Notice                   string // what was done
	Error                    string // why a password was not changed
	Wait                     string // when to try again
	Confirm                  bool   // ending other sessions needs the password
	ConfirmError             string // why other sessions were not ended
	ConfirmWait              string // when to try again
	Sessions                 []sessionRow
	More                     bool // there are more sessions than are shown
	Others                   bool // there are others than this one
	CanChange                bool // the password is kept here
	MinPassword              int
}

type sessionRow struct {
	Handle, Agent, Addr string
	Login, Seen         time.Time
	This                bool
}

// Device says what the row's browser claims to be.
func (p accountPage) Device(s sessionRow) string {
	browser, system := device(s.Agent)
	switch {
	case browser == "" && system == "":
		return p.T("Unknown device")
	case system == "":
		return browser
	case browser == "":
		return strings.Replace(p.T("A browser on {system}"), "{system}", system, 1)
	default:
		return strings.NewReplacer("{browser}", browser, "{system}", system).Replace(p.T("{browser} on {system}"))
	}
}

// maxRows is how many sessions the page shows.
const maxRows = 200

func (a *Auth) showAccount(w http.ResponseWriter, r *http.Request) error {
	id, err := a.Identify(r)
	if err != nil {
		return err
	}
	if id == nil {
		return a.Challenge(w, r)
	}
	a.RecordActivity(id)
	return a.accountForm(w, r, id, http.StatusOK, a.takeNotice(w, r).onAccount(), trouble{})
}

// A trouble is why a password was not changed, or other sessions were not
// ended, and when to try again.
type trouble struct {
	why      lang.Text
	wait     time.Duration
	sessions bool // of the form with the sessions
}

// freshFor is how long a login speaks for the person by itself. After it, what
// touches other sessions needs the password: who has got hold of one session
// must not shut its owner out of the others.
const freshFor = 5 * time.Minute

func (a *Auth) isFresh(id *Identity) bool { return time.Since(id.Session.Login) < a.fresh }

func (a *Auth) accountForm(w http.ResponseWriter, r *http.Request, id *Identity, code int, done lang.Text, problem trouble) error {
	p := accountPage{
		PageData: a.frame(r, Prefix),
		Name:     id.Name, DisplayName: id.DisplayName, Email: id.Email, Groups: strings.Join(sorted(id.Groups), ", "),
		CSRFToken: a.formToken(w, r, id.Session.Key),
		CanChange: a.canChange(id), MinPassword: a.o.PasswordMin,
	}
	p.Notice = p.Lang.Say(done)
	if problem.sessions {
		p.ConfirmError, p.ConfirmWait = p.Lang.Say(problem.why), p.Lang.Wait(problem.wait)
	} else {
		p.Error, p.Wait = p.Lang.Say(problem.why), p.Lang.Wait(problem.wait)
	}
	for info, err := range a.o.Sessions.List(r.Context(), sessions.Query{User: id.Name}) {
		if err != nil {
			return couldNot("list sessions", err)
		}
		if len(p.Sessions) == maxRows {
			p.More = true
			break
		}
		p.Sessions = append(p.Sessions, sessionRow{
			Handle: info.Handle, Agent: info.Agent, Addr: info.Addr,
			Login: info.Login.UTC(), Seen: info.Seen.UTC(), This: info.Key == id.Session.Key,
		})
	}
	slices.SortStableFunc(p.Sessions, func(x, y sessionRow) int {
		if x.This != y.This {
			if x.This {
				return -1
			}
			return 1
		}
		return y.Seen.Compare(x.Seen)
	})
	p.Others = len(p.Sessions) > 1
	p.Confirm = p.Others && !a.isFresh(id)
	return a.account.Write(w, r, code, p)
}

func (a *Auth) canChange(id *Identity) bool { return a.database != nil && id.Source == sourceDatabase }

// postEnd ends one of the visitor's own sessions.
func (a *Auth) postEnd(w http.ResponseWriter, r *http.Request) error {
	f, id, err := a.checkForm(w, r)
	if err != nil {
		return err
	}
	if id == nil {
		return a.Challenge(w, r)
	}
	if f["session"] == id.Session.Handle {
		if err := a.endOwn(w, r, id); err != nil {
			return err
		}
		redirect(w, r, http.StatusSeeOther, Prefix+"login")
		return nil
	}
	if ok, err := a.reconfirmed(w, r, id, f); !ok {
		return err
	}
	own, err := a.ownSession(r.Context(), id.Name, f["session"])
	if err != nil {
		return err
	}
	if own.Key != "" { // else it has ended already
		switch _, err := a.o.Sessions.Revoke(r.Context(), own.Key, "revoked"); {
		case errors.Is(err, sessions.ErrNotFound): // it has ended meanwhile
		case err != nil:
			return couldNot("end a session", err)
		default:
			a.event(r, audit.SessionRevoked, slog.String("by", "user"), slog.String("user", id.Name), slog.String("session", own.Handle), slog.String("reason", "revoked"))
		}
	}
	a.leaveNotice(w, r, noticeDevice)
	redirect(w, r, http.StatusSeeOther, Prefix)
	return nil
}

// ownSession finds a session by its handle among the user's own: nobody ends
// another's. The zero Info says that there is none.
func (a *Auth) ownSession(ctx context.Context, user, handle string) (sessions.Info, error) {
	for info, err := range a.o.Sessions.List(ctx, sessions.Query{User: user}) {
		if err != nil {
			return sessions.Info{}, couldNot("end a session", err)
		}
		if info.Handle == handle {
			return info, nil
		}
	}
	return sessions.Info{}, nil
}

// postEndOthers ends all of the visitor's sessions but this one.
func (a *Auth) postEndOthers(w http.ResponseWriter, r *http.Request) error {
	f, id, err := a.checkForm(w, r)
	if err != nil {
		return err
	}
	if id == nil {
		return a.Challenge(w, r)
	}
	if ok, err := a.reconfirmed(w, r, id, f); !ok {
		return err
	}
	if err := a.endOthers(r, id.Name, id.Session.Key, "revoked"); err != nil {
		return err
	}
	a.leaveNotice(w, r, noticeOthers)
	redirect(w, r, http.StatusSeeOther, Prefix)
	return nil
}

func (a *Auth) endOthers(r *http.Request, user, key, reason string) error {
	n, err := a.o.Sessions.RevokeUser(r.Context(), user, reason, func(i sessions.Info) bool { return i.Key == key })
	if err != nil {
		return couldNot("end sessions", err)
	}
	if n > 0 {
		a.event(r, audit.SessionRevoked, slog.String("by", "user"), slog.String("user", user), slog.Int("count", n), slog.String("reason", reason))
	}
	return nil
}

// postPassword changes the visitor's password. Guessing the old one here is
// counted like guessing it at the login page.
func (a *Auth) postPassword(w http.ResponseWriter, r *http.Request) error {
	f, id, err := a.checkForm(w, r)
	if err != nil {
		return err
	}
	if id == nil {
		return a.Challenge(w, r)
	}
	if !a.canChange(id) {
		return web.Refuse(http.StatusForbidden, "The administrator keeps the password of this account.")
	}
	code, problem, err := a.changePassword(w, r, id, f)
	switch {
	case errors.Is(err, ErrMoved):
		return a.lost(w, r, id)
	case err != nil:
		return err
	}
	if code != 0 {
		return a.accountForm(w, r, id, code, lang.Text{}, problem)
	}
	a.leaveNotice(w, r, noticePassword)
	redirect(w, r, http.StatusSeeOther, Prefix)
	return nil
}

// lost answers somebody whose password was changed by another, or whose account
// was disabled, while they changed it: their session ends, and the page says so.
func (a *Auth) lost(w http.ResponseWriter, r *http.Request, id *Identity) error {
	a.end(r.Context(), &id.Session, "password")
	a.event(r, audit.LoginFailure, slog.String("user", id.Name), slog.String("reason", "the account was changed meanwhile"))
	return a.loginForm(w, r, http.StatusConflict, "", Prefix, lang.Text{Key: msgLost}, 0)
}

// changePassword changes it, or gives a status and what to tell the person.
// ErrMoved: somebody else has changed the account meanwhile.
func (a *Auth) changePassword(w http.ResponseWriter, r *http.Request, id *Identity, f form) (int, trouble, error) {
	old, fresh := f["old_password"], f["new_password"]
	switch {
	case old == "" || len(old) > maxPassword:
		return http.StatusUnauthorized, because(msgOld, 0), nil
	case fresh != f["new_password_again"]:
		return http.StatusUnprocessableEntity, because("The two new passwords differ.", 0), nil
	case fresh == old:
		return http.StatusUnprocessableEntity, because("The new password is the old one.", 0), nil
	}
	if weak := weakness(fresh, id.Name, a.o.PasswordMin); weak != nil {
		return http.StatusUnprocessableEntity, trouble{why: weak.say}, nil
	}
	account, err := a.confirm(r, id, old)
	if err != nil {
		return unconfirmed(w, err)
	}
	hash, err := a.o.Hasher.hash(r.Context(), a.visitor(r, id.Name).claim(), fresh)
	if err != nil {
		return 0, trouble{}, err
	}
	if ok, err := a.Counts(r.Context(), id.Session); err != nil {
		return 0, trouble{}, couldNot("change the password", err)
	} else if !ok { // ended while the hashes were made
		return 0, trouble{}, ErrMoved
	}
	stamp, err := a.database.ReplacePassword(r.Context(), id.Name, account.Stamp, hash)
	switch {
	case errors.Is(err, ErrMoved), errors.Is(err, ErrNoAccount):
		return 0, trouble{}, ErrMoved
	case err != nil:
		return 0, trouble{}, couldNot("change the password", err)
	}
	a.event(r, audit.PasswordChanged, slog.String("user", id.Name), slog.String("by", "user"))
	account.Stamp = stamp
	return 0, trouble{}, a.renew(w, r, id, account)
}

// reconfirmed reports whether something may be done to the visitor's other
// sessions: after a fresh login, or with the password in the form. When it may
// not, the visitor is answered, or err says what went wrong.
func (a *Auth) reconfirmed(w http.ResponseWriter, r *http.Request, id *Identity, f form) (ok bool, err error) {
	if a.isFresh(id) {
		return true, nil
	}
	code, problem := http.StatusUnauthorized, because(msgOld, 0)
	if password := f["password"]; password != "" && len(password) <= maxPassword {
		if _, err = a.confirm(r, id, password); err == nil {
			return true, nil
		}
		if code, problem, err = unconfirmed(w, err); err != nil {
			return false, err
		}
	}
	problem.sessions = true
	return false, a.accountForm(w, r, id, code, lang.Text{}, problem)
}

// unconfirmed gives a status and what to tell the person when confirm returned
// err; an error when that is not the person's fault.
func unconfirmed(w http.ResponseWriter, err error) (int, trouble, error) {
	switch e := (*web.Error)(nil); {
	case errors.Is(err, errWrong):
		return http.StatusUnauthorized, because(msgOld, 0), nil
	case errors.As(err, &e) && e.Code == http.StatusTooManyRequests:
		w.Header().Set("Retry-After", e.Header.Get("Retry-After"))
		return e.Code, because(e.Msg, e.Wait()), nil
	default:
		return 0, trouble{}, err
	}
}

const (
	msgOld  = "The current password is not right."
	msgLost = "Your account was changed elsewhere at the same time. Your password is not changed. Please sign in again."
)

func because(text string, wait time.Duration) trouble {
	return trouble{why: lang.Text{Key: text}, wait: wait}
}

// confirm checks the password of somebody who is signed in once more.
func (a *Auth) confirm(r *http.Request, id *Identity, password string) (Account, error) {
	v := a.visitor(r, id.Name)
	y, err := a.count(r, v)
	if err != nil {
		return Account{}, err
	}
	account, err := latest(r.Context(), a.accounts(), id.Name)
	if err != nil && !errors.Is(err, ErrNoAccount) {
		y.giveBack(r.Context())
		return Account{}, couldNot("look up an account", err)
	}
	if outdated(&id.Session, &account, err) != "" {
		y.giveBack(r.Context())
		return Account{}, ErrMoved
	}
	switch right, err := a.o.Hasher.check(r.Context(), v.claim(), account.PasswordHash, password); {
	case err != nil:
		y.giveBack(r.Context())
		return Account{}, err
	case !right:
		a.event(r, audit.LoginFailure, slog.String("user", id.Name), slog.String("reason", "wrong old password"))
		return Account{}, errWrong
	}
	y.giveBack(r.Context())
	return account, nil
}

// renew gives the session of somebody who has changed the password a new id
// and the new stamp, and ends the others. Another request of the same
// browser may have met the new stamp first, and ended the session: then there
// is a new one, since the password was just given.
func (a *Auth) renew(w http.ResponseWriter, r *http.Request, id *Identity, account Account) error {
	s := a.o.Sessions.Open(r)
	err := s.Renew(r.Context(), account.Stamp)
	var info sessions.Info
	switch {
	case errors.Is(err, sessions.ErrNotFound):
		if info, err = a.newSession(w, r, account, false); err != nil {
			return err
		}
	case err != nil:
		return couldNot("renew the session", err)
	default:
		if info, err = s.Info(r.Context()); err == nil {
			err = a.o.Sessions.Commit(s, w.Header(), http.StatusSeeOther)
		}
		if err != nil {
			return couldNot("renew the session", err)
		}
	}
	if err := a.confirmed(r.Context(), &info); err != nil {
		return err
	}
	a.setCSRF(w, r)
	return a.endOthers(r, id.Name, info.Key, "password")
}
