package auth

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/web"
	"gatehouse/sessions"
)

// LoginPage is the data of the login page's template (login.html, or the
// operator's own). The form is a POST to Action with the fields username,
// password, next, csrf_token and, where RememberFor is not empty, remember.
// {{style}} stands for our style sheet.
type LoginPage struct {
	Title       string // of the configuration
	Action      string // where the form is posted to
	Next        string // the hidden field next: where to go afterwards; a safe path
	CSRFToken   string // the hidden field csrf_token
	Error       string // a sentence to show; "" when there is none
	RememberFor string // such as "30 days"; "": the box is not offered
}

var sampleLogin = LoginPage{
	Title: "Sign in", Action: Prefix + "login", Next: "/", CSRFToken: "token",
	Error: "That did not work.", RememberFor: "30 days",
}

// What a visitor reads on the login page. The first must not tell why.
const (
	msgWrong     = "The name or the password is not right."
	msgThrottled = "There were too many wrong tries. Please wait a little and try again."
	msgStale     = "This page was out of date. Please sign in again."
)

// showLogin shows the form. Who is signed in already and was on the way to
// somewhere goes on: another tab has signed in meanwhile. Without a way back
// the form is what was asked for, to sign in as somebody else.
func (a *Auth) showLogin(w http.ResponseWriter, r *http.Request) error {
	id, err := a.Identify(r)
	if err != nil {
		return err
	}
	next, _ := nextOf(r.URL.RawQuery)
	if q := r.URL.Query(); id != nil && (q.Has("next") || q.Has("rd")) {
		return seeOther(w, r, next)
	}
	return a.loginForm(w, r, http.StatusOK, sessionOf(id), next, "")
}

// sessionOf is what a form for the visitor is bound to: the key of his session;
// "" when nobody is signed in.
func sessionOf(id *Identity) string {
	if id == nil {
		return ""
	}
	return id.Session.Key
}

func (a *Auth) loginForm(w http.ResponseWriter, r *http.Request, code int, session, next, msg string) error {
	return a.login.Write(w, r, code, LoginPage{
		Title: a.o.Title, Action: Prefix + "login", Next: next, Error: msg,
		CSRFToken: a.formToken(w, r, session), RememberFor: inWords(a.o.Remember),
	})
}

// postLogin signs somebody in, or says no.
func (a *Auth) postLogin(w http.ResponseWriter, r *http.Request) error {
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	if !fromHere(r) {
		return errForeign()
	}
	next, _ := f.next(r)
	id, err := a.Identify(r)
	if err != nil {
		return err
	}
	session := sessionOf(id)
	switch known := a.loginToken(r, f["csrf_token"], session); {
	case known == tokenSpent:
		return seeOther(w, r, next)
	case known != tokenGood:
		return a.loginForm(w, r, http.StatusForbidden, session, next, msgStale)
	}
	account, err := a.authenticate(r, f["username"], f["password"])
	switch e := (*web.Error)(nil); {
	case errors.Is(err, errWrong):
		return a.loginForm(w, r, http.StatusUnauthorized, session, next, msgWrong)
	case errors.As(err, &e) && e.Code == http.StatusTooManyRequests:
		maps.Copy(w.Header(), e.Header)
		return a.loginForm(w, r, e.Code, session, next, e.Msg)
	case err != nil:
		return err
	}
	if err := a.signIn(w, r, account, f["remember"] != ""); err != nil {
		a.o.Metrics.Login("error")
		return err
	}
	redirect(w, r, http.StatusSeeOther, next)
	return nil
}

// What a login form's token is worth.
type tokenWorth int

const (
	tokenBad   tokenWorth = iota
	tokenGood             // made for this browser, and as it is now
	tokenSpent            // made by us, but somebody has signed in here since
)

// loginToken judges the token of a login form. Most were made when nobody was
// signed in; when somebody is now, in another tab, then sending it is no
// attack, and there is nothing left to do.
func (a *Auth) loginToken(r *http.Request, token, session string) tokenWorth {
	if a.validToken(r, token, session) {
		return tokenGood
	}
	if _, ours := a.openToken(token, ""); ours && session != "" {
		return tokenSpent
	}
	return tokenBad
}

// errWrong says that name and password are not those of an account that may
// sign in. Why not is for the audit log alone.
var errWrong = errors.New("auth: wrong name or password")

