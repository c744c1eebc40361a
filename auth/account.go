package auth

import (
	"context"
	"errors"
	"iter"
	"time"

	"go.etcd.io/bbolt"

	"gatehouse/internal/secret"
)

// An Account is a person as a source of accounts knows them.
type Account struct {
	Name         string // NFKC, 1 to 256 bytes, no control characters
	PasswordHash secret.Text
	Email        string
	DisplayName  string
	Groups       []string
	Disabled     bool
	// Stamp moves when the password is really changed, not when its hash is
	// upgraded: a session carries it, and ends when it differs.
	Stamp   string
	Source  string    // "file" or "database"
	Created time.Time // zero for an account of the file
	Changed time.Time // of the last change; zero for an account of the file
}

// ErrNoAccount says that there is no account of that name.
var ErrNoAccount = errors.New("auth: no such account")

// ErrAccountExists says that the name is taken.
var ErrAccountExists = errors.New("auth: the account exists already")

// UserConfig is one of users in the configuration: an account of the file.
type UserConfig struct {
	Name         string      `yaml:"name"`
	PasswordHash secret.Text `yaml:"password_hash"`
	Email        string      `yaml:"email"`
	DisplayName  string      `yaml:"display_name"`
	Groups       []string    `yaml:"groups"`
	Disabled     bool        `yaml:"disabled"`
}

// FileAccounts gives the accounts of the configuration.
func FileAccounts(users []UserConfig) (Accounts, error) { panic("being built") }

// A Database keeps accounts in the embedded file. It outlives a
// configuration. Safe for concurrent use.
type Database struct{}

// NewDatabase uses a bucket of db, which it makes.
func NewDatabase(db *bbolt.DB) (*Database, error) { panic("being built") }

// Account serves Accounts.
func (d *Database) Account(ctx context.Context, name string) (Account, error) { panic("being built") }

// Add stores a new account; ErrAccountExists when the name is taken. The
// Stamp and the times are set here.
func (d *Database) Add(ctx context.Context, a Account) error { panic("being built") }

// Change loads the account, lets f change it, and stores it, in one step.
// The stamp does not move; see SetPassword. An error of f ends it, and
// nothing is stored.
func (d *Database) Change(ctx context.Context, name string, f func(*Account) error) error {
	panic("being built")
}

// SetPassword stores a new hash and moves the stamp, which ends the account's
// sessions. It gives the new stamp.
func (d *Database) SetPassword(ctx context.Context, name string, hash secret.Text) (stamp string, err error) {
	panic("being built")
}

// Upgrade replaces old by a better hash of the same password, if old is still
// what is stored. The stamp stays, so nobody is signed out.
func (d *Database) Upgrade(ctx context.Context, name string, old, hash secret.Text) error {
	panic("being built")
}

// Delete removes the account. ErrNoAccount when there is none.
func (d *Database) Delete(ctx context.Context, name string) error { panic("being built") }

// List yields all accounts by name.
func (d *Database) List(ctx context.Context) iter.Seq2[Account, error] { panic("being built") }

// InOrder looks names up in each source in turn; the first that knows the
// name decides.
func InOrder(sources ...Accounts) Accounts { panic("being built") }
