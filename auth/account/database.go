package account

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"gatehouse/auth/password"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

const (
	recordVersion = 1
	maxCached     = 10_000
	accountsPage  = 256 // accounts that are read at a time
)

// A Database keeps accounts that can be changed: in the embedded file
// (NewDatabase), in PostgreSQL (NewPostgres), or nowhere (NoDatabase). It
// outlives a configuration. Safe for concurrent use.
//
// What a change stores is on disk before the method returns. Accounts that
// were asked for stay in memory. Where other processes change them as well,
// they stay for three seconds at the most, and until the change is announced.
type Database struct {
	keeper accountStore
	life   time.Duration // of what is known; 0: for ever
	stop   func()        // ends listening to announcements

	mu      sync.RWMutex
	known   map[string]known
	changes uint64 // how often something was forgotten

	aliases aliasIndex
}

// known is an account in memory, and since when.
type known struct {
	Account

	since time.Time
}

// A accountStore keeps encoded accounts by name. Its errors are failures of its own,
// but for those of the function that edit is given.
type accountStore interface {
	// read gives what is kept under the name; nil: nothing.
	read(ctx context.Context, name string) ([]byte, error)
	// edit replaces what is kept under the name by what f makes of it, in one
	// step; nil is nothing, on both sides. An error of f ends it and is given
	// back. f may be called more than once.
	edit(ctx context.Context, name string, f func(old []byte) ([]byte, error)) error
	// page gives what is kept under the next names after the given one, in
	// their order, accountsPage of them while there are so many.
	page(ctx context.Context, after string) ([]encoded, error)
}

type encoded struct {
	name  string
	value []byte
}

func newDatabase(k accountStore) *Database {
	return &Database{keeper: k, stop: func() {}, known: make(map[string]known)}
}

// NoDatabase is where there is none: it knows no account, and why says so to
// whoever wants to change one.
func NoDatabase(why error) *Database { return newDatabase(nowhere{why}) }

type nowhere struct{ why error }

func (nowhere) read(context.Context, string) ([]byte, error) { return nil, nil }

func (n nowhere) edit(context.Context, string, func([]byte) ([]byte, error)) error { return n.why }

func (nowhere) page(context.Context, string) ([]encoded, error) { return nil, nil }

// Close listens no more. What the accounts lie in stays open.
func (d *Database) Close() error {
	d.stop()
	return nil
}

// A record is how an account is stored, under its name. The version is there
// so that a later program can tell what it reads.
type record struct {
	Version     int       `json:"version"`
	Hash        string    `json:"password_hash"`
	Email       string    `json:"email,omitempty"`
	DisplayName string    `json:"display_name,omitempty"`
	Groups      []string  `json:"groups,omitempty"`
	Disabled    bool      `json:"disabled,omitempty"`
	Stamp       string    `json:"stamp"`
	Created     time.Time `json:"created"`
	Changed     time.Time `json:"changed"`
}

// Account returns the account of that name. ErrNoAccount when there is none; any other
// error when the database could not tell.
func (d *Database) Account(ctx context.Context, name string) (Account, error) {
	name, err := NormalizeName(name)
	if err != nil {
		return Account{}, ErrNoAccount
	}
	d.mu.RLock()
	k, ok := d.known[name]
	d.mu.RUnlock()
	if ok && (d.life == 0 || time.Since(k.since) < d.life) {
		return k.Account, nil
	}
	return d.ask(ctx, name)
}

// latest is Account for whoever wants to know a password: where other nodes
// change accounts, what is remembered may be a moment old, and so would be the
// password.
func (d *Database) latest(ctx context.Context, name string) (Account, error) {
	if d.life == 0 { // what is remembered is what is stored
		return d.Account(ctx, name)
	}
	name, err := NormalizeName(name)
	if err != nil {
		return Account{}, ErrNoAccount
	}
	return d.ask(ctx, name)
}

