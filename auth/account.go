package auth

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// An Account is a person as a source of accounts knows them. Its Groups may
// be shared with others: whoever wants to change them makes a copy.
type Account struct {
	Name         string // NFKC, 1 to 256 bytes, no control characters; see NormalizeName
	PasswordHash secret.Text
	Email        string
	DisplayName  string
	Groups       []string
	Disabled     bool
	// Stamp moves when the password is really changed, not when its hash is
	// upgraded, and when the account is disabled: a session carries it, and
	// ends when it differs.
	Stamp   string
	Source  string    // "file" or "database"
	Created time.Time // zero for an account of the file
	Changed time.Time // of the last change; zero for an account of the file
}

// The sources of accounts.
const (
	sourceFile     = "file"
	sourceDatabase = "database"
)

// ErrNoAccount says that there is no account of that name.
var ErrNoAccount = errors.New("auth: no such account")

// ErrAccountExists says that the name is taken.
var ErrAccountExists = errors.New("auth: the account exists already")

// Accounts is where people are looked up. Safe for concurrent use.
type Accounts interface {
	// Account gives the account of that name, which is compared as stored
	// after NFKC. ErrNoAccount when there is none; any other error means
	// that the source could not tell.
	Account(ctx context.Context, name string) (Account, error)
}

// UserConfig is one of users in the configuration: an account of the file.
type UserConfig struct {
	Name         string      `yaml:"name"`
	PasswordHash secret.Text `yaml:"password_hash"`
	Email        string      `yaml:"email"`
	DisplayName  string      `yaml:"display_name"`
	Groups       []string    `yaml:"groups"`
	Disabled     bool        `yaml:"disabled"`
}

// Check tells bad of each mistake and warn of each danger, by the key within
// this user and the remedy.
func (u *UserConfig) Check(report *problem.List) {
	if _, err := NormalizeName(u.Name); err != nil {
		report.Errorf("name", "%q: %v", u.Name, err)
	}
	switch err := CheckHash(u.PasswordHash); {
	case err != nil:
		report.Errorf("password_hash", "%v", err)
	case weakParameters(u.PasswordHash.Reveal()):
		report.Warnf("password_hash", "has lower parameters than what is safe today, and an account of the file is not upgraded at login; %s", remedy)
	}
	if s, err := parseHash(u.PasswordHash.Reveal()); err == nil && s.cost() > maxDearer*current.cost() {
		report.Warnf("password_hash", "asks for so much work that the logins of this account can be told apart by their time; %s", remedy)
	}
	checkFacts(Account{Email: u.Email, DisplayName: u.DisplayName, Groups: u.Groups}, report)
}

// weakParameters says whether a hash that can be used costs a guesser much
// less than a hash of ours.
func weakParameters(hash string) bool {
	s, err := parseHash(hash)
	return err == nil && s.cost() < current.cost()/2
}

// checkFacts checks what is told to upstreams in headers: nothing may break
// a line, or a list of groups.
func checkFacts(a Account, report *problem.List) {
	for _, f := range []struct {
		key, text string
		max       int
	}{{"email", a.Email, 320}, {"display_name", a.DisplayName, 256}} {
		if why := badFact(f.text, f.max); why != "" {
			report.Errorf(f.key, "%q %s; write it without", f.text, why)
		}
	}
	if a.Email != "" && strings.Count(a.Email, "@") != 1 {
		report.Errorf("email", "%q is no address; write one like name@example.com, or leave it out", a.Email)
	}
	for i, g := range a.Groups {
		switch why := badFact(g, 256); {
		case g == "" || why != "":
			report.Errorf(fmt.Sprintf("groups[%d]", i), "%q is empty, too long, or has control characters; write a plain name", g)
		case strings.Contains(g, ",") || strings.TrimSpace(g) != g:
			report.Errorf(fmt.Sprintf("groups[%d]", i), "%q has a comma or a space at an end, and upstreams are told groups with commas between; write a plain name", g)
		}
	}
}

