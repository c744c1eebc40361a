package account

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"

	"gatehouse/auth/password"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// UserConfig is an entry of users in the configuration: an account of the file
// source.
type UserConfig struct {
	Name         string      `yaml:"name"`          // required; see NormalizeName
	PasswordHash secret.Text `yaml:"password_hash"` // required; see password.CheckHash
	Email        string      `yaml:"email"`         // "": none
	DisplayName  string      `yaml:"display_name"`  // "": none
	Groups       []string    `yaml:"groups"`
	Disabled     bool        `yaml:"disabled"` // nobody can sign in to it, and its sessions end
}

// Check reports every mistake as an error and every risk as a warning, with its
// remedy, under the key within this user.
func (u *UserConfig) Check(report *problem.List) {
	if _, err := NormalizeName(u.Name); err != nil {
		report.Errorf("name", "%q: %v", u.Name, err)
	}
	switch err := password.CheckHash(u.PasswordHash); {
	case err != nil:
		report.Errorf("password_hash", "%v", err)
	case password.Cheap(u.PasswordHash):
		report.Warnf("password_hash", "has lower parameters than what is safe today, and an account of the file is not upgraded at login; %s", password.Remedy)
	}
	if password.TooDear(u.PasswordHash) {
		report.Warnf("password_hash", "asks for so much work that the logins of this account can be told apart by their time; %s", password.Remedy)
	}
	checkFacts(Account{Email: u.Email, DisplayName: u.DisplayName, Groups: u.Groups}, report)
}

// fileName is the Source.Name of the file. It is stored in sessions.
const fileName = "file"

// A fileSource holds the accounts of one configuration. They never change; a
// reload makes a new source.
type fileSource struct {
	hasher   *password.Hasher
	accounts map[string]Account
}

// FileSource returns the users of the configuration as a Source named "file". h
// checks their passwords and includes their hashes in the work of every check;
// see password.Hasher.Expect. The stamp of an account is derived from its hash,
// so that a new hash in the file ends its sessions. Hashes in the file are never
// upgraded.
//
// The error names the first user that is invalid (see UserConfig.Check), or whose
// name is taken by an earlier one, as ErrExists.
func FileSource(h *password.Hasher, users []UserConfig) (Source, error) {
	f := &fileSource{hasher: h, accounts: make(map[string]Account, len(users))}
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
		if _, taken := f.accounts[name]; taken {
			return nil, fmt.Errorf("users[%d].name: %q stands there twice: %w", i, name, ErrExists)
		}
		stamp := sha256.Sum256([]byte("gatehouse account stamp\x00" + u.PasswordHash.Reveal()))
		f.accounts[name] = Account{
			Name: name, PasswordHash: u.PasswordHash, Email: u.Email, DisplayName: u.DisplayName,
			Groups: u.Groups, Disabled: u.Disabled, Source: fileName, Stamp: hex.EncodeToString(stamp[:16]),
		}
		h.Expect(u.PasswordHash)
	}
	return f, nil
}

// Name implements Source.
func (*fileSource) Name() string { return fileName }

// Account implements Source. Names that are normalized already take a fast path:
// it runs with every request.
func (f *fileSource) Account(_ context.Context, name string) (Account, error) {
	if !plainName(name) {
		var err error
		if name, err = NormalizeName(name); err != nil {
			return Account{}, ErrNoAccount
		}
	}
	if a, ok := f.accounts[name]; ok {
		return a, nil
	}
	return Account{}, ErrNoAccount
}

// Verify implements Source.
func (f *fileSource) Verify(ctx context.Context, name, plain string) (Account, error) {
	a, err := f.Account(ctx, name)
	if err != nil {
		return Account{}, err
	}
	if err := verify(ctx, f.hasher, &a, plain); err != nil {
		return Account{}, err
	}
	return a, nil
}

// Current implements Source.
func (f *fileSource) Current(ctx context.Context, r Ref) (Account, error) {
	a, err := f.Account(ctx, r.Name)
	if err != nil {
		return Account{}, err
	}
	return a, r.counts(&a)
}

// Confirm implements Source. It is Current, because the accounts never change.
func (f *fileSource) Confirm(ctx context.Context, r Ref) (Account, error) { return f.Current(ctx, r) }

// find implements aliases. It goes through all users: a file has few.
func (f *fileSource) find(_ context.Context, a alias) (names []string, err error) { //nolint:unparam // implements aliases
	for _, account := range f.accounts {
		if account.is(a) {
			names = append(names, account.Name)
		}
	}
	return names, nil
}
