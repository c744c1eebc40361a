package sessions

import (
	"bytes"
	"context"
	"errors"
	"iter"
	"strings"
	"time"
)

// A Store keeps records under keys. Implementations are safe for concurrent use,
// and each method but List is one atomic step: no caller ever sees half of
// another's. storetest.Run tests all that is said here.
//
// A method returns nil, one of the errors below, or a failure of the store. A
// failure says nothing about the session: the caller could not tell, and lets
// nobody in or out because of it. A context that has ended is such a failure.
//
// A record that has expired (Record.Expired) is absent for Load, Update and
// Touch, and present for Create, Delete and List until DeleteExpired removes it.
//
// A Store keeps and returns copies (Record.Stored): it never shares memory with a
// caller. Keys are 64 lower-case hexadecimal digits, evenly distributed, and an
// empty key is a failure. Record.Version counts in Update alone; the store itself
// numbers versions.
type Store interface {
	// Load returns the record under key, or ErrNotFound. It never creates one.
	Load(ctx context.Context, key string) (Record, error)

	// Create stores a new record, as version 1. It returns ErrExists when there
	// is a record under key, and never overwrites it.
	Create(ctx context.Context, key string, r Record) error

	// Update replaces the record under key if it is still of version r.Version,
	// and stores it as the next version. It returns ErrNotFound when the record
	// is absent, and never brings it back: a request that outlives a logout must
	// not log back in. It returns ErrConflict when the record is of another
	// version. Nothing is stored after an error of these two.
	Update(ctx context.Context, key string, r Record) error

	// Touch records a use: it replaces Seen, Expires and Mark as Record.Touch
	// does, and leaves the version alone. It returns ErrNotFound when the record
	// is absent. A touch may be lost in a crash; no other write may.
	Touch(ctx context.Context, key string, seen, expires time.Time, mark []byte) error

	// Delete removes the record and returns it, so that the caller can say whose
	// session has ended. It returns ErrNotFound when there is none: of two logouts
	// at the same time, exactly one has ended the session. A damaged record is
	// removed as well, and the zero Record returned.
	Delete(ctx context.Context, key string) (Record, error)

	// List yields the records that q selects, expired ones too, by key in
	// ascending order, and in memory that does not grow with the number of
	// records. It may run beside writes: what is written meanwhile may or may not
	// be seen. For a damaged record it yields the key with ErrDamaged, and goes
	// on. Any other error is the last thing that it yields.
	List(ctx context.Context, q Query) iter.Seq2[Entry, error]

	// DeleteExpired removes up to limit records whose Expires is not after now,
	// the oldest first, and returns them. Fewer than limit means that none is
	// left. Records that were removed before an error are returned beside it.
	DeleteExpired(ctx context.Context, now time.Time, limit int) ([]Entry, error)

	// Count returns the number of records, expired ones included.
	Count(ctx context.Context) (int, error)

	// Close releases what the store holds. It is called once, after all other
	// calls have returned.
	Close() error
}

// A SharedStore is a Store that several processes write to at the same time.
type SharedStore interface {
	Store

	// Watch reports what any process does to the store, this one included, until
	// ctx ends, and then returns. It calls changed with the key of each record
	// that was replaced or removed, within a second of the change; a Touch is not
	// reported. It calls missed when it has begun to listen, and again after each
	// time during which it could not, because changes may have passed unheard.
	// While the server cannot be reached it tries again and again. Neither
	// function may block.
	Watch(ctx context.Context, changed func(key string), missed func())
}

// A HealthChecker is a Store that may answer a Load and yet be of no use, because
// it is full, or is a replica. CheckHealth returns an error while the store takes
// no writes. It changes no record.
type HealthChecker interface {
	CheckHealth(ctx context.Context) error
}

