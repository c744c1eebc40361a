package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
)

var bucket = []byte("sessions")

// bolt is a scs.Store that does what scs's own boltstore does, a module that
// cannot be had everywhere: one bucket, tokens as they are, in front of the
// data when they expire, and a transaction for each call.
type bolt struct{ db *bbolt.DB }

func newBolt(db *bbolt.DB) (*bolt, error) {
	err := db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists(bucket)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("prepare the file: %w", err)
	}
	return &bolt{db}, nil
}

func put(tx *bbolt.Tx, token string, data []byte, expires time.Time) error {
	v := binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(data)), uint64(expires.UnixNano())) //nolint:gosec // after 1970
	return tx.Bucket(bucket).Put([]byte(token), append(v, data...))
}

// Commit serves scs.Store.
func (b *bolt) Commit(token string, data []byte, expires time.Time) error {
	return b.db.Update(func(tx *bbolt.Tx) error { return put(tx, token, data, expires) })
}

// Find serves scs.Store.
func (b *bolt) Find(token string) (data []byte, found bool, err error) {
	err = b.db.View(func(tx *bbolt.Tx) error {
		v := tx.Bucket(bucket).Get([]byte(token))
		if found = v != nil && !expired(v, time.Now()); found {
			data = bytes.Clone(v[8:])
		}
		return nil
	})
	return data, found, err
}

func expired(v []byte, now time.Time) bool {
	return binary.BigEndian.Uint64(v) < uint64(now.UnixNano()) //nolint:gosec // after 1970
}

// Delete serves scs.Store.
func (b *bolt) Delete(token string) error {
	return b.db.Update(func(tx *bbolt.Tx) error { return tx.Bucket(bucket).Delete([]byte(token)) })
}

// sweep looks through everything, and removes what has expired in one
// transaction.
func (b *bolt) sweep() error {
	now := time.Now()
	return b.db.Update(func(tx *bbolt.Tx) error {
		var gone [][]byte
		err := tx.Bucket(bucket).ForEach(func(token, v []byte) error {
			if expired(v, now) {
				gone = append(gone, token)
			}
			return nil
		})
		for _, token := range gone {
			if err == nil {
				err = tx.Bucket(bucket).Delete(token)
			}
		}
		return err
	})
}
