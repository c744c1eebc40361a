package auth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"gatehouse/auth/account"
	"gatehouse/internal/audit"
)

// A Factor is a kind of second proof that an account may require after its password.
// Enrolled and Verify have three outcomes: yes, no, and could not tell (an error),
// which becomes a 503 and never a pass. Safe for concurrent use.
type Factor interface {
	// Method returns the factor's name in RFC 8176, such as "otp". It is stored in
	// the session.
	Method() string
	// Enrolled reports whether the account requires this factor.
	Enrolled(ctx context.Context, a account.Account) (bool, error)
	// Verify reports whether the answer proves the factor for an account that is
	// enrolled. An answer must not be accepted twice.
	Verify(ctx context.Context, a account.Account, answer string) (bool, error)
}

// NeedsFactor reports whether the account requires a second factor. An error means
// that it could not tell; the caller must not sign anybody in then.
func (a *Auth) NeedsFactor(ctx context.Context, owner account.Account) (bool, error) {
	for _, factor := range a.o.Factors {
		enrolled, err := factor.Enrolled(ctx, owner)
		if err != nil {
			return false, a.untold("look up the second factors of an account", err)
		}
		if enrolled {
			return true, nil
		}
	}
	return false, nil
}

// CheckFactor checks the answer to the second step of a login; ref is the account
// whose password was right. It returns the account as it is now, and the method of
// the factor that the answer proves. Wrong answers are throttled together with wrong
// passwords.
//
// The error is ErrWrong if the answer proves no factor; account.ErrMoved if the
// account has changed since the password was checked; a *web.Error with status 429
// and Retry-After if the attempt was throttled; any other error means that it could
// not tell. All of them are counted here, and refusals are audited.
func (a *Auth) CheckFactor(r *http.Request, ref account.Ref, answer string) (owner account.Account, method string, err error) {
	charge, err := a.charge(r, a.attempt(r, ref.Name))
	if err != nil {
		return account.Account{}, "", err
	}
	owner, err = a.o.Latest().Confirm(r.Context(), ref)
	if err == nil {
		method, err = a.prove(r.Context(), owner, answer)
	}
	if err == nil && method == "" {
		a.Event(r.Context(), audit.FactorFailure, slog.String("user", ref.Name))
		a.o.Metrics.Login("failure")
		return account.Account{}, "", ErrWrong
	}
	charge.Refund(r.Context())
	switch {
	case endedBy(err) != "":
		return account.Account{}, "", errors.Join(account.ErrMoved, a.wrong(r, ref.Name, "the account was changed meanwhile"))
	case err != nil:
		return account.Account{}, "", a.untold("check a second factor", err)
	}
	return owner, method, nil
}

// prove returns the method of the factor that the answer proves; "" if it proves
// none. If one factor could not tell and no other is proved, it returns an error.
func (a *Auth) prove(ctx context.Context, owner account.Account, answer string) (method string, err error) {
	if answer == "" {
		return "", nil
	}
	var errs []error
	for _, factor := range a.o.Factors {
		ok, err := factor.Enrolled(ctx, owner)
		if ok && err == nil {
			ok, err = factor.Verify(ctx, owner, answer)
		}
		switch {
		case err != nil:
			errs = append(errs, err)
		case ok:
			return factor.Method(), nil
		}
	}
	return "", errors.Join(errs...)
}
