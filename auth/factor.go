package auth

import (
	"context"
	"errors"
	"log/slog"
	"net/http"

	"gatehouse/auth/account"
	"gatehouse/internal/audit"
)

// A Factor is a second proof, which an account may ask for after its password.
// Each method has three outcomes: yes, no, and could not tell (an error), which
// becomes a 503 and never a pass. Safe for concurrent use.
type Factor interface {
	// Method returns its name in the record of a session, one of RFC 8176: "otp".
	Method() string
	// Enrolled reports whether the account asks for this factor.
	Enrolled(ctx context.Context, a account.Account) (bool, error)
	// Verify reports whether the answer proves the factor for an account that is
	// enrolled. No answer may prove it twice.
	Verify(ctx context.Context, a account.Account, answer string) (bool, error)
}

// NeedsFactor reports whether the account asks for a second factor. An error
// means that it could not tell; nobody may be signed in then.
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

// CheckFactor checks the answer to the second step of a login whose password
// was right for ref. It returns the account as it is now, and the method of the
// factor that the answer proves. The errors are ErrWrong; account.ErrMoved when
// the account has changed since the password was checked; a *web.Error 429 with
// Retry-After when the attempt was not made, because wrong answers count like
// wrong passwords; any other when it could not tell. All of them are counted
// and audited here.
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

// prove returns the method of the factor that the answer proves; "": of none.
// A factor that could not tell is an error even if another one says no.
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
