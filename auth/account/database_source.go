package account

import (
	"context"
	"log/slog"

	"gatehouse/auth/password"
)

// databaseName is the Source.Name of a Database. It is stored in sessions.
const databaseName = "database"

// A databaseSource makes a Database a Source and a PasswordStore. It upgrades
// outdated hashes at login.
type databaseSource struct {
	*Database

	hasher *password.Hasher
	log    *slog.Logger
}

// Source returns d as a Source named "database". h checks the passwords. After a
// successful check it replaces an outdated hash (see password.Hasher.Outdated); a
// failure to do so is logged to log.
func (d *Database) Source(h *password.Hasher, log *slog.Logger) PasswordStore {
	return &databaseSource{d, h, log}
}

// Name implements Source.
func (*databaseSource) Name() string { return databaseName }

// Verify implements Source. It upgrades an outdated hash, which is possible only
// now, while the password is known.
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

// upgrade replaces the hash if it is outdated. The stamp stays, so that no session
// ends; in Django an upgrade ends the others. A failure is only logged, because
// the password was right and the login goes on.
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
