package auth

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/web"
	"gatehouse/internal/web/lang"
	"gatehouse/sessions"
)

// LoginPage is the data of the login page's template (login.html, or the
// operator's own). The form is a POST to Action with the fields username,
// password, next, csrf_token and, where Remember is not empty, remember.
// web.NewPage says what else there is in a template; docs/login-page.md says
// all of it to operators.
type LoginPage struct {
	web.PageData
	Title       string // of the configuration
	Action      string // where the form is posted to
	Next        string // the hidden field next: where to go afterwards; a safe path
	CSRFToken   string // the hidden field csrf_token
	Notice      string // a sentence: why the visitor is not signed in any more; "" when there is none
	Error       string // a sentence to show; "" when there is none
	Wrong       bool   // it is the name or the password that is not right
	Wait        string // a sentence: when to try again; "" when that is not the matter
	Remember    string // such as "Keep me signed in for 30 days"; "": the box is not offered
	RememberFor string // such as "30 days", when Remember is not empty
}

// newLoginPage tries the template in each state that the page can be in.
func newLoginPage(html string, face web.Branding) (*web.Page, error) {
	sample := LoginPage{
		PageData: web.PageData{Lang: lang.All()[0], Here: Prefix + "login", Links: []web.Link{{Text: "Help", URL: "/help"}}},
		Title:    "Sign in", Action: Prefix + "login", Next: "/", CSRFToken: "token",
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

// loginName is how the template is called in what goes wrong with it.
const loginName = "login.html"

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
	next, _ := a.nextOf(r)
	if q := r.URL.Query(); id != nil && (q.Has("next") || q.Has("rd")) {
		return seeOther(w, r, next)
	}
	n := a.takeNotice(w, r)
	switch {
	case id != nil:
		n = ""
	case n == "": // a script, which was told login_url, may have led here
		n = a.endOf(r)
	}
	p := a.loginPage(w, r, sessionOf(id), next)
	p.Notice, p.Error = p.Lang.Say(n.onLogin()), p.Lang.Say(a.whyNobody(r, id))
	return a.login.Write(w, r, http.StatusOK, p)
}

// whyNobody tells a visitor who has cookies of ours why they are not signed in.
func (a *Auth) whyNobody(r *http.Request, id *Identity) lang.Text {
	if id == nil {
		if _, err := a.o.Sessions.Find(r); errors.Is(err, sessions.ErrTwoSessions) {
			return lang.Text{Key: msgTwo}
		}
	}
	return lang.Text{}
}

// sessionOf is what a form for the visitor is bound to: the key of his session;
// "" when nobody is signed in.
func sessionOf(id *Identity) string {
	if id == nil {
		return ""
	}
	return id.Session.Key
}

// loginForm shows the form with what went wrong, and when to try again.
func (a *Auth) loginForm(w http.ResponseWriter, r *http.Request, code int, session, next string, problem lang.Text, wait time.Duration) error {
	p := a.loginPage(w, r, session, next)
	p.Error, p.Wrong, p.Wait = p.Lang.Say(problem), problem.Key == msgWrong, p.Lang.Wait(wait)
	return a.login.Write(w, r, code, p)
}

// loginPage is the form without a word of what went wrong.
func (a *Auth) loginPage(w http.ResponseWriter, r *http.Request, session, next string) LoginPage {
	short := a.shortNext(w, r, next)
	p := LoginPage{
		PageData: a.frame(r, withNext("login", short)), Title: a.o.Title, Action: Prefix + "login", Next: short,
		CSRFToken: a.formToken(w, r, session),
	}
	if a.o.LoginFor != nil {
		own := a.o.LoginFor(r, next)
		p.Title, p.Logo = cmp.Or(own.Title, p.Title), cmp.Or(own.LogoURL, p.Logo)
	}
	if p.Title == defaultTitle {
		p.Title = p.T(defaultTitle)
	}
	p.Remember, p.RememberFor = p.Lang.Remember(a.o.Remember), p.Lang.Duration(a.o.Remember)
	return p
}

// postLogin signs somebody in, or says no.
func (a *Auth) postLogin(w http.ResponseWriter, r *http.Request) error {
	f, err := readForm(w, r)
	if err != nil {
		return err
	}
	if err := a.sentFromHere(r); err != nil {
		return err
	}
	next, _ := a.nextIn(f, r)
	id, err := a.Identify(r)
	if err != nil {
		return err
	}
	session := sessionOf(id)
	switch known := a.loginToken(r, f["csrf_token"], session); {
	case known == tokenSpent:
		return seeOther(w, r, next)
	case known != tokenGood:
		say, why := a.tokenTrouble(r, f["csrf_token"])
		a.noteForged(r, why)
		return a.loginForm(w, r, http.StatusForbidden, session, next, say, 0)
	}
	account, err := a.authenticate(r, f["username"], f["password"])
	switch e := (*web.Error)(nil); {
	case errors.Is(err, errWrong):
		return a.loginForm(w, r, http.StatusUnauthorized, session, next, lang.Text{Key: msgWrong}, 0)
	case errors.As(err, &e) && e.Code == http.StatusTooManyRequests:
		maps.Copy(w.Header(), e.Header)
		return a.loginForm(w, r, e.Code, session, next, lang.Text{Key: e.Msg}, e.Wait())
	case err != nil:
		return err
	}
	err = a.signIn(w, r, account, f["remember"] != "")
	switch {
	case errors.Is(err, ErrMoved):
		_ = a.wrong(r, account.Name, "the account was changed meanwhile")
		return a.loginForm(w, r, http.StatusUnauthorized, session, next, lang.Text{Key: msgWrong}, 0)
	case err != nil:
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

// authenticate gives the account that name and password belong to. Spaces
// around the name are taken away: keyboards put them there. errWrong:
// to none; a *web.Error 429: the try was not made; any other: could not tell.
//
// What is refused costs the same time whatever the reason: the hash is
// computed for unknown names as well.
func (a *Auth) authenticate(r *http.Request, typed, password string) (Account, error) {
	typed = strings.TrimSpace(typed)
	name, invalid := NormalizeName(typed)
	if invalid != nil {
		name = typed // counted as it was typed; no account has such a name
	}
	if password == "" || len(password) > maxPassword {
		return Account{}, a.wrong(r, typed, "no password of a possible length")
	}
	none := invalid != nil
	if !none {
		var err error
		if name, none, err = a.resolve(r.Context(), name); err != nil {
			a.o.Metrics.Login("error")
			return Account{}, couldNot("look up an account", err)
		}
	}
	v := a.visitor(r, name)
	y, err := a.count(r, v)
	if err != nil {
		return Account{}, err
	}
	account, err := latest(r.Context(), a.o.Accounts, name)
	if none {
		account, err = Account{}, ErrNoAccount
	}
	if err != nil && !errors.Is(err, ErrNoAccount) {
		y.giveBack(r.Context())
		a.o.Metrics.Login("error")
		return Account{}, web.Fail(http.StatusServiceUnavailable, "", fmt.Errorf("look up an account: %w", err))
	}
	unknown := err != nil
	right, err := a.o.Hasher.check(r.Context(), v.claim(), account.PasswordHash, password)
	switch {
	case err != nil:
		y.giveBack(r.Context())
		a.o.Metrics.Login("error")
		return Account{}, err
	case unknown:
		return Account{}, a.wrongTry(r, v, typed, "unknown name")
	case !right:
		return Account{}, a.wrongTry(r, v, typed, "wrong password")
	case account.Disabled:
		return Account{}, a.wrongTry(r, v, typed, "disabled account")
	}
	y.giveBack(r.Context())
	a.o.Throttle.signedIn(v)
	return a.upgrade(r.Context(), v, account, password), nil
}

// wrongTry is wrong for a try that was counted.
func (a *Auth) wrongTry(r *http.Request, v visitor, typed, why string) error {
	a.noticeSpray(r, v)
	return a.wrong(r, typed, why)
}

// noticeSpray counts a try that failed, and says so when many names fail.
func (a *Auth) noticeSpray(r *http.Request, v visitor) {
	names := a.o.Throttle.wrong(v)
	if names == 0 {
		return
	}
	a.o.Metrics.LoginSpray()
	a.event(r, audit.LoginSpraying, slog.Int("names", names))
	a.o.Log.LogAttrs(r.Context(), slog.LevelWarn, "many names are tried with wrong passwords; "+
		"addresses that nobody has signed in from are slowed down", slog.Int("names", names))
}

func (a *Auth) wrong(r *http.Request, typed, why string) error {
	a.o.Metrics.Login("failure")
	a.event(r, audit.LoginFailure, slog.String("user", short(typed)), slog.String("reason", why))
	return errWrong
}

// visitor is who tries the name.
func (a *Auth) visitor(r *http.Request, name string) visitor {
	return visitor{name: name, from: originOf(client(r)), device: a.device(r, name)}
}

// count takes a try, or says how long to wait.
func (a *Auth) count(r *http.Request, v visitor) (try, error) {
	if a.o.Throttle.untrusted(r) {
		peer := web.From(r.Context()).Peer
		a.o.Log.LogAttrs(r.Context(), slog.LevelWarn, "all logins come from one address that sends X-Forwarded-For and is not in trusted_proxies: "+
			"to the throttle, all of its visitors are one, and one of them can keep the others out; if it is your proxy, add it to trusted_proxies",
			slog.String("peer", addr(peer)))
	}
	y, wait := a.o.Throttle.take(r.Context(), v)
	if wait > 0 {
		a.o.Metrics.Login("throttled")
		a.event(r, audit.LoginThrottled, slog.String("user", short(v.name)), slog.Int64("wait_seconds", int64(wait/time.Second)+1))
		return try{}, web.Later(http.StatusTooManyRequests, msgThrottled, wait, nil)
	}
	return y, nil
}

// upgrade makes a weak hash anew now that the password is at hand. The stamp
// stays, so that no other session ends (Django's moves, and ends them). That
// it fails is no reason to let nobody in.
func (a *Auth) upgrade(ctx context.Context, v visitor, account Account, password string) Account {
	if a.database == nil || account.Source != sourceDatabase || !weakerThan(account.PasswordHash.Reveal(), a.o.Hasher.params) {
		return account
	}
	hash, err := a.o.Hasher.hash(ctx, v.claim(), password)
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

// signIn makes the visitor's session the account's, always under a new id. It
// returns ErrMoved, and leaves no session, when the account is not any more
// what it was when the password was checked; see confirmed.
func (a *Auth) signIn(w http.ResponseWriter, r *http.Request, account Account, remember bool) error {
	info, err := a.newSession(w, r, account, remember)
	if err == nil {
		err = a.confirmed(r.Context(), &info)
	}
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

// confirmed ends a session that was just stored, and returns ErrMoved, if the
// account behind it has changed since its password was checked. Whoever changes
// an account ends its sessions after that; this looks after its own session is
// stored. So one of the two sees the other, and no session outlives the change
// to count again later.
func (a *Auth) confirmed(ctx context.Context, info *sessions.Info) error {
	account, err := latest(ctx, a.accounts(), info.User)
	if err != nil && !errors.Is(err, ErrNoAccount) {
		a.end(ctx, info, "account")
		return couldNot("look up an account", err)
	}
	if reason := outdated(info, &account, err); reason != "" {
		a.end(ctx, info, reason)
		return ErrMoved
	}
	return nil
}

// accounts returns the accounts that count now, which a reload may have replaced.
func (a *Auth) accounts() Accounts {
	if a.o.Now != nil {
		return a.o.Now()
	}
	return a.o.Accounts
}

func (a *Auth) newSession(w http.ResponseWriter, r *http.Request, account Account, remember bool) (sessions.Info, error) {
	s := a.o.Sessions.Open(r)
	if err := s.Delete(r.Context(), keptKey); err != nil {
		return sessions.Info{}, couldNot("sign in", err)
	}
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
