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

// everybody yields the accounts of the file, then those of the database.
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

// endSessionsOf ends the sessions of an account that has changed. They would
// not count at their next request anyway; this way lists show it at once.
func (b *Backend) endSessionsOf(ctx context.Context, name, reason string) error {
	if _, err := b.Site().Sessions.RevokeUser(ctx, name, reason, nil); err != nil {
		return fmt.Errorf("end sessions of %q: %w", name, err)
	}
	return nil
}

// notInFile returns an error that says what to write in the configuration file
// instead, if the account is one of that file.
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

// inUsers adds to what has to be done with an account in which entry of the
// configuration.
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

// normalize returns the stored spelling of a name. What can be no name is
// returned as it is, and not found.
func normalize(name string) string {
	if n, err := account.NormalizeName(name); err == nil {
		return n
	}
	return name
}

// userError says in a sentence what err is about the account.
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
