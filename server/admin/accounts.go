package admin

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"

	"gatehouse/auth/account"
	"gatehouse/auth/password"
	"gatehouse/internal/audit"
	"gatehouse/sessions"
)

// users yields the accounts that q selects, in the order of everybody, and stops
// after q.Limit of them or at the first error.
func (b *Backend) users(ctx context.Context, q UserQuery) iter.Seq2[User, error] {
	return func(yield func(User, error) bool) {
		n := 0
		for a, err := range b.everybody(ctx) {
			if err == nil && !q.selects(&a) {
				continue
			}
			if !yield(publicUser(a), err) || err != nil {
				return
			}
			if n++; n == q.Limit {
				return
			}
		}
	}
}

// everybody yields the accounts of the configuration file in the order of the
// file, then those of the database by name. An account of the database with the
// name of one in the file is left out: nobody can sign in to it. It stops at the
// first error.
func (b *Backend) everybody(ctx context.Context) iter.Seq2[account.Account, error] {
	return func(yield func(account.Account, error) bool) {
		site := b.Site()
		inFile := map[string]bool{}
		for _, u := range site.Config.Users {
			a, err := site.Accounts.Account(ctx, u.Name)
			if err == nil {
				inFile[a.Name] = true
			}
			if !yield(a, err) || err != nil {
				return
			}
		}
		for a, err := range b.Accounts.List(ctx) {
			if err == nil && inFile[a.Name] {
				continue // the file wins, so nobody can sign in to this one
			}
			if !yield(a, err) || err != nil {
				return
			}
		}
	}
}

// user returns one account with the number of its sessions. If the sessions
// cannot be counted, it returns the account without a number and no error.
func (b *Backend) user(ctx context.Context, q byName) (User, error) {
	site := b.Site()
	a, err := site.Accounts.Account(ctx, normalize(q.Name))
	if err != nil {
		return User{}, userError(q.Name, err)
	}
	u := publicUser(a)
	n := 0
	for _, err := range site.Sessions.List(ctx, sessions.Query{User: a.Name}) {
		if err != nil {
			return u, nil //nolint:nilerr // the account is known, the number is not
		}
		n++
	}
	u.Sessions = &n
	return u, nil
}

// addUser adds an account to the database. It refuses a name that the
// configuration file already has, since that account would hide the new one. Only
// the form of the hash is checked here: the password's own rules belong to
// whoever knows the password.
func (b *Backend) addUser(ctx context.Context, u NewUser) (none, error) {
	name, err := account.NormalizeName(u.Name)
	if err != nil {
		return none{}, err
	}
	if err := password.CheckHash(u.Hash.Text); err != nil {
		return none{}, fmt.Errorf("password hash: %w", err)
	}
	if err := b.notInFile(ctx, name, "change it"); err != nil {
		return none{}, err
	}
	err = b.Accounts.Add(ctx, account.Account{
		Name: name, PasswordHash: u.Hash.Text, Email: u.Email, DisplayName: u.DisplayName, Groups: u.Groups,
	})
	if err != nil {
		return none{}, userError(name, err)
	}
	b.Audit.Event(ctx, audit.AccountAdded, slog.String("user", name))
	return none{}, nil
}

// changeUser applies c to an account of the database in one transaction and
// returns the account as it is afterwards.
func (b *Backend) changeUser(ctx context.Context, c UserChange) (User, error) {
	name := normalize(c.Name)
	if err := b.notInFile(ctx, name, "change it"); err != nil {
		return User{}, err
	}
	err := b.Accounts.Change(ctx, name, func(a *account.Account) error { c.apply(a); return nil })
	if err != nil {
		return User{}, userError(name, err)
	}
	b.Audit.Event(ctx, audit.AccountChanged, slog.String("user", name), slog.String("by", "administrator"))
	return b.user(ctx, byName{name})
}

