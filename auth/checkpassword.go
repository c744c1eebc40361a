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

// ErrWrong means that name and password are not those of an account that may sign
// in. The reason is written to the audit log only: the visitor must not learn
// whether there is such an account.
var ErrWrong = errors.New("auth: wrong name or password")

// CheckPassword returns the account that a name and a password belong to. The name
// may be anything that Options.Username allows; spaces around it are removed,
// because keyboards on phones add them. It does not sign anybody in; see SignIn.
//
// The error is ErrWrong if the password is refused; a *web.Error with status 429 and
// Retry-After if the attempt was throttled or the queue for hashing is full; any
// other error means that the password could not be checked. All outcomes but success
// are counted here, and refusals are audited; SignIn does both for a success.
//
// A refusal takes the same time whatever its reason, unless the password is empty or
// longer than password.MaxLength, which nothing is computed for.
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

// ConfirmPassword checks the password of somebody who is signed in once more, and
// returns their account as it is now. Attempts are throttled together with those of
// CheckPassword, and the errors are the same. In addition, account.ErrMoved means
// that the account has changed since they signed in, or that id has no session.
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

// resolve returns the name that an attempt is counted by, and whether an account may
// have it. Names without an account are counted too: otherwise the throttle would
// tell which accounts exist.
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

// refusal returns the reason of a refusal for the audit log; "" if err is nil, or
// means that a source could not tell.
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

// attempt returns what the throttle counts an attempt by.
func (a *Auth) attempt(r *http.Request, name string) throttle.Attempt {
	return throttle.Attempt{Name: name, Client: client(r), Device: a.o.Cookies.Device(r, name)}
}

// charge counts an attempt. If it may not be made yet, it returns a *web.Error with
// status 429 and Retry-After. It also warns of a proxy that is not trusted.
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

// Claim returns the context of r in which password hashing is charged to the
// visitor and the account name; see password.WithClaim.
func (a *Auth) Claim(r *http.Request, name string) context.Context {
	return password.WithClaim(r.Context(), a.attempt(r, name).Claim())
}

// msgThrottled is what throttled visitors read.
const msgThrottled = "There were too many wrong tries. Please wait a little and try again."

// noteSpray records a wrong attempt for the detection of password spraying, and
// reports spraying when the throttle says that it is time to.
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

// wrong counts and audits a refused login, and returns ErrWrong. why is for the audit
// log only.
func (a *Auth) wrong(r *http.Request, typed, why string) error {
	a.o.Metrics.Login("failure")
	a.Event(r.Context(), audit.LoginFailure, slog.String("user", Clip(typed)), slog.String("reason", why))
	return ErrWrong
}

// untold counts a login that could not be checked, and returns the error for it.
func (a *Auth) untold(what string, err error) error {
	a.o.Metrics.Login("error")
	return unsure(what, err)
}

// unsure returns err if it is a *web.Error, such as that of a full queue, and
// otherwise a 503.
func unsure(what string, err error) error {
	if _, ok := errors.AsType[*web.Error](err); ok {
		return err
	}
	return couldNot(what, err)
}
