package account

import (
	"context"
	"log/slog"

	"gatehouse/auth/password"
)

// databaseName is the name of the source.
const databaseName = "database"

// A databaseSource is a Database as a Source. It is a PasswordStore, and
// upgrades weak hashes.
type databaseSource struct {
	*Database

	hasher *password.Hasher
	log    *slog.Logger
}

// Source returns the accounts of d as a Source, whose passwords h checks.
func (d *Database) Source(h *password.Hasher, log *slog.Logger) PasswordStore {
	return &databaseSource{d, h, log}
}

// Name implements Source.
func (*databaseSource) Name() string { return databaseName }

// Verify implements Source. A hash that is weaker than those of today is made
// anew, now that the password is at hand.
func (s *databaseSource) Verify(ctx context.Context, name, plain string) (Account, error) {
	a, err := s.latest(ctx, name)
	if err != nil {
		return Account{}, err
	}
	if err := verify(ctx, s.hasher, &a, plain); err != nil {
		return Account{}, err
	}
	s.upgrade(ctx, &a, plain)
	return a, nil
}

// upgrade replaces a weak hash. The stamp stays, so that no other session ends
// (Django's moves, and ends them). A failure is logged: it is no reason to let
// nobody in.
func (s *databaseSource) upgrade(ctx context.Context, a *Account, plain string) {
	if !s.hasher.Outdated(a.PasswordHash) {
		return
	}
	hash, err := s.hasher.Hash(ctx, plain)
	if err == nil {
		err = s.Upgrade(ctx, a.Name, a.PasswordHash, hash)
	}
	if err != nil {
		s.log.LogAttrs(ctx, slog.LevelWarn, "password hash not upgraded", slog.String("user", a.Name), slog.Any("error", err))
		return
	}
	a.PasswordHash = hash
}

// Current implements Source.
func (s *databaseSource) Current(ctx context.Context, r Ref) (Account, error) {
	a, err := s.Account(ctx, r.Name)
	if err != nil {
		return Account{}, err
	}
	return a, r.counts(&a)
}

// Confirm implements Source.
func (s *databaseSource) Confirm(ctx context.Context, r Ref) (Account, error) {
	a, err := s.latest(ctx, r.Name)
	if err != nil {
		return Account{}, err
	}
	return a, r.counts(&a)
}