// authenticate gives the account that name and password belong to. errWrong:
// to none; a *web.Error 429: the try was not made; any other: could not tell.
//
// What is refused costs the same time whatever the reason: the hash is
// computed for unknown names as well.
func (a *Auth) authenticate(r *http.Request, typed, password string) (Account, error) {
	name, invalid := NormalizeName(typed)
	if invalid != nil {
		name = typed // counted as it was typed; no account has such a name
	}
	if password == "" || len(password) > maxPassword {
		return Account{}, a.wrong(r, typed, "no password of a possible length")
	}
	y, err := a.count(r, name)
	if err != nil {
		return Account{}, err
	}
	account, err := a.o.Accounts.Account(r.Context(), name)
	if invalid != nil {
		account, err = Account{}, ErrNoAccount
	}
	if err != nil && !errors.Is(err, ErrNoAccount) {
		y.giveBack()
		a.o.Metrics.Login("error")
		return Account{}, web.Fail(http.StatusServiceUnavailable, "", fmt.Errorf("look up an account: %w", err))
	}
	unknown := err != nil
	right, err := a.o.Hasher.Check(r.Context(), account.PasswordHash, password)
	switch {
	case err != nil:
		y.giveBack()
		a.o.Metrics.Login("error")
		return Account{}, err
	case unknown:
		return Account{}, a.wrong(r, typed, "unknown name")
	case !right:
		return Account{}, a.wrong(r, typed, "wrong password")
	case account.Disabled:
		return Account{}, a.wrong(r, typed, "disabled account")
	}
	y.giveBack()
	return a.upgrade(r.Context(), account, password), nil
}

func (a *Auth) wrong(r *http.Request, typed, why string) error {
	a.o.Metrics.Login("failure")
	a.event(r, audit.LoginFailure, slog.String("user", short(typed)), slog.String("reason", why))
	return errWrong
}

// count takes a try, or says how long to wait.
func (a *Auth) count(r *http.Request, name string) (try, error) {
	y, wait := a.o.Throttle.take(name, client(r), a.device(r, name))
	if wait > 0 {
		a.o.Metrics.Login("throttled")
		a.event(r, audit.LoginThrottled, slog.String("user", short(name)), slog.Int64("wait_seconds", int64(wait/time.Second)+1))
		return try{}, web.Later(http.StatusTooManyRequests, msgThrottled, wait, nil)
	}
	return y, nil
}

// upgrade makes a weak hash anew now that the password is at hand. The stamp
// stays, so that no other session ends (Django's moves, and ends them). That
// it fails is no reason to let nobody in.
func (a *Auth) upgrade(ctx context.Context, account Account, password string) Account {
	if a.database == nil || account.Source != sourceDatabase || !weakerThan(account.PasswordHash.Reveal(), a.o.Hasher.params) {
		return account
	}
	hash, err := a.o.Hasher.Hash(ctx, password)
	if err == nil {
		err = a.database.Upgrade(ctx, account.Name, account.PasswordHash, hash)
	}
	if err != nil {
		a.o.Log.LogAttrs(ctx, slog.LevelWarn, "password hash not upgraded", slog.String("user", account.Name), slog.Any("error", err))
		return account
	}
	account.PasswordHash = hash
	return account
}

// signIn makes the visitor's session the account's, always under a new id.
func (a *Auth) signIn(w http.ResponseWriter, r *http.Request, account Account, remember bool) error {
	info, err := a.newSession(w, r, account, remember)
	if err != nil {
		return err
	}
	a.setCSRF(w, r)
	a.setDevice(w, r, account.Name)
	about := web.From(r.Context())
	about.User, about.Session = account.Name, info.Handle
	a.o.Metrics.Login("success")
	a.event(r, audit.LoginSuccess, slog.String("user", account.Name), slog.String("source", account.Source), slog.String("session", info.Handle))
	return nil
}

func (a *Auth) newSession(w http.ResponseWriter, r *http.Request, account Account, remember bool) (sessions.Info, error) {
	s := a.o.Sessions.Open(r)
	err := s.Login(r.Context(), sessions.Login{
		User: account.Name, Source: account.Source, Stamp: account.Stamp,
		Addr: addr(client(r)), Agent: r.UserAgent(), Remember: remember && a.o.Remember > 0,
	})
	if err != nil {
		return sessions.Info{}, couldNot("sign in", err)
	}
	info, err := s.Info(r.Context())
	if err == nil {
		err = a.o.Sessions.Commit(s, w.Header(), http.StatusSeeOther)
	}
	if err != nil {
		return sessions.Info{}, couldNot("sign in", err)
	}
	return info, nil
}

func couldNot(what string, err error) error {
	return web.Fail(http.StatusServiceUnavailable, "", fmt.Errorf("%s: %w", what, err))
}

func client(r *http.Request) netip.Addr { return web.From(r.Context()).Client }

func addr(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// short is what a visitor typed, cut for the log.
func short(s string) string {
	if len(s) > maxName {
		s = s[:maxName] + "..."
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// inWords says a duration as people do: 30 days, 12 hours.
func inWords(d time.Duration) string {
	const day = 24 * time.Hour
	for _, u := range []struct {
		name string
		unit time.Duration
	}{{"day", day}, {"hour", time.Hour}, {"minute", time.Minute}} {
		if n := int64(d / u.unit); n == 1 {
			return "1 " + u.name
		} else if n > 1 {
			return strconv.FormatInt(n, 10) + " " + u.name + "s"
		}
	}
	return ""
}
