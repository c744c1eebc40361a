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

// The buckets. The sequence number of bucketRecords is the number of records, so Count
// does not read them. Every transaction that changes a record changes the indexes and the
// number as well.
var (
	bucketRecords = []byte("sessions")         // key -> record, see EncodeRecord
	bucketUsers   = []byte("sessions_by_user") // user, NUL, key -> nothing
	bucketExpiry  = []byte("sessions_expiry")  // timeBits in 8 bytes, key -> nothing
)

// pageLen is how many records one read transaction of List returns at most. While a
// transaction is open, bbolt cannot reuse free pages, and the file grows.
const pageLen = 256

// Bolt is the Store in an embedded bbolt file, which belongs to one process. What Create,
// Update, Touch, Delete and DeleteExpired have done is on disk (fsync) when they return.
// Concurrent calls share one transaction, so that many writers wait for one fsync
// together. A damaged record is ErrDamaged. It is safe for concurrent use.
type Bolt struct {
	db     *bbolt.DB
	writes group
}

// NewBolt returns a store in db, which should come from boltfile.Open. It creates three
// buckets if they are missing: sessions, sessions_by_user and sessions_expiry. The caller
// owns db and closes it after the store.
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

// CheckHealth implements HealthChecker. It fails if the file cannot be written, because
// the disk is full or broken.
func (b *Bolt) CheckHealth(ctx context.Context) error {
	return b.writes.do(ctx, func(*bbolt.Tx) (verdict, err error) { return nil, nil }) // an empty transaction is written too
}

// Load implements Store.
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

// Create implements Store.
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

// Update implements Store.
func (b *Bolt) Update(ctx context.Context, key string, r Record) error {
	next := r.Stored(r.Version + 1)
	return b.change(ctx, key, func(old *Record) (*Record, error) {
		if old.Version != r.Version {
			return nil, ErrConflict
		}
		return &next, nil
	})
}

// Touch implements Store.
func (b *Bolt) Touch(ctx context.Context, key string, seen, expires time.Time, mark []byte) error {
	return b.change(ctx, key, func(old *Record) (*Record, error) {
		r := *old
		r.Touch(seen, expires, mark)
		return &r, nil
	})
}

// change replaces an existing record with the result of f, or returns f's error. It looks
// in a read transaction first, so that a record that is gone costs no write, and again in
// the write transaction, which alone decides.
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

// Delete implements Store. The user and expiry of a damaged record are unknown, so its
// entries in the indexes stay; they lead to no record.
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

// DeleteExpired implements Store, in one transaction: after an error nothing has been
// removed. Damaged records are removed when they have expired according to the index.
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

// expiredEntries returns up to limit records that have expired according to the index,
// oldest first. A damaged or missing record has nothing but its Expires.
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

// List implements Store. Each page is read in a transaction of its own, and none is open
// while it yields: a caller may write, or take its time.
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

// readPage returns up to pageLen records that q selects with keys greater than after, the
// last key that it has looked at, where the next page begins, and whether there may be
// more. Damaged records are returned whatever q selects.
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
			continue // an entry of another user, whose name is this one, a NUL and more
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

// Count implements Store. Expired records that have not been deleted count as well.
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

// Close implements Store. It waits for writes under way; db stays open.
func (b *Bolt) Close() error {
	b.writes.wait()
	return nil
}

// load returns the record under the key, expired or not; ErrNotFound if there is none, and
// ErrDamaged if it cannot be decoded.
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

// put stores r under key and updates the indexes. old is the record that it replaces; nil
// if there is none, and the number of records grows.
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

// remove deletes the record and its entries in the indexes. old must be the stored record:
// its User and Expires say where the entries are.
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

// move replaces one key of an index with another. A nil from adds only, a nil to removes
// only.
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

// userKey returns the record's entry in bucketUsers; nil if it has no user.
func userKey(user, key string) []byte {
	if user == "" {
		return nil
	}
	return []byte(user + "\x00" + key)
}

// expiryKey returns the record's entry in bucketExpiry. Entries sort by time.
func expiryKey(t time.Time, key string) []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(key)), timeBits(t)), key...)
}
