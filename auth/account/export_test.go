package account

import (
	"context"
	"fmt"
	"time"

	"gatehouse/internal/secret"
)

// FindAlias returns an error unless the alias leads to the account of that name.
func FindAlias(ctx context.Context, s *Sources, email bool, text, want string) error {
	names, err := s.find(ctx, aliasOf(email, text))
	if err != nil || len(names) != 1 || names[0] != want {
		return fmt.Errorf("%s leads to %v, %w", text, names, err)
	}
	return nil
}

// Latest returns the account as it is stored now.
func (d *Database) Latest(ctx context.Context, name string) (Account, error) {
	return d.latest(ctx, name)
}

// AddAnyName stores an account as an older version might have.
func (d *Database) AddAnyName(ctx context.Context, name, hash string) error {
	return d.write(ctx, name, func([]byte) ([]byte, error) {
		return encode(Account{Name: name, PasswordHash: secret.New(hash), Stamp: "stamp"})
	})
}

// SetPatience changes how long accounts of other nodes are believed and how
// long a question to the database may take, and returns how long they were.
func (d *Database) SetPatience(life, question time.Duration) (wasLife, wasQuestion time.Duration) {
	k := d.keeper.(postgresKeeper) //nolint:forcetypeassert // for those of PostgreSQL alone
	wasLife, wasQuestion = d.life, k.patience
	d.life = life
	k.patience = question
	d.keeper = k
	return wasLife, wasQuestion
}
