package auth

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

	"go.etcd.io/bbolt"

	"gatehouse/internal/boltfile"
	"gatehouse/internal/secret"
)

const (
	accountsBucket = "accounts"
	recordVersion  = 1
	maxCached      = 10_000
)

// A Database keeps accounts in the embedded file. It outlives a
// configuration. Safe for concurrent use.
//
// What a change stores is on disk before the method returns; changes that
// come at once share a commit. Accounts that were asked for stay in memory:
// one process has the file, so that no change passes the Database by.
type Database struct {
	db *bbolt.DB

	mu     sync.RWMutex
	cached map[string]Account
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

// NewDatabase uses the bucket accounts of db, which it makes.
func NewDatabase(db *bbolt.DB) (*Database, error) {
	err := boltfile.Update(db, func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists([]byte(accountsBucket))
		return err //nolint:wrapcheck // wrapped below
	})
	if err != nil {
		return nil, fmt.Errorf("make the bucket %s: %w", accountsBucket, err)
	}
	return &Database{db: db, cached: make(map[string]Account)}, nil
}

// Account serves Accounts.
func (d *Database) Account(_ context.Context, name string) (Account, error) {
	name, err := NormalizeName(name)
	if err != nil {
		return Account{}, ErrNoAccount
	}
	d.mu.RLock()
	a, ok := d.cached[name]
	d.mu.RUnlock()
	if ok {
		return a, nil
	}
	// The lock is held from reading to remembering, so that a change that is
	// stored meanwhile forgets what is remembered here.
	d.mu.Lock()
	defer d.mu.Unlock()
	err = boltfile.View(d.db, func(tx *bbolt.Tx) (err error) {
		a, err = load(tx, name)
		return err
	})
	if err != nil {
		return Account{}, err
	}
	if len(d.cached) >= maxCached {
		clear(d.cached)
	}
	d.cached[name] = a
	return a, nil
}

// Add stores a new account; ErrAccountExists when the name is taken. The
// Stamp and the times are set here. An error that is neither names what is
// wrong with the account, or says why it could not be stored.
func (d *Database) Add(_ context.Context, a Account) error {
	name, err := NormalizeName(a.Name)
	if err != nil {
		return fmt.Errorf("add account %q: %w", a.Name, err)
	}
	a.Name, a.Stamp, a.Created = name, rand.Text(), time.Now()
	if err := checkAccount(a); err != nil {
		return fmt.Errorf("add account %q: %w", name, err)
	}
	return d.write(name, func(tx *bbolt.Tx) error {
		if tx.Bucket([]byte(accountsBucket)).Get([]byte(name)) != nil {
			return ErrAccountExists
		}
		return store(tx, a)
	})
}

// Change loads the account, lets f change it, and stores it, in one step.
// The name, the stamp and the hash do not move; see SetPassword. An error of
// f ends it, and nothing is stored. f may be called more than once.
func (d *Database) Change(_ context.Context, name string, f func(*Account) error) error {
	return d.edit(name, func(a *Account) error {
		fixed := *a
		a.Groups = slices.Clone(a.Groups)
		if err := f(a); err != nil {
			return err
		}
		a.Name, a.PasswordHash, a.Stamp, a.Created = fixed.Name, fixed.PasswordHash, fixed.Stamp, fixed.Created
		return checkAccount(*a)
	})
}

// SetPassword stores a new hash and moves the stamp, which ends the account's
// sessions. It gives the new stamp.
func (d *Database) SetPassword(_ context.Context, name string, hash secret.Text) (stamp string, err error) {
	if err := CheckHash(hash); err != nil {
		return "", fmt.Errorf("set the password of %q: the hash %w", name, err)
	}
	stamp = rand.Text()
	err = d.edit(name, func(a *Account) error {
		a.PasswordHash, a.Stamp = hash, stamp
		return nil
	})
	return stamp, err
}

