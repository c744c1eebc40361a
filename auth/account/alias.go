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

// UsernameConfig is the section login.username: what people may type in place of
// an account's name. The name itself, as stored, always works and takes
// precedence. If what was typed fits several accounts, it signs in to none.
type UsernameConfig struct {
	FoldCase bool `yaml:"fold_case"` // the name in any case: Alice and ALICE are alice; default false
	Email    bool `yaml:"email"`     // the account's e-mail address, in any case; default false
}

// An alias is what people may type in place of a name.
type alias struct {
	email bool   // an e-mail address; otherwise a name in any case
	text  string // case-folded
}

// aliasOf returns the alias for a text; texts that differ only in case are one
// alias.
func aliasOf(email bool, text string) alias { return alias{email, cases.Fold().String(text)} }

// aliases is implemented by sources that can find accounts by alias.
type aliases interface {
	// find returns the names of the accounts that the alias fits.
	find(ctx context.Context, a alias) ([]string, error)
}

// Resolve returns the name of the account that somebody means who typed name,
// which must be normalized. If how allows no aliases, that is name itself, and
// nothing is looked up.
//
// If no account fits, or more than one, the error is ErrNoAccount. The returned
// string is then the case-folded name, by which the throttle counts attempts so
// that all spellings count as one. Any other error means that a source could not
// tell.
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

// is reports whether x is an alias of the account.
func (a *Account) is(x alias) bool {
	text := a.Name
	if x.email {
		text = a.Email
	}
	return text != "" && aliasOf(x.email, text) == x
}

// find returns the names of all accounts that the alias fits, from every source
// that knows aliases. If one of them could not tell, it returns the error.
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
	// aliasesEvery is the shortest time between two rebuilds of the index where
	// other nodes change accounts too.
	aliasesEvery = 3 * time.Second
	// aliasesFor is the longest time that such an index is used, in case an
	// announcement was missed.
	aliasesFor = 30 * time.Second
)

// An aliasIndex maps the aliases of a Database to account names. It is built on
// first use, and rebuilt when it is used after accounts have changed: reading
// all accounts is affordable because changes are rare.
type aliasIndex struct {
	mu      sync.Mutex // held while the index is built, so that one login builds it
	made    time.Time
	changes uint64 // Database.changes before it was built
	names   map[alias][]string
}

// find implements aliases.
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

// allAliases reads all accounts and returns the names by alias. An account that
// cannot be decoded is left out.
func (d *Database) allAliases(ctx context.Context) (map[alias][]string, error) {
	names := map[alias][]string{}
	for a, err := range d.List(ctx) {
		switch {
		case err != nil && a.Name == "":
			return nil, err
		case err != nil:
			continue // nobody can sign in to an account that cannot be decoded
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
