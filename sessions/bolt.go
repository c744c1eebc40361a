package sessions

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"time"

	"go.etcd.io/bbolt"

	"gatehouse/internal/boltfile"
)

// The buckets. The sequence number of bucketRecords is the number of records, so that
// Count need not look at them.
var (
	bucketRecords = []byte("sessions")         // key: record
	bucketUsers   = []byte("sessions_by_user") // user, NUL, key: nothing
	bucketExpiry  = []byte("sessions_expiry")  // time in 8 bytes, key: nothing
)

// pageLen is how many records one read transaction of List looks at. While a
// transaction is open, the file cannot reuse space, and grows.
const pageLen = 256

// Bolt is the Store in an embedded file of one process, in bbolt. What Create, Update,
// Touch, Delete and DeleteExpired have done is on disk when they return. Calls at the
// same time share one transaction, so that many writers wait for one fsync together.
type Bolt struct {
	db     *bbolt.DB
	writes group
}

// NewBolt returns a store in db, where it makes three buckets: sessions,
// sessions_by_user and sessions_expiry. The db stays the caller's, who closes it after
// the store.
func NewBolt(db *bbolt.DB) (*Bolt, error) {
	err := boltfile.Update(db, func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{bucketRecords, bucketUsers, bucketExpiry} {
			if _, err := tx.CreateBucketIfNotExists(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("sessions: prepare the file: %w", err)
	}
	return &Bolt{db: db, writes: group{db: db}}, nil
}

// CheckHealth fails when the file takes no writes: its disk is full, or broken.
func (b *Bolt) CheckHealth(ctx context.Context) error {
	return b.writes.do(ctx, func(*bbolt.Tx) (verdict, err error) { return nil, nil }) // an empty transaction is written as well
}

// Load serves Store.
func (b *Bolt) Load(ctx context.Context, key string) (r Record, err error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	err = boltfile.View(b.db, func(tx *bbolt.Tx) error {
		r, err = load(tx, key)
		return err
	})
	switch {
	case err != nil:
		return Record{}, err
	case r.Expired(time.Now()):
		return Record{}, ErrNotFound
	}
	return r, nil
}

// Create serves Store.
func (b *Bolt) Create(ctx context.Context, key string, r Record) error {
	r = r.Stored(1)
	return b.writes.do(ctx, func(tx *bbolt.Tx) (verdict, err error) {
		switch _, err := load(tx, key); {
		case err == nil:
			return ErrExists, nil
		case !errors.Is(err, ErrNotFound):
			return err, nil
		}
		return nil, put(tx, key, nil, &r)
	})
}

// Update serves Store.
func (b *Bolt) Update(ctx context.Context, key string, r Record) error {
	next := r.Stored(r.Version + 1)
	return b.change(ctx, key, func(old *Record) (*Record, error) {
		if old.Version != r.Version {
			return nil, ErrConflict
		}
		return &next, nil
	})
}

// Touch serves Store.
func (b *Bolt) Touch(ctx context.Context, key string, seen, expires time.Time, mark []byte) error {
	return b.change(ctx, key, func(old *Record) (*Record, error) {
		r := *old
		r.Touch(seen, expires, mark)
		return &r, nil
	})
}

// change replaces a record that is there with what f makes of it. It first looks in a
// read transaction, so that a record which is gone costs no write.
func (b *Bolt) change(ctx context.Context, key string, f func(old *Record) (*Record, error)) error {
	if _, err := b.Load(ctx, key); err != nil {
		return err
	}
	return b.writes.do(ctx, func(tx *bbolt.Tx) (verdict, err error) {
		old, err := load(tx, key)
		switch {
		case err != nil:
			return err, nil
		case old.Expired(time.Now()):
			return ErrNotFound, nil
		}
		r, err := f(&old)
		if err != nil {
			return err, nil
		}
		return nil, put(tx, key, &old, r)
	})
}

// Delete serves Store. Where the indexes have a damaged record is not known, so its
// entries there stay, and lead nowhere.
func (b *Bolt) Delete(ctx context.Context, key string) (Record, error) {
	if err := ctx.Err(); err != nil {
		return Record{}, err
	}
	err := boltfile.View(b.db, func(tx *bbolt.Tx) error {
		_, err := load(tx, key)
		return err
	})
	if err != nil && !errors.Is(err, ErrDamaged) {
		return Record{}, err // a record that is gone costs no write
	}
	var old Record
	err = b.writes.do(ctx, func(tx *bbolt.Tx) (verdict, err error) {
		old, err = load(tx, key)
		if err != nil && !errors.Is(err, ErrDamaged) {
			return err, nil
		}
		return nil, remove(tx, key, &old)
	})
	if err != nil {
		return Record{}, err
	}
	return old, nil
}

// DeleteExpired serves Store. Damaged records are removed when the index says that
// they have expired.
func (b *Bolt) DeleteExpired(ctx context.Context, now time.Time, limit int) ([]Entry, error) {
	var gone []Entry
	err := b.writes.do(ctx, func(tx *bbolt.Tx) (verdict, err error) {
		if gone, err = expiredEntries(tx, now, limit); err != nil {
			return nil, err
		}
		for i := range gone {
			if err := remove(tx, gone[i].Key, &gone[i].Record); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	if err != nil {
		return nil, err
	}
	return gone, nil
}

// expiredEntries returns the records that have expired by the index, oldest first.
func expiredEntries(tx *bbolt.Tx, now time.Time, limit int) (gone []Entry, err error) {
	c := tx.Bucket(bucketExpiry).Cursor()
	for k, _ := c.First(); k != nil && len(gone) < limit; k, _ = c.Next() {
		if len(k) < 8 || binary.BigEndian.Uint64(k) > timeBits(now) {
			break
		}
		key := string(k[8:])
		r, err := load(tx, key)
		switch {
		case errors.Is(err, ErrDamaged), errors.Is(err, ErrNotFound):
			r = Record{Expires: bitsTime(binary.BigEndian.Uint64(k))}
		case err != nil:
			return nil, err
		}
		gone = append(gone, Entry{key, r})
	}
	return gone, nil
}

// List serves Store.
func (b *Bolt) List(ctx context.Context, q Query) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		for after, more := q.After, true; more; {
			if err := ctx.Err(); err != nil {
				yield(Entry{}, err)
				return
			}
			var page []listed
			err := boltfile.View(b.db, func(tx *bbolt.Tx) (err error) {
				page, after, more, err = readPage(tx, q, after)
				return err
			})
			for _, e := range page {
				if !yield(e.Entry, e.err) {
					return
				}
			}
			if err != nil {
				yield(Entry{}, err)
				return
			}
		}
	}
}

// readPage returns the records that q selects among the keys after the given one, the
// last key that it looked at, and whether there may be more.
func readPage(tx *bbolt.Tx, q Query, after string) (page []listed, last string, more bool, err error) {
	bucket, lead := tx.Bucket(bucketRecords), ""
	if q.User != "" {
		bucket, lead = tx.Bucket(bucketUsers), q.User+"\x00"
	}
	start, prefix := []byte(lead+max(q.Prefix, after)), []byte(lead+q.Prefix)
	c := bucket.Cursor()
	for k, _ := c.Seek(start); k != nil && bytes.HasPrefix(k, prefix); k, _ = c.Next() {
		key := string(k[len(lead):])
		if key <= after {
			continue
		}
		r, err := load(tx, key)
		if q.User != "" && errors.Is(err, ErrNotFound) {
			continue // it is the key of another user, whose name has a NUL where this one ends
		}
		bad := errors.Is(err, ErrDamaged)
		if err != nil && !bad {
			return page, key, false, err
		}
		if last = key; bad || q.Matches(key, &r) {
			page = append(page, listed{Entry{key, r}, err})
		}
		if len(page) == pageLen {
			return page, last, true, nil
		}
	}
	return page, last, false, nil
}

// Count serves Store.
func (b *Bolt) Count(ctx context.Context) (n int, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	err = boltfile.View(b.db, func(tx *bbolt.Tx) error {
		n = int(tx.Bucket(bucketRecords).Sequence()) //nolint:gosec // a number of records
		return nil
	})
	return n, err
}

// Close serves Store. It waits for writes that are under way; the db stays open.
func (b *Bolt) Close() error {
	b.writes.wait()
	return nil
}

// load returns the record under the key, expired or not.
func load(tx *bbolt.Tx, key string) (Record, error) {
	raw := tx.Bucket(bucketRecords).Get([]byte(key))
	if raw == nil {
		return Record{}, ErrNotFound
	}
	r, err := DecodeRecord(key, raw)
	if err != nil {
		return Record{}, fmt.Errorf("sessions: read %s: %w", Handle(key), err)
	}
	return r, nil
}

// put stores r, in place of old unless that is nil, and mends the indexes.
func put(tx *bbolt.Tx, key string, old, r *Record) error {
	records, users, expiry := tx.Bucket(bucketRecords), tx.Bucket(bucketUsers), tx.Bucket(bucketExpiry)
	if old == nil {
		if err := records.SetSequence(records.Sequence() + 1); err != nil {
			return err
		}
		old = &Record{}
	}
	if err := records.Put([]byte(key), EncodeRecord(key, r)); err != nil {
		return err
	}
	if old.User != r.User {
		if err := move(users, userKey(old.User, key), userKey(r.User, key)); err != nil {
			return err
		}
	}
	return move(expiry, expiryKey(old.Expires, key), expiryKey(r.Expires, key))
}

// remove deletes the record, and its entries in the indexes.
func remove(tx *bbolt.Tx, key string, old *Record) error {
	records := tx.Bucket(bucketRecords)
	if records.Get([]byte(key)) != nil { // the index of a damaged file may name records that are not there
		if err := records.SetSequence(records.Sequence() - 1); err != nil {
			return err
		}
	}
	if err := records.Delete([]byte(key)); err != nil {
		return err
	}
	if err := move(tx.Bucket(bucketUsers), userKey(old.User, key), nil); err != nil {
		return err
	}
	return move(tx.Bucket(bucketExpiry), expiryKey(old.Expires, key), nil)
}

// move removes one key from an index and puts another into it; nil is no key.
func move(index *bbolt.Bucket, from, to []byte) error {
	if bytes.Equal(from, to) {
		return nil
	}
	if from != nil {
		if err := index.Delete(from); err != nil {
			return err
		}
	}
	if to == nil {
		return nil
	}
	return index.Put(to, []byte{})
}

// userKey returns the entry in bucketUsers; nil for nobody's.
func userKey(user, key string) []byte {
	if user == "" {
		return nil
	}
	return []byte(user + "\x00" + key)
}

// expiryKey returns the entry in bucketExpiry.
func expiryKey(t time.Time, key string) []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(key)), timeBits(t)), key...)
}
