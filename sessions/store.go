package sessions

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"strings"
	"time"
)

// A Store keeps records under keys. Each method is one atomic step and safe
// for concurrent use. A record whose Expires has passed counts as absent for
// Load, Update and Touch, and as present for Create; List yields it still.
//
// The error is one of those below, or a failure of the store itself,
// which says nothing about the session: "could not tell".
//
// A Store returns and keeps copies: no caller ever shares memory with it.
// Keys are lower-case hexadecimal digits. The caller's Version counts in
// Update alone.
type Store interface {
	// Load gives the record under key: ErrNotFound when there is none. It
	// never creates.
	Load(ctx context.Context, key string) (Record, error)

	// Create stores a new record, with Version 1. ErrExists when the key is
	// taken; it never overwrites.
	Create(ctx context.Context, key string, r Record) error

	// Update replaces a record that is still there, if it is the version
	// that r was loaded as (r.Version), and stores it as the next version.
	// ErrNotFound, and nothing is stored, when it has gone: a request that
	// outlives a logout must not log back in. ErrConflict when it has
	// changed meanwhile.
	Update(ctx context.Context, key string, r Record) error

	// Touch replaces Seen, Expires and Mark only; the version stays. Expires
	// moves only in a record with Idle, and never past the record's Limit,
	// whatever the caller knew of the two. ErrNotFound when it has gone. A
	// touch may be lost in a crash; nothing else may.
	Touch(ctx context.Context, key string, seen, expires time.Time, mark []byte) error

	// Delete removes the record and gives it back, so that whoever ends a
	// session can say whose it was. ErrNotFound when there was none: of two
	// logouts at once exactly one has ended the session. A damaged record goes
	// as well; what it said is not known, and the zero Record is returned.
	Delete(ctx context.Context, key string) (Record, error)

	// List yields the records that q selects, by key in ascending order, in
	// constant memory. The iteration may run beside writes; what is written
	// meanwhile may or may not be seen. Of a record that cannot be read it
	// yields the key, with ErrDamaged, and goes on; after any other error it
	// ends.
	List(ctx context.Context, q Query) iter.Seq2[Entry, error]

	// DeleteExpired removes up to limit records whose Expires is not after
	// now, oldest first, and yields them. Fewer than limit: none is left.
	DeleteExpired(ctx context.Context, now time.Time, limit int) ([]Entry, error)

	// Count says how many records there are, expired ones included.
	Count(ctx context.Context) (int, error)

	// Close releases what the store holds. It is called once, last.
	Close() error
}

// A SharedStore store is one that several processes write to at once.
type SharedStore interface {
	Store

	// Watch tells what any process has done to the store, this one included,
	// until ctx is done, and then returns: changed with the key of each record
	// that was replaced or removed, within a second of the change; missed once
	// at the beginning, when it has begun to listen, and after each time at
	// which it could not listen, because changes may then have passed it by. A
	// server that cannot be reached is tried again and again. What it calls
	// must not block.
	Watch(ctx context.Context, changed func(key string), missed func())
}

// A HealthChecker is a Store that may answer a Load and yet be of no use: full, or
// not in charge any more.
type HealthChecker interface {
	// CheckHealth fails when the store takes no writes. It changes no record.
	CheckHealth(ctx context.Context) error
}

// A Record is all that a store knows of a session. Data means nothing to it.
// Times are stored in UTC, and Idle, in whole microseconds.
//
// Proof and Mark are the Manager's as well: they show that the record was
// written by somebody who has the session's id and one of the secrets. A
// record without Proof was written by a version that had none (format 1).
type Record struct {
	Data    []byte        // sealed by the Manager; nil: no data
	User    string        // whose session, an index; "" for nobody's
	Source  string        // which source of accounts the user came from
	Stamp   string        // the account's stamp at login (Django's session auth hash)
	Created time.Time     // when this id was made
	Login   time.Time     // when the password was given; zero for nobody's
	Seen    time.Time     // last use, as of the last Touch or Update
	Expires time.Time     // an index; not after Limit
	Limit   time.Time     // the session ends then, whatever its use; zero: no such limit
	Idle    time.Duration // how far a use moves Expires; 0: not at all
	Browser bool          // the cookie ends with the browser
	Addr    string        // the visitor's address at login, for lists
	Agent   string        // User-Agent at login, cut to 256 bytes, for lists
	Version uint64        // Update replaces only this version, and stores the next

	AuthTime time.Time // when the person has last proved who they are; zero: nobody has
	Level    int       // by how many factors: 1 or 2; 0: nobody has
	Methods  []string  // and how, in the names of RFC 8176 ("pwd", "otp"); nil: nobody has
	Actor    string    // who acts in the name of User; "": User

	Proof []byte // authenticates all fields but Seen and Mark, and Expires where Idle moves it
	Mark  []byte // authenticates Seen, from which Expires follows then
}

// expired reports whether the record has ended by what a store knows of it.
func (r *Record) Expired(now time.Time) bool {
	return !now.Before(r.Expires) || !r.Limit.IsZero() && !now.Before(r.Limit)
}

// touch is what every store does to a record in Touch.
func (r *Record) Touch(seen, expires time.Time, mark []byte) {
	r.Seen, r.Mark = stored(seen), bytes.Clone(mark)
	if r.Idle <= 0 {
		return
	}
	if !r.Limit.IsZero() && expires.After(r.Limit) {
		expires = r.Limit
	}
	r.Expires = stored(expires)
}

// normal gives the record as a store keeps it: its own memory, and times that
// every store can hold.
func (r *Record) Stored(version uint64) Record {
	c := r.clone()
	for _, t := range []*time.Time{&c.Created, &c.Login, &c.Seen, &c.Expires, &c.Limit, &c.AuthTime} {
		*t = stored(*t)
	}
	c.Idle = c.Idle.Truncate(time.Microsecond)
	c.Version = version
	return c
}

// clone returns the record with memory of its own. What is empty is nil.
func (r *Record) clone() Record {
	c := *r
	for _, b := range []*[]byte{&c.Data, &c.Proof, &c.Mark} {
		*b = append([]byte(nil), *b...)
	}
	c.Methods = append([]string(nil), r.Methods...)
	return c
}

// stored gives t as stores keep times: in UTC, in whole microseconds.
func stored(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMicro(t.UnixMicro()).UTC()
}

// An Entry is a record with its key.
type Entry struct {
	Key string // 64 hexadecimal digits: the SHA-256 of the id in the cookie
	Record
}

// A listed is what List yields: err is nil or ErrDamaged, and the record is the
// zero one then.
type listed struct {
	Entry
	err error
}

// A Query selects records; the zero Query selects all.
type Query struct {
	User   string // only this user's
	Prefix string // only keys that begin so (a handle)
	After  string // only keys greater than this (the last one of the page before)
}

// matches says whether q selects the record.
func (q *Query) Matches(key string, r *Record) bool {
	return (q.User == "" || r.User == q.User) && strings.HasPrefix(key, q.Prefix) && key > q.After
}

// What a Store says besides yes.
var (
	ErrNotFound = errors.New("sessions: no such session")      // Django: load gives {}, save raises UpdateError
	ErrExists   = errors.New("sessions: key is taken")         // Django: CreateError
	ErrConflict = errors.New("sessions: changed since loaded") // Django has none: the last writer wins
	ErrDamaged  = errors.New("the record is damaged")          // it is there, and says nothing that can be believed
)
