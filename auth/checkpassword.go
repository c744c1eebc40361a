package auth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"gatehouse/auth/account"
	"gatehouse/auth/password"
	"gatehouse/auth/throttle"
	"gatehouse/internal/audit"
	"gatehouse/internal/web"
)

// ErrWrong is returned when name and password are not those of an account that
// may sign in. Why not is in the audit log alone.
var ErrWrong = errors.New("auth: wrong name or password")

// CheckPassword returns the account that a name and a password belong to. The
// name may be any spelling that the configuration allows; spaces around it are
// taken away, because keyboards put them there. The errors are ErrWrong; a
// *web.Error 429 with Retry-After when the attempt was not made; any other when
// it could not tell. All of them are counted and audited here.
//
// A refusal takes the same time whatever its reason.
func (a *Auth) CheckPassword(r *http.Request, typed, plain string) (account.Account, error) {
	typed = strings.TrimSpace(typed)
	if plain == "" || len(plain) > password.MaxLength {
		return account.Account{}, a.wrong(r, typed, "no password of a possible length")
	}
	name, known, err := a.resolve(r, typed)
	if err != nil {
		return account.Account{}, a.untold("look up an account", err)
	}
	attempt := a.attempt(r, name)
	charge, err := a.charge(r, attempt)
	if err != nil {
		return account.Account{}, err
	}
	ctx := password.WithClaim(r.Context(), attempt.Claim())
	var found account.Account
	if known {
		found, err = a.o.Accounts.Verify(ctx, name, plain)
	} else {
		err = a.o.Accounts.VerifyNobody(ctx, plain)
	}
	if reason := refusal(err); reason != "" {
		a.noteSpray(r, attempt)
		return account.Account{}, a.wrong(r, typed, reason)
	}
	charge.Refund(r.Context())
	if err != nil {
		return account.Account{}, a.untold("look up an account", err)
	}
	a.o.Throttle.Succeeded(attempt)
	return found, nil
}

// ConfirmPassword checks the password of somebody who is signed in once more,
// and returns their account. The errors are those of CheckPassword, and
// account.ErrMoved when the account has changed since they signed in, or theirs
// is not a session.
func (a *Auth) ConfirmPassword(r *http.Request, id *Identity, plain string) (account.Account, error) {
	attempt := a.attempt(r, id.Name)
	charge, err := a.charge(r, attempt)
	if err != nil {
		return account.Account{}, err
	}
	sources, ref := a.o.Latest(), refOf(&id.Session)
	ctx := password.WithClaim(r.Context(), attempt.Claim())
	found, err := sources.Confirm(ctx, ref)
	if err == nil {
		found, err = sources.Verify(ctx, ref.Name, plain)
	}
	if errors.Is(err, account.ErrWrongPassword) {
		a.Event(r.Context(), audit.LoginFailure, slog.String("user", id.Name), slog.String("reason", "wrong old password"))
		return account.Account{}, ErrWrong
	}
	charge.Refund(r.Context())
	switch {
	case endedBy(err) != "", err == nil && found.Ref() != ref:
		return account.Account{}, account.ErrMoved
	case err != nil:
		return account.Account{}, unsure("look up an account", err)
	}
	return found, nil
}

// resolve returns the name that a try is counted by, and whether it may be that
// of an account.
func (a *Auth) resolve(r *http.Request, typed string) (name string, known bool, err error) {
	if name, err = account.NormalizeName(typed); err != nil {
		return typed, false, nil //nolint:nilerr // no account has such a name
	}
	name, err = a.o.Accounts.Resolve(r.Context(), a.o.Username, name)
	if errors.Is(err, account.ErrNoAccount) {
		return name, false, nil
	}
	return name, true, err
}

// refusal returns why nobody is let in, for the audit log; "" when somebody is,
// or a source could not tell.
func refusal(err error) (reason string) {
	switch {
	case errors.Is(err, account.ErrNoAccount):
		return "unknown name"
	case errors.Is(err, account.ErrWrongPassword):
		return "wrong password"
	case errors.Is(err, account.ErrDisabled):
		return "disabled account"
	}
	return ""
}

// attempt is what the throttle counts by.
func (a *Auth) attempt(r *http.Request, name string) throttle.Attempt {
	return throttle.Attempt{Name: name, Client: client(r), Device: a.o.Cookies.Device(r, name)}
}

// charge counts an attempt, or returns a *web.Error 429 that says how long to
// wait.
func (a *Auth) charge(r *http.Request, attempt throttle.Attempt) (throttle.Charge, error) {
	if a.o.Throttle.Untrusted(r) {
		a.o.Log.LogAttrs(r.Context(), slog.LevelWarn, "all logins come from one address that sends X-Forwarded-For and is not in trusted_proxies: "+
			"to the throttle, all of its visitors are one, and one of them can keep the others out; if it is your proxy, add it to trusted_proxies",
			slog.String("peer", addr(web.From(r.Context()).Peer)))
	}
	charge, wait := a.o.Throttle.Take(r.Context(), attempt)
	if wait > 0 {
		a.o.Metrics.Login("throttled")
		a.Event(r.Context(), audit.LoginThrottled, slog.String("user", Clip(attempt.Name)), slog.Int64("wait_seconds", int64(wait/time.Second)+1))
		return throttle.Charge{}, web.Later(http.StatusTooManyRequests, msgThrottled, wait, nil)
	}
	return charge, nil
}

// Claim returns the context of a request whose password hashes are paid for by
// the person who asks for name.
func (a *Auth) Claim(r *http.Request, name string) context.Context {
	return password.WithClaim(r.Context(), a.attempt(r, name).Claim())
}

// msgThrottled is said to whoever is throttled.
const msgThrottled = "There were too many wrong tries. Please wait a little and try again."

// noteSpray counts a wrong attempt, and says so when many names are tried.
func (a *Auth) noteSpray(r *http.Request, attempt throttle.Attempt) {
	names := a.o.Throttle.Failed(attempt)
	if names == 0 {
		return
	}
	a.o.Metrics.LoginSpray()
	a.Event(r.Context(), audit.LoginSpraying, slog.Int("names", names))
	a.o.Log.LogAttrs(r.Context(), slog.LevelWarn, "many names are tried with wrong passwords; "+
		"addresses that nobody has signed in from are slowed down", slog.Int("names", names))
}

// wrong counts and audits a login that failed, and returns ErrWrong.
func (a *Auth) wrong(r *http.Request, typed, why string) error {
	a.o.Metrics.Login("failure")
	a.Event(r.Context(), audit.LoginFailure, slog.String("user", Clip(typed)), slog.String("reason", why))
	return ErrWrong
}

// untold counts a login of which nobody could tell whether it is right.
func (a *Auth) untold(what string, err error) error {
	a.o.Metrics.Login("error")
	return unsure(what, err)
}

// unsure returns the error for the visitor: the one that the source has for
// them, such as that of a full queue, or a 503.
func unsure(what string, err error) error {
	if _, ok := errors.AsType[*web.Error](err); ok {
		return err
	}
	return couldNot(what, err)
}