// setPassword replaces the hash of an account of the database and then ends its
// sessions. If ending them fails, the error is returned although the new password
// is in force.
func (b *Backend) setPassword(ctx context.Context, p NewPassword) (none, error) {
	if err := password.CheckHash(p.Hash.Text); err != nil {
		return none{}, fmt.Errorf("password hash: %w", err)
	}
	name := normalize(p.Name)
	if err := b.notInFile(ctx, name, "write what gatehouse hash prints as its password_hash"); err != nil {
		return none{}, err
	}
	if _, err := b.Accounts.SetPassword(ctx, name, p.Hash.Text); err != nil {
		return none{}, userError(name, err)
	}
	b.Audit.Event(ctx, audit.PasswordChanged, slog.String("user", name), slog.String("by", "administrator"))
	return none{}, b.endSessionsOf(ctx, name, "password")
}

// setDisabled disables or enables an account of the database. Disabling ends its
// sessions; enabling does not bring them back.
func (b *Backend) setDisabled(ctx context.Context, q disabling) (none, error) {
	name := normalize(q.Name)
	instead, event := "write disabled: true", audit.AccountDisabled
	if !q.Disabled {
		instead, event = "take disabled: true away", audit.AccountEnabled
	}
	if err := b.notInFile(ctx, name, instead); err != nil {
		return none{}, err
	}
	err := b.Accounts.Change(ctx, name, func(a *account.Account) error { a.Disabled = q.Disabled; return nil })
	if err != nil {
		return none{}, userError(name, err)
	}
	b.Audit.Event(ctx, event, slog.String("user", name))
	if !q.Disabled {
		return none{}, nil
	}
	return none{}, b.endSessionsOf(ctx, name, "account")
}

// deleteUser removes an account from the database, then ends its sessions.
func (b *Backend) deleteUser(ctx context.Context, q byName) (none, error) {
	name := normalize(q.Name)
	if err := b.notInFile(ctx, name, "take it out"); err != nil {
		return none{}, err
	}
	if err := b.Accounts.Delete(ctx, name); err != nil {
		return none{}, userError(name, err)
	}
	b.Audit.Event(ctx, audit.AccountDeleted, slog.String("user", name))
	return none{}, b.endSessionsOf(ctx, name, "account")
}

// endSessionsOf ends all sessions of an account that has changed. The gate would
// refuse them at their next request anyway; ending them here removes them from
// lists at once. reason is what the audit log says about it.
func (b *Backend) endSessionsOf(ctx context.Context, name, reason string) error {
	if _, err := b.Site().Sessions.RevokeUser(ctx, name, reason, nil); err != nil {
		return fmt.Errorf("end sessions of %q: %w", name, err)
	}
	return nil
}

// notInFile returns nil if the account may be changed in the database, which
// includes an account that does not exist. For an account of the configuration
// file it returns an error that tells the administrator what to write there
// instead. Any other failure of the look-up is returned as well.
func (b *Backend) notInFile(ctx context.Context, name, instead string) error {
	site := b.Site()
	a, err := site.Accounts.Account(ctx, name)
	if err == nil && a.Source == "file" {
		return fmt.Errorf("%q is an account of the configuration file: %s, then run gatehouse reload", name, site.inUsers(name, instead))
	}
	if err != nil && !errors.Is(err, account.ErrNoAccount) {
		return userError(name, err)
	}
	return nil
}

// inUsers returns what, the change to make, followed by the place to make it: the
// entry of the account in the list users of the configuration file.
func (s *Site) inUsers(name, what string) string {
	file := s.Config.File
	if file == "" {
		file = "the configuration"
	}
	for i, u := range s.Config.Users {
		if normalize(u.Name) == name {
			return fmt.Sprintf("%s at users[%d] in %s", what, i, file)
		}
	}
	return fmt.Sprintf("%s in users of %s", what, file)
}

// normalize returns name in the spelling under which accounts are stored. An
// invalid name is returned unchanged; no account has it, so the look-up that
// follows reports that.
func normalize(name string) string {
	if n, err := account.NormalizeName(name); err == nil {
		return n
	}
	return name
}

// userError returns err as a sentence about the account. The result matches
// ErrNoUser or ErrExists if err matches the corresponding error of package
// account.
func userError(name string, err error) error {
	switch {
	case errors.Is(err, account.ErrNoAccount):
		return &operationError{fmt.Sprintf("there is no account %q", name), ErrNoUser}
	case errors.Is(err, account.ErrExists):
		return fmt.Errorf("account %q %w", name, ErrExists)
	default:
		return fmt.Errorf("user %q: %w", name, err)
	}
}