// ask reads the account and remembers it, unless something may have changed
// meanwhile.
func (d *Database) ask(ctx context.Context, name string) (Account, error) {
	d.mu.RLock()
	changes := d.changes
	d.mu.RUnlock()
	asked := time.Now()
	v, err := d.keeper.read(ctx, name)
	switch {
	case err != nil:
		return Account{}, fmt.Errorf("look up account %q: %w", name, err)
	case v == nil:
		d.forget(name) // and nobody who has read it before puts it back
		return Account{}, ErrNoAccount
	}
	a, err := decode(name, v)
	if err != nil {
		return Account{}, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if k, ok := d.known[name]; changes != d.changes || ok && k.Changed.After(a.Changed) {
		return a, nil
	}
	if len(d.known) >= maxCached {
		clear(d.known)
	}
	d.known[name] = known{a, asked}
	return a, nil
}

// forget drops what is known of the account.
func (d *Database) forget(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.known, name)
	d.changes++
}

// forgetAll drops everything: what has changed is not known.
func (d *Database) forgetAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.known)
	d.changes++
}

// Add stores a new account; ErrExists when the name is taken. The
// Stamp and the times are set here. An error that is neither names what is
// wrong with the account, or says why it could not be stored.
func (d *Database) Add(ctx context.Context, a Account) error {
	name, err := NormalizeName(a.Name)
	if err != nil {
		return fmt.Errorf("add account %q: %w", a.Name, err)
	}
	a.Name, a.Stamp, a.Created = name, rand.Text(), time.Now()
	if err := checkAccount(a); err != nil {
		return fmt.Errorf("add account %q: %w", name, err)
	}
	return d.write(ctx, name, func(old []byte) ([]byte, error) {
		if old != nil {
			return nil, ErrExists
		}
		return encode(a)
	})
}

// Change loads the account, lets f change it, and stores it, in one step.
// The name and the hash do not move; see SetPassword. The stamp moves when the
// account is disabled: no session or login from before counts again once it
// is enabled. An error of f ends it, and nothing is stored. f may be called
// more than once.
func (d *Database) Change(ctx context.Context, name string, f func(*Account) error) error {
	return d.edit(ctx, name, func(a *Account) error {
		fixed := *a
		a.Groups = slices.Clone(a.Groups)
		if err := f(a); err != nil {
			return err
		}
		a.Name, a.PasswordHash, a.Stamp, a.Created = fixed.Name, fixed.PasswordHash, fixed.Stamp, fixed.Created
		if a.Disabled && !fixed.Disabled {
			a.Stamp = rand.Text()
		}
		return checkAccount(*a)
	})
}

// SetPassword stores a new hash and moves the stamp, which ends the account's
// sessions, whatever was stored before: it is the administrator's word. It
// returns the new stamp.
func (d *Database) SetPassword(ctx context.Context, name string, hash secret.Text) (stamp string, err error) {
	return d.setPassword(ctx, name, hash, func(*Account) error { return nil })
}

// ReplacePassword is SetPassword for somebody who has confirmed the old
// password, which takes a while. It stores the hash only while stamp, that of
// the confirmed account, is still the stored one, in one step with the
// comparison. Otherwise it returns ErrMoved: whoever was faster keeps what
// they have set.
func (d *Database) ReplacePassword(ctx context.Context, name, stamp string, hash secret.Text) (next string, err error) {
	return d.setPassword(ctx, name, hash, func(a *Account) error {
		if a.Disabled || stamp == "" || a.Stamp != stamp {
			return ErrMoved
		}
		return nil
	})
}

// setPassword stores the hash if check has nothing against the stored account.
func (d *Database) setPassword(ctx context.Context, name string, hash secret.Text, check func(*Account) error) (stamp string, err error) {
	if err := password.CheckHash(hash); err != nil {
		return "", fmt.Errorf("set the password of %q: the hash %w", name, err)
	}
	stamp = rand.Text()
	err = d.edit(ctx, name, func(a *Account) error {
		if err := check(a); err != nil {
			return err
		}
		a.PasswordHash, a.Stamp = hash, stamp
		return nil
	})
	return stamp, err
}