// Upgrade replaces old by a better hash of the same password, if old is still
// what is stored. The stamp stays, so nobody is signed out.
func (d *Database) Upgrade(_ context.Context, name string, old, hash secret.Text) error {
	err := d.edit(name, func(a *Account) error {
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

var errUnchanged = errors.New("auth: nothing to change")

// Delete removes the account. ErrNoAccount when there is none.
func (d *Database) Delete(_ context.Context, name string) error {
	name, err := NormalizeName(name)
	if err != nil {
		return ErrNoAccount
	}
	return d.write(name, func(tx *bbolt.Tx) error {
		if _, err := load(tx, name); errors.Is(err, ErrNoAccount) {
			return err // one that cannot be read can be deleted
		}
		return tx.Bucket([]byte(accountsBucket)).Delete([]byte(name)) //nolint:wrapcheck // wrapped by write
	})
}

// List yields all accounts by name, as they were when it began. One that
// cannot be read is yielded as an error, and the list goes on.
func (d *Database) List(ctx context.Context) iter.Seq2[Account, error] {
	return func(yield func(Account, error) bool) {
		var after []byte
		for {
			page, errs, last, err := d.page(after)
			if err == nil {
				err = context.Cause(ctx)
			}
			if err != nil {
				yield(Account{}, fmt.Errorf("list accounts: %w", err))
				return
			}
			for i := range page {
				if !yield(page[i], errs[i]) {
					return
				}
			}
			if last == nil {
				return
			}
			after = last
		}
	}
}

// page reads some accounts after the name, so that no transaction stays open
// for as long as the caller takes. last is nil at the end.
func (d *Database) page(after []byte) (list []Account, errs []error, last []byte, err error) {
	const size = 256
	err = boltfile.View(d.db, func(tx *bbolt.Tx) error {
		c := tx.Bucket([]byte(accountsBucket)).Cursor()
		k, v := c.First()
		if after != nil {
			if k, v = c.Seek(after); k != nil && string(k) == string(after) {
				k, v = c.Next()
			}
		}
		for ; k != nil; k, v = c.Next() {
			a, err := decode(string(k), v)
			list, errs = append(list, a), append(errs, err)
			if len(list) == size {
				last = slices.Clone(k)
				break
			}
		}
		return nil
	})
	return list, errs, last, err
}

// edit changes one account in one step.
func (d *Database) edit(name string, f func(*Account) error) error {
	name, err := NormalizeName(name)
	if err != nil {
		return ErrNoAccount
	}
	return d.write(name, func(tx *bbolt.Tx) error {
		a, err := load(tx, name)
		if err != nil {
			return err
		}
		if err := f(&a); err != nil {
			return err
		}
		return store(tx, a)
	})
}

// write runs f in a transaction that others may share, and forgets what is
// remembered of the account.
func (d *Database) write(name string, f func(*bbolt.Tx) error) error {
	err := boltfile.Update(d.db, f)
	d.mu.Lock()
	delete(d.cached, name)
	d.mu.Unlock()
	if err == nil || errors.Is(err, ErrNoAccount) || errors.Is(err, ErrAccountExists) {
		return err //nolint:wrapcheck // nil, or an error of ours
	}
	return fmt.Errorf("store account %q: %w", name, err)
}

func load(tx *bbolt.Tx, name string) (Account, error) {
	v := tx.Bucket([]byte(accountsBucket)).Get([]byte(name))
	if v == nil {
		return Account{}, ErrNoAccount
	}
	return decode(name, v)
}

func store(tx *bbolt.Tx, a Account) error {
	v, err := json.Marshal(record{
		Version: recordVersion, Hash: a.PasswordHash.Reveal(), Email: a.Email, DisplayName: a.DisplayName, Groups: a.Groups,
		Disabled: a.Disabled, Stamp: a.Stamp, Created: a.Created.UTC(), Changed: time.Now().UTC(),
	})
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	return tx.Bucket([]byte(accountsBucket)).Put([]byte(a.Name), v) //nolint:wrapcheck // wrapped by write
}

// decode copies all that it takes from v, which dies with its transaction.
func decode(name string, v []byte) (Account, error) {
	var r record
	if err := json.Unmarshal(v, &r); err != nil {
		return Account{Name: name, Source: sourceDatabase}, fmt.Errorf("read account %q: %w", name, err)
	}
	if r.Version != recordVersion {
		return Account{Name: name, Source: sourceDatabase}, fmt.Errorf("read account %q: its version is %d, this program knows %d", name, r.Version, recordVersion)
	}
	return Account{
		Name: name, PasswordHash: secret.New(r.Hash), Email: r.Email, DisplayName: r.DisplayName, Groups: r.Groups,
		Disabled: r.Disabled, Stamp: r.Stamp, Source: sourceDatabase, Created: r.Created, Changed: r.Changed,
	}, nil
}

// checkAccount says what must not be stored.
func checkAccount(a Account) error {
	var err error
	if herr := CheckHash(a.PasswordHash); herr != nil {
		err = fmt.Errorf("password hash: %w", herr)
	}
	checkFacts(a, func(key, format string, args ...any) {
		err = errors.Join(err, fmt.Errorf("%s: "+format, append([]any{key}, args...)...))
	})
	return err
}
