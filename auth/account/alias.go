package account

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/text/cases"
)

// UsernameConfig says what else than its name signs in to an account. The name
// as it is stored always does, and goes first. Where several accounts fit,
// none does.
type UsernameConfig struct {
	FoldCase bool `yaml:"fold_case"` // the name in any case: Alice and ALICE are alice; default false
	Email    bool `yaml:"email"`     // the account's e-mail address, in any case; default false
}

// An alias is what people may type in place of a name.
type alias struct {
	email bool
	text  string // folded
}

func aliasOf(email bool, text string) alias { return alias{email, cases.Fold().String(text)} }

// aliases is a source that finds accounts by more than their names.
type aliases interface {
	// find returns the names of the accounts that the alias fits.
	find(ctx context.Context, a alias) ([]string, error)
}

// Resolve returns the name of the account that a person means who types name,
// which is normalized already. ErrNoAccount when there is none, or more than
// one; then it returns the one spelling of what was typed that tries are
// counted by. Without an alias in how, that is name itself, and nothing is
// looked up.
func (s *Sources) Resolve(ctx context.Context, how UsernameConfig, name string) (string, error) {
	if !how.FoldCase && !how.Email {
		return name, nil
	}
	switch _, err := s.Account(ctx, name); {
	case err == nil:
		return name, nil
	case !errors.Is(err, ErrNoAccount):
		return "", err
	}
	var found []string
	for _, by := range []struct{ wanted, email bool }{{how.FoldCase, false}, {how.Email && strings.Contains(name, "@"), true}} {
		if !by.wanted {
			continue
		}
		names, err := s.find(ctx, aliasOf(by.email, name))
		if err != nil {
			return "", err
		}
		found = append(found, names...)
	}
	slices.Sort(found)
	if found = slices.Compact(found); len(found) == 1 {
		return found[0], nil
	}
	return cases.Fold().String(name), ErrNoAccount
}

// is reports whether the alias fits.
func (a *Account) is(x alias) bool {
	text := a.Name
	if x.email {
		text = a.Email
	}
	return text != "" && aliasOf(x.email, text) == x
}

// find asks every source that knows aliases.
func (s *Sources) find(ctx context.Context, a alias) (names []string, err error) {
	for _, source := range s.list {
		knows, ok := source.(aliases)
		if !ok {
			continue
		}
		more, err := knows.find(ctx, a)
		if err != nil {
			return nil, err
		}
		names = append(names, more...)
	}
	return names, nil
}

const (
	// How often at most the aliases of accounts that other nodes change as well
	// are read again because something has changed,
	aliasesEvery = 3 * time.Second
	// and how often at least.
	aliasesFor = 30 * time.Second
)

// An aliasIndex is what accounts of a Database are called besides. It is made
// when it is first asked, and again when accounts have changed.
type aliasIndex struct {
	mu      sync.Mutex
	made    time.Time
	changes uint64
	names   map[alias][]string
}

func (d *Database) find(ctx context.Context, a alias) ([]string, error) {
	d.aliases.mu.Lock()
	defer d.aliases.mu.Unlock()
	d.mu.RLock()
	changes := d.changes
	d.mu.RUnlock()
	x := &d.aliases
	age := time.Since(x.made)
	if x.names == nil || changes != x.changes && (d.life == 0 || age > aliasesEvery) || d.life > 0 && age > aliasesFor {
		names, err := d.allAliases(ctx)
		if err != nil {
			return nil, err
		}
		x.made, x.changes, x.names = time.Now(), changes, names
	}
	return x.names[a], nil
}

func (d *Database) allAliases(ctx context.Context) (map[alias][]string, error) {
	names := map[alias][]string{}
	for a, err := range d.List(ctx) {
		switch {
		case err != nil && a.Name == "":
			return nil, err
		case err != nil:
			continue // one that cannot be read can sign in by no name
		}
		by := aliasOf(false, a.Name)
		names[by] = append(names[by], a.Name)
		if a.Email != "" {
			by = aliasOf(true, a.Email)
			names[by] = append(names[by], a.Name)
		}
	}
	return names, nil
}