// Upgrade replaces old by a better hash of the same password, if old is still
// what is stored. The stamp stays, so nobody is signed out.
func (d *Database) Upgrade(ctx context.Context, name string, old, hash secret.Text) error {
	err := d.edit(ctx, name, func(a *Account) error {
		if a.PasswordHash.Reveal() != old.Reveal() {
			return errUnchanged
		}
		a.PasswordHash = hash
		return nil
	})
	if errors.Is(err, errUnchanged) {
		return nil
	}
	return err
}

var errUnchanged = errors.New("account: nothing to change")

// Delete removes the account. ErrNoAccount when there is none.
func (d *Database) Delete(ctx context.Context, name string) error {
	if n, err := NormalizeName(name); err == nil { // else it may be stored from before it was refused
		name = n
	}
	return d.write(ctx, name, func(old []byte) ([]byte, error) {
		if old == nil {
			return nil, ErrNoAccount
		}
		return nil, nil // one that cannot be read can be deleted
	})
}

// List yields all accounts by name, as they are when it gets there. One that
// cannot be read is yielded as an error, and the list goes on.
func (d *Database) List(ctx context.Context) iter.Seq2[Account, error] {
	return func(yield func(Account, error) bool) {
		for after, more := "", true; more; {
			page, err := d.keeper.page(ctx, after)
			if err == nil {
				err = context.Cause(ctx)
			}
			if err != nil {
				yield(Account{}, fmt.Errorf("list accounts: %w", err))
				return
			}
			for _, e := range page {
				if !yield(decode(e.name, e.value)) {
					return
				}
				after = e.name
			}
			more = len(page) == accountsPage
		}
	}
}

// edit changes one account in one step.
func (d *Database) edit(ctx context.Context, name string, f func(*Account) error) error {
	name, err := NormalizeName(name)
	if err != nil {
		return ErrNoAccount
	}
	return d.write(ctx, name, func(old []byte) ([]byte, error) {
		if old == nil {
			return nil, ErrNoAccount
		}
		a, err := decode(name, old)
		if err != nil {
			return nil, err
		}
		if err := f(&a); err != nil {
			return nil, err
		}
		return encode(a)
	})
}

// write edits what is kept of the account, and forgets what is known of it.
func (d *Database) write(ctx context.Context, name string, f func(old []byte) ([]byte, error)) error {
	err := d.keeper.edit(ctx, name, f)
	d.forget(name)
	if err == nil || errors.Is(err, ErrNoAccount) || errors.Is(err, ErrExists) || errors.Is(err, ErrMoved) {
		return err
	}
	return fmt.Errorf("store account %q: %w", name, err)
}

func encode(a Account) ([]byte, error) {
	v, err := json.Marshal(record{
		Version: recordVersion, Hash: a.PasswordHash.Reveal(), Email: a.Email, DisplayName: a.DisplayName, Groups: a.Groups,
		Disabled: a.Disabled, Stamp: a.Stamp, Created: a.Created.UTC(), Changed: time.Now().UTC(),
	})
	if err != nil {
		return nil, fmt.Errorf("encode: %w", err)
	}
	return v, nil
}

// decode copies all that it takes from v.
func decode(name string, v []byte) (Account, error) {
	var r record
	if err := json.Unmarshal(v, &r); err != nil {
		return Account{Name: name, Source: databaseName}, fmt.Errorf("read account %q: %w", name, err)
	}
	if r.Version != recordVersion {
		return Account{Name: name, Source: databaseName}, fmt.Errorf("read account %q: its version is %d, this program knows %d", name, r.Version, recordVersion)
	}
	return Account{
		Name: name, PasswordHash: secret.New(r.Hash), Email: r.Email, DisplayName: r.DisplayName, Groups: r.Groups,
		Disabled: r.Disabled, Stamp: r.Stamp, Source: databaseName, Created: r.Created, Changed: r.Changed,
	}, nil
}

// checkAccount says what must not be stored.
func checkAccount(a Account) error {
	var found problem.List
	if err := password.CheckHash(a.PasswordHash); err != nil {
		found.Errorf("password hash", "%v", err)
	}
	checkFacts(a, &found)
	return found.Err()
}
