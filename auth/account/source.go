package account

import (
	"context"
	"crypto/subtle"
	"errors"

	"gatehouse/auth/password"
	"gatehouse/internal/secret"
)

// A Source knows accounts by name and can check their passwords. Each method
// that returns an error has three outcomes: yes (an account), no (one of the
// errors that it names), and could not tell (any other error), which becomes a
// 503 and never a pass or a logout. Safe for concurrent use.
type Source interface {
	// Name is how the source is called in the configuration, in sessions and in
	// the audit log: "file", "database".
	Name() string
	// Account returns the account of that name, which is compared as stored,
	// after NormalizeName. ErrNoAccount when there is none. A source may
	// remember its answer for a few seconds where others change the accounts.
	Account(ctx context.Context, name string) (Account, error)
	// Verify returns the account if the password is right: ErrWrongPassword
	// when it is not, ErrDisabled when it is but nobody may sign in to the
	// account. An empty password is always wrong. It looks at the accounts as
	// they are now. All answers take the same time but for ErrNoAccount, which
	// comes at once; see Sources.Verify. What is computed for it is bounded by a
	// password.Hasher, and paid for by the claim in ctx.
	Verify(ctx context.Context, name, plain string) (Account, error)
	// Current returns the account of a session if it still counts. It is asked
	// with every request, so it may rely on what it has known for a while: a few
	// seconds, or as long as the source's configuration says. ErrNoAccount when
	// it knows no account of that name; ErrOtherSource when it does, and r is
	// of another source; ErrDisabled, or ErrMoved when r is from before a change
	// that ends sessions.
	Current(ctx context.Context, r Ref) (Account, error)
	// Confirm is Current for the account as it is now. It is asked when somebody
	// signs in or changes something that matters.
	Confirm(ctx context.Context, r Ref) (Account, error)
}

// A PasswordStore is a Source whose passwords can be changed here.
type PasswordStore interface {
	Source
	// ReplacePassword stores the hash of a new password if the account still has
	// the given stamp, and returns the new stamp. ErrMoved when it has another or
	// is disabled.
	ReplacePassword(ctx context.Context, name, stamp string, hash secret.Text) (next string, err error)
}

// counts compares a session's account with the one that a source has now, for
// sources that have stamps.
func (r *Ref) counts(a *Account) error {
	switch {
	case a.Source != r.Source:
		return ErrOtherSource
	case a.Disabled:
		return ErrDisabled
	case a.Stamp == "" || subtle.ConstantTimeCompare([]byte(a.Stamp), []byte(r.Stamp)) != 1:
		return ErrMoved
	}
	return nil
}

// verify checks the password of an account whose hash is known. A disabled
// account takes as long as any other.
func verify(ctx context.Context, h *password.Hasher, a *Account, plain string) error {
	if plain == "" {
		return ErrWrongPassword
	}
	right, err := h.Check(ctx, a.PasswordHash, plain)
	switch {
	case err != nil:
		return err
	case !right:
		return ErrWrongPassword
	case a.Disabled:
		return ErrDisabled
	}
	return nil
}

// Sources are all sources of a configuration, in the order in which they are
// asked. The first that knows a name decides. One that could not tell decides
// as well: a name that it may hold must not be taken from the next one. Safe
// for concurrent use.
type Sources struct {
	hasher *password.Hasher
	list   []Source
}

// InOrder returns the sources in that order. h does the work for names that
// none of them knows.
func InOrder(h *password.Hasher, sources ...Source) *Sources { return &Sources{h, sources} }

// Account returns the account of that name: ErrNoAccount when no source has
// it, any other error when one could not tell.
func (s *Sources) Account(ctx context.Context, name string) (Account, error) {
	return s.first(func(source Source) (Account, error) { return source.Account(ctx, name) })
}

// Verify returns the account that name and password belong to; see
// Source.Verify for the errors. An unknown name costs the same time as a wrong
// password.
func (s *Sources) Verify(ctx context.Context, name, plain string) (Account, error) {
	a, err := s.first(func(source Source) (Account, error) { return source.Verify(ctx, name, plain) })
	if errors.Is(err, ErrNoAccount) {
		return Account{}, s.VerifyNobody(ctx, plain)
	}
	return a, err
}

// VerifyNobody takes as long as the check of a wrong password, and returns
// ErrNoAccount, or another error when it could not tell.
func (s *Sources) VerifyNobody(ctx context.Context, plain string) error {
	if _, err := s.hasher.Check(ctx, secret.Text{}, plain); err != nil {
		return err
	}
	return ErrNoAccount
}

// Current returns the account of a session if it still counts; see
// Source.Current for the errors.
func (s *Sources) Current(ctx context.Context, r Ref) (Account, error) {
	for _, source := range s.list { // not first: this is asked with every request
		if a, err := source.Current(ctx, r); err == nil || !errors.Is(err, ErrNoAccount) {
			return a, err
		}
	}
	return Account{}, ErrNoAccount
}

// Confirm is Current for the account as it is now.
func (s *Sources) Confirm(ctx context.Context, r Ref) (Account, error) {
	return s.first(func(source Source) (Account, error) { return source.Confirm(ctx, r) })
}

// PasswordStore returns the source of that name if passwords can be changed in
// it; nil when they cannot, or there is no such source.
func (s *Sources) PasswordStore(source string) PasswordStore {
	for _, candidate := range s.list {
		if store, ok := candidate.(PasswordStore); ok && candidate.Name() == source {
			return store
		}
	}
	return nil
}

// first returns the answer of the first source that knows the account, or
// could not tell.
func (s *Sources) first(ask func(Source) (Account, error)) (Account, error) {
	for _, source := range s.list {
		if a, err := ask(source); err == nil || !errors.Is(err, ErrNoAccount) {
			return a, err
		}
	}
	return Account{}, ErrNoAccount
}
