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

// A Database stores accounts that can be changed at run time: in the embedded
// file (NewDatabase), in PostgreSQL (NewPostgres), or nowhere (NoDatabase). It is
// kept when the configuration is reloaded. Safe for concurrent use.
//
// A change is durable before the method returns. Accounts that were read are
// cached in memory. Where other nodes change them too, an entry is used for at
// most three seconds, and dropped as soon as a change is announced.
type Database struct {
	keeper accountStore
	life   time.Duration // how long a cached account is used; 0: until it changes
	stop   func()        // stops listening for announcements

	mu      sync.RWMutex
	known   map[string]known // the cache, by normalized name
	changes uint64           // counts invalidations; see ask

	aliases aliasIndex
}

// known is a cached account, and when it was read.
type known struct {
	Account

	since time.Time
}

// An accountStore stores encoded accounts by name. Apart from what the function
// given to edit returns, its errors are failures of the store.
type accountStore interface {
	// read returns the value stored under the name, or nil if there is none.
	read(ctx context.Context, name string) ([]byte, error)
	// edit atomically replaces the value stored under the name with what f
	// returns. f gets nil if there is no value, and returns nil to delete it. If
	// f returns an error, nothing changes and edit returns that error. f may be
	// called more than once.
	edit(ctx context.Context, name string, f func(old []byte) ([]byte, error)) error
	// page returns the next accountsPage values in the order of their names,
	// starting after the given one; fewer only at the end of the list.
	page(ctx context.Context, after string) ([]encoded, error)
}

// encoded is a stored account that is not decoded yet.
type encoded struct {
	name  string
	value []byte
}

func newDatabase(k accountStore) *Database {
	return &Database{keeper: k, stop: func() {}, known: make(map[string]known)}
}

// NoDatabase returns the Database of a site that has none: it holds no accounts,
// and every change fails with why.
func NoDatabase(why error) *Database { return newDatabase(nowhere{why}) }

type nowhere struct{ why error }

func (nowhere) read(context.Context, string) ([]byte, error) { return nil, nil }

func (n nowhere) edit(context.Context, string, func([]byte) ([]byte, error)) error { return n.why }

func (nowhere) page(context.Context, string) ([]encoded, error) { return nil, nil }

// Close stops listening for changes by other nodes. It does not close the
// underlying file or database. It always returns nil.
func (d *Database) Close() error {
	d.stop()
	return nil
}

// A record is the stored form of an account, in JSON under its name. A reader
// refuses a version that it does not know.
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

// Account returns the account of that name, which need not be normalized. The
// error is ErrNoAccount if there is none or the name is invalid; any other error
// means that the database could not be read. The account may come from the cache
// and be up to three seconds old where other nodes change accounts.
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

// latest is Account without the cache where other nodes change accounts, for
// checking a password: a cached hash could be that of the previous one.
func (d *Database) latest(ctx context.Context, name string) (Account, error) {
	if d.life == 0 { // the cache always equals what is stored
		return d.Account(ctx, name)
	}
	name, err := NormalizeName(name)
	if err != nil {
		return Account{}, ErrNoAccount
	}
	return d.ask(ctx, name)
}

// ask reads the account and caches it, unless something was invalidated in the
// meantime: what was read may then be older than the change.
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
		d.forget(name) // and a concurrent read from before the deletion is not cached
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

// forget removes the account from the cache.
func (d *Database) forget(name string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.known, name)
	d.changes++
}

// forgetAll empties the cache: announcements may have been missed.
func (d *Database) forgetAll() {
	d.mu.Lock()
	defer d.mu.Unlock()
	clear(d.known)
	d.changes++
}

// Add stores a new account under its normalized name. It sets Stamp, Created and
// Changed, whatever a holds. It returns ErrExists if the name is taken; any other
// error says what is wrong with the account or why it could not be stored.
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

// Change atomically loads the account, lets f change it, and stores it. Changes
// of Name, PasswordHash, Stamp and Created are ignored; for the hash see
// SetPassword. Disabling the account sets a new stamp, so that sessions and
// logins from before stay invalid when it is enabled again. If f returns an
// error, nothing is stored and Change returns that error, wrapped unless it is
// one of this package. f may be called more than once. ErrNoAccount if there is
// no such account.
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

// SetPassword stores a new hash and a new stamp, which ends the account's
// sessions. It is for administrators and replaces whatever was stored before; see
// ReplacePassword. It returns the new stamp. ErrNoAccount if there is no such
// account; any other error if the hash is unusable (see password.CheckHash) or
// could not be stored.
func (d *Database) SetPassword(ctx context.Context, name string, hash secret.Text) (stamp string, err error) {
	return d.setPassword(ctx, name, hash, func(*Account) error { return nil })
}

// ReplacePassword is SetPassword for people who have confirmed their old
// password, which takes a while. stamp is that of the confirmed account. If the
// stored stamp differs by now, or the account is disabled, nothing is stored and
// the error is ErrMoved: the other change wins. Comparing and storing is atomic.
func (d *Database) ReplacePassword(ctx context.Context, name, stamp string, hash secret.Text) (next string, err error) {
	return d.setPassword(ctx, name, hash, func(a *Account) error {
		if a.Disabled || stamp == "" || a.Stamp != stamp {
			return ErrMoved
		}
		return nil
	})
}

// setPassword stores the hash if check accepts the stored account, in one step.
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

// Upgrade replaces old with a better hash of the same password. If old is no
// longer the stored hash, it does nothing and returns nil. The stamp stays, so
// nobody is signed out.
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

// errUnchanged ends an edit that has nothing to store; it never leaves Upgrade.
var errUnchanged = errors.New("account: nothing to change")

// Delete removes the account, even one whose record cannot be read. It returns
// ErrNoAccount if there is none.
func (d *Database) Delete(ctx context.Context, name string) error {
	if n, err := NormalizeName(name); err == nil { // a stored name may be older than the rules
		name = n
	}
	return d.write(ctx, name, func(old []byte) ([]byte, error) {
		if old == nil {
			return nil, ErrNoAccount
		}
		return nil, nil // one that cannot be read can be deleted
	})
}

// List yields all accounts in the order of their names. It reads a page at a
// time, so it is no snapshot. An account whose record cannot be decoded is
// yielded as an Account with only Name and Source and an error, and the list
// continues. An error with an empty Name means that the database could not be
// read or ctx is done, and is the last.
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

// edit is the store's edit with decoded accounts. ErrNoAccount if there is none.
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

// write edits the stored account and then removes it from the cache, also after
// an error: the change may have been stored all the same. Errors that callers
// compare are returned as they are.
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

// decode returns the account of a stored record. With an error, the Account has
// Name and Source alone. It keeps no reference to v, which may be reused.
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

// checkAccount returns all reasons why the account must not be stored.
func checkAccount(a Account) error {
	var found problem.List
	if err := password.CheckHash(a.PasswordHash); err != nil {
		found.Errorf("password hash", "%v", err)
	}
	checkFacts(a, &found)
	return found.Err()
}
