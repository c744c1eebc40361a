package account

import (
	"bytes"
	"context"
	"fmt"

	"go.etcd.io/bbolt"

	"gatehouse/internal/boltfile"
)

// accountsBucket maps normalized names to records.
var accountsBucket = []byte("accounts")

// NewDatabase returns the accounts in the bucket "accounts" of db, and creates
// the bucket if it is missing. A bolt file is open in one process only, so every
// change goes through this Database and the cache never expires. Concurrent
// changes share a commit. The caller keeps db and closes it.
func NewDatabase(db *bbolt.DB) (*Database, error) {
	err := boltfile.Update(db, func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(accountsBucket)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make the bucket %s: %w", accountsBucket, err)
	}
	return newDatabase(boltKeeper{db}), nil
}

// boltKeeper is the accountStore in the embedded file. What bbolt returns is
// valid only inside a transaction, so values are cloned.
type boltKeeper struct{ db *bbolt.DB }

func (k boltKeeper) read(_ context.Context, name string) (v []byte, err error) {
	err = boltfile.View(k.db, func(tx *bbolt.Tx) error {
		v = bytes.Clone(tx.Bucket(accountsBucket).Get([]byte(name)))
		return nil
	})
	return v, err
}

func (k boltKeeper) edit(_ context.Context, name string, f func([]byte) ([]byte, error)) error {
	return boltfile.Update(k.db, func(tx *bbolt.Tx) error {
		b := tx.Bucket(accountsBucket)
		next, err := f(b.Get([]byte(name)))
		switch {
		case err != nil:
			return err
		case next == nil:
			return b.Delete([]byte(name))
		default:
			return b.Put([]byte(name), next)
		}
	})
}

func (k boltKeeper) page(_ context.Context, after string) (page []encoded, err error) {
	err = boltfile.View(k.db, func(tx *bbolt.Tx) error {
		c := tx.Bucket(accountsBucket).Cursor()
		for name, v := c.Seek([]byte(after)); name != nil && len(page) < accountsPage; name, v = c.Next() {
			if string(name) != after {
				page = append(page, encoded{string(name), bytes.Clone(v)})
			}
		}
		return nil
	})
	return page, err
}