// A Record is all that a store knows of a session. Times are kept in UTC, and
// like Idle in whole microseconds (see Stored). A store uses the fields User,
// Seen, Expires, Limit, Idle and Version; all others are the Manager's, and mean
// nothing to it.
type Record struct {
	Data    []byte        // the encrypted data; nil: none
	User    string        // whose session it is, and an index; "": nobody's
	Source  string        // the source of accounts that the user came from
	Stamp   string        // the account's stamp at login (Django's session auth hash)
	Created time.Time     // when this id was made
	Login   time.Time     // when the user logged in; zero: nobody has
	Seen    time.Time     // the last use, as of the last Touch or Update
	Expires time.Time     // when the session ends unless it is used, and an index; never after Limit
	Limit   time.Time     // when it ends whatever its use; zero: no such limit
	Idle    time.Duration // how far a use moves Expires; 0: not at all
	Browser bool          // the cookie ends with the browser
	Addr    string        // the client's address at login, for lists
	Agent   string        // its User-Agent at login, cut to 256 bytes, for lists
	Version uint64        // 1 for a new record; Update replaces this version, and stores the next

	AuthTime time.Time // when the person has last proved who they are; zero: nobody has
	Level    int       // by how many factors: 1 or 2; 0: nobody has
	Methods  []string  // and by which, in the names of RFC 8176 ("pwd", "otp"); nil: nobody has
	Actor    string    // who acts in the name of User; "": User

	// A session that spans several hosts has an id of its own on each of them; see
	// Options.LoginHost.
	Host  string   // the record is such an id, or a code that leads to one, and this is its host; "": it is a session
	Hosts []HostID // the session's ids on other hosts, sorted by host; nil: none

	// Proof and Mark show that a Manager with the session's id and one of the
	// secrets has written the record. A record without Proof is of format 1; see
	// Options.LegacyUntil.
	Proof []byte // authenticates all fields but Seen and Mark, and Expires unless Idle moves it
	Mark  []byte // authenticates Seen, from which Expires follows when Idle moves it
}

// Expired reports whether the record counts as absent at the time: Expires or
// Limit has come.
func (r *Record) Expired(now time.Time) bool {
	return !now.Before(r.Expires) || !r.Limit.IsZero() && !now.Before(r.Limit)
}

// Touch does to a record what Store.Touch does to a stored one: it sets Seen and
// Mark, and moves Expires if Idle is set, but never past Limit, whatever the
// caller of the store knew of the two.
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

// Stored returns the record as a store keeps it, as the given version: a copy
// that shares no memory with r, with all times in UTC and in whole microseconds,
// which every store can hold.
func (r *Record) Stored(version uint64) Record {
	c := r.clone()
	for _, t := range []*time.Time{&c.Created, &c.Login, &c.Seen, &c.Expires, &c.Limit, &c.AuthTime} {
		*t = stored(*t)
	}
	c.Idle = c.Idle.Truncate(time.Microsecond)
	c.Version = version
	return c
}

// clone returns the record with memory of its own. Empty slices become nil.
func (r *Record) clone() Record {
	c := *r
	for _, b := range []*[]byte{&c.Data, &c.Proof, &c.Mark} {
		*b = append([]byte(nil), *b...)
	}
	c.Methods = append([]string(nil), r.Methods...)
	c.Hosts = append([]HostID(nil), r.Hosts...)
	return c
}

// A HostID is where the record of a session's id on another host is found.
type HostID struct {
	Host string // the name of the host, without a port
	Key  string // the key of its record, whose field Host is the same
}

// stored returns t as stores keep times: in UTC, in whole microseconds. The zero
// time stays zero.
func stored(t time.Time) time.Time {
	if t.IsZero() {
		return time.Time{}
	}
	return time.UnixMicro(t.UnixMicro()).UTC()
}

// An Entry is a record with its key.
type Entry struct {
	Key string // the SHA-256 of the id in the cookie, in 64 hexadecimal digits
	Record
}

// A listed is what List yields: err is nil or ErrDamaged. A damaged record is the
// zero Record.
type listed struct {
	Entry
	err error
}

// A Query selects records. A field that is "" selects all; the others must all
// hold.
type Query struct {
	User   string // only records of this user
	Prefix string // only keys that begin with it, such as a handle
	After  string // only keys greater than it: the last key of the page before
}

// Matches reports whether q selects the record.
func (q *Query) Matches(key string, r *Record) bool {
	return (q.User == "" || r.User == q.User) && strings.HasPrefix(key, q.Prefix) && key > q.After
}

// What a Store answers when it is not nil. Every other error is a failure, after
// which it is not known whether there is such a session.
var (
	// ErrNotFound: there is no such session. Django's load returns {} then, and
	// its save raises UpdateError.
	ErrNotFound = errors.New("sessions: no such session")

	// ErrExists: the key is taken. Django raises CreateError.
	ErrExists = errors.New("sessions: key is taken")

	// ErrConflict: the record has changed since it was loaded. Django has no such
	// error: the last writer wins.
	ErrConflict = errors.New("sessions: changed since loaded")

	// ErrDamaged: there is a record, and its bytes cannot be read. Whoever has
	// its cookie has no session, and can sign in again.
	ErrDamaged = errors.New("the record is damaged")
)