func badFact(s string, size int) string {
	switch {
	case !utf8.ValidString(s):
		return "is not UTF-8"
	case len(s) > size:
		return fmt.Sprintf("is longer than %d bytes", size)
	case firstControl(s) != 0:
		return "has a control or format character"
	}
	return ""
}

// fileAccounts are the accounts of the configuration: they never change.
type fileAccounts map[string]Account

// FileAccounts gives the accounts of the configuration. The stamp of each is
// made from its hash, so that a new hash in the file ends the sessions.
func FileAccounts(users []UserConfig) (Accounts, error) {
	list := make(fileAccounts, len(users))
	for i, u := range users {
		var found problem.List
		u.Check(found.In(fmt.Sprintf("users[%d]", i)))
		if err := found.Err(); err != nil {
			return nil, err
		}
		name, err := NormalizeName(u.Name)
		if err != nil {
			return nil, fmt.Errorf("users[%d].name: %w", i, err)
		}
		if _, taken := list[name]; taken {
			return nil, fmt.Errorf("users[%d].name: %q stands there twice: %w", i, name, ErrAccountExists)
		}
		stamp := sha256.Sum256([]byte("gatehouse account stamp\x00" + u.PasswordHash.Reveal()))
		list[name] = Account{
			Name: name, PasswordHash: u.PasswordHash, Email: u.Email, DisplayName: u.DisplayName,
			Groups: u.Groups, Disabled: u.Disabled, Source: sourceFile, Stamp: hex.EncodeToString(stamp[:16]),
		}
	}
	return list, nil
}

// Account serves Accounts.
func (f fileAccounts) Account(_ context.Context, name string) (Account, error) {
	if !plainName(name) {
		var err error
		if name, err = NormalizeName(name); err != nil {
			return Account{}, ErrNoAccount
		}
	}
	if a, ok := f[name]; ok {
		return a, nil
	}
	return Account{}, ErrNoAccount
}

// inOrder asks each source in turn.
type inOrder []Accounts

// InOrder looks names up in each source in turn; the first that knows the
// name decides. A source that could not tell decides as well: a name that it
// may hold must not be taken from the next one.
func InOrder(sources ...Accounts) Accounts { return inOrder(sources) }

// Account serves Accounts.
func (o inOrder) Account(ctx context.Context, name string) (Account, error) {
	for _, source := range o {
		a, err := source.Account(ctx, name)
		if !errors.Is(err, ErrNoAccount) {
			return a, err
		}
	}
	return Account{}, ErrNoAccount
}

// Latest gives what each source has now.
func (o inOrder) Latest(ctx context.Context, name string) (Account, error) {
	for _, source := range o {
		a, err := latest(ctx, source, name)
		if !errors.Is(err, ErrNoAccount) {
			return a, err
		}
	}
	return Account{}, ErrNoAccount
}

// latest is Account for whoever wants to know a password: where other nodes
// change accounts, what is remembered may be a moment old, and so would be the
// password.
func latest(ctx context.Context, source Accounts, name string) (Account, error) {
	if s, ok := source.(interface {
		Latest(ctx context.Context, name string) (Account, error)
	}); ok {
		return s.Latest(ctx, name)
	}
	return source.Account(ctx, name)
}

// databaseOf finds the source whose passwords we keep ourselves; nil when
// there is none.
func databaseOf(a Accounts) *Database {
	switch a := a.(type) {
	case *Database:
		return a
	case inOrder:
		for _, source := range a {
			if d := databaseOf(source); d != nil {
				return d
			}
		}
	}
	return nil
}

// expectFile tells the Hasher what the accounts of the file cost, before the
// first login does: their hashes are never upgraded.
func expectFile(h *Hasher, a Accounts) {
	switch a := a.(type) {
	case fileAccounts:
		for _, account := range a {
			if s, err := parseHash(account.PasswordHash.Reveal()); err == nil {
				h.all.expect(s)
			}
		}
	case inOrder:
		for _, source := range a {
			expectFile(h, source)
		}
	}
}
