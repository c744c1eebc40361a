package account

import (
	"context"
	"crypto/subtle"
	"errors"

	"gatehouse/auth/password"
	"gatehouse/internal/secret"
)

// A Source looks up accounts by name and checks their passwords. Each method that
// returns an error has three outcomes: yes (an account), no (one of the errors
// named below), and could not tell (any other error). The last must become a 503
// and never a pass or a logout. Safe for concurrent use.
type Source interface {
	// Name returns the name of the source in the configuration, in sessions and
	// in the audit log, such as "file" or "database". It never changes.
	Name() string
	// Account returns the account of that name, which is normalized first (see
	// NormalizeName) and compared with case. ErrNoAccount if there is none. The
	// answer may be a few seconds old where others change the accounts.
	Account(ctx context.Context, name string) (Account, error)
	// Verify returns the account if the password is right. ErrNoAccount if there
	// is no such account; ErrWrongPassword if the password is not right or empty;
	// ErrDisabled if it is right but the account is disabled. It never relies on
	// cached accounts. All outcomes take the same time, except ErrNoAccount, which
	// comes at once; Sources.Verify makes up for that. The work is limited by a
	// password.Hasher and charged to the claim in ctx; see password.WithClaim.
	Verify(ctx context.Context, name, plain string) (Account, error)
	// Current returns the account of a session if the session is still valid for
	// it. It is called for every request, so it may use what it has cached: for a
	// few seconds, or as long as the source's configuration says. ErrNoAccount if
	// there is no account of that name; ErrOtherSource if there is one but r is of
	// another source; ErrDisabled if it is disabled; ErrMoved if its stamp is not
	// that of r.
	Current(ctx context.Context, r Ref) (Account, error)
	// Confirm is Current without a cache. It is called when people sign in or
	// change something important, such as their password.
	Confirm(ctx context.Context, r Ref) (Account, error)
}

// A PasswordStore is a Source whose passwords can be changed through it.
type PasswordStore interface {
	Source
	// ReplacePassword stores the hash of a new password if the account still has
	// the given stamp, and returns its new stamp. ErrMoved if it has another one
	// or is disabled; ErrNoAccount if there is no such account.
	ReplacePassword(ctx context.Context, name, stamp string, hash secret.Text) (next string, err error)
}

// counts returns nil if a session with the reference r is still valid for a, the
// account as its source has it now. An account without a stamp has no valid
// sessions.
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

// verify checks the password of an account whose hash is known. Disabled is
// looked at last, so that a disabled account takes as long as any other, and only
// somebody who knows the password learns of it.
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
// asked. The first that knows a name decides. A source that could not tell ends
// the search with its error: it may have the name, so the next source must not
// answer for it. Safe for concurrent use.
type Sources struct {
	hasher *password.Hasher
	list   []Source
}

// InOrder returns the sources, to be asked in the order given. h does the same
// work for unknown names as for known ones.
func InOrder(h *password.Hasher, sources ...Source) *Sources { return &Sources{h, sources} }

// Account returns the account of that name. ErrNoAccount if no source has it; any
// other error means that a source could not tell.
func (s *Sources) Account(ctx context.Context, name string) (Account, error) {
	return s.first(func(source Source) (Account, error) { return source.Account(ctx, name) })
}

// Verify returns the account that name and password belong to; for the errors
// see Source.Verify. An unknown name takes as long as a wrong password.
func (s *Sources) Verify(ctx context.Context, name, plain string) (Account, error) {
	a, err := s.first(func(source Source) (Account, error) { return source.Verify(ctx, name, plain) })
	if errors.Is(err, ErrNoAccount) {
		return Account{}, s.VerifyNobody(ctx, plain)
	}
	return a, err
}

// VerifyNobody takes as long as checking a wrong password, and returns
// ErrNoAccount. It is for names that cannot belong to an account. As with Verify,
// it returns another error, such as that of a full queue, if the check could not
// be made.
func (s *Sources) VerifyNobody(ctx context.Context, plain string) error {
	if _, err := s.hasher.Check(ctx, secret.Text{}, plain); err != nil {
		return err
	}
	return ErrNoAccount
}

// Current returns the account of a session if the session is still valid for it;
// for the errors see Source.Current. The first source that knows the name
// answers: if an account of the same name appears in an earlier source, sessions
// of the later one end with ErrOtherSource.
func (s *Sources) Current(ctx context.Context, r Ref) (Account, error) {
	for _, source := range s.list { // without the closure of first: this runs for every request
		if a, err := source.Current(ctx, r); err == nil || !errors.Is(err, ErrNoAccount) {
			return a, err
		}
	}
	return Account{}, ErrNoAccount
}

// Confirm is Current without caches; see Source.Confirm.
func (s *Sources) Confirm(ctx context.Context, r Ref) (Account, error) {
	return s.first(func(source Source) (Account, error) { return source.Confirm(ctx, r) })
}

// PasswordStore returns the source of that name if passwords can be changed in
// it; nil if they cannot, or there is no such source.
func (s *Sources) PasswordStore(source string) PasswordStore {
	for _, candidate := range s.list {
		if store, ok := candidate.(PasswordStore); ok && candidate.Name() == source {
			return store
		}
	}
	return nil
}

// first returns the answer of the first source that knows the account or could
// not tell; ErrNoAccount if no source does.
func (s *Sources) first(ask func(Source) (Account, error)) (Account, error) {
	for _, source := range s.list {
		if a, err := ask(source); err == nil || !errors.Is(err, ErrNoAccount) {
			return a, err
		}
	}
	return Account{}, ErrNoAccount
}
