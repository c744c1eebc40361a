package sessions

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"
)

// forgeries are what somebody may do who can write to the store, with alice's
// record, mallory's, and mallory's cookie. None makes mallory anybody else.
var forgeries = map[string]func(alice, mallory *Record){
	"another user":               func(_, m *Record) { m.User = "alice" },
	"another user and stamp":     func(a, m *Record) { m.User, m.Source, m.Stamp = a.User, a.Source, a.Stamp },
	"another person's record":    func(a, m *Record) { v := m.Version; *m = a.clone(); m.Version = v },
	"another person's proof":     func(a, m *Record) { m.User, m.Stamp, m.Proof = a.User, a.Stamp, a.Proof },
	"another stamp":              func(_, m *Record) { m.Stamp = "s2" },
	"another source":             func(_, m *Record) { m.Source = "database" },
	"nobody":                     func(_, m *Record) { m.User = "" },
	"a later end":                func(_, m *Record) { m.Limit = m.Limit.Add(time.Hour) },
	"no end":                     func(_, m *Record) { m.Limit = time.Time{} },
	"a longer idle time":         func(_, m *Record) { m.Idle *= 2 },
	"no idle time":               func(_, m *Record) { m.Idle = 0 },
	"a later use":                func(_, m *Record) { m.Seen = m.Seen.Add(time.Minute) },
	"another's use":              func(a, m *Record) { m.Seen, m.Mark = a.Seen, a.Mark },
	"a later login":              func(_, m *Record) { m.Login = m.Login.Add(time.Minute) },
	"signed in just now":         func(_, m *Record) { m.AuthTime = m.AuthTime.Add(time.Minute) },
	"two factors":                func(_, m *Record) { m.Level = 2 },
	"other methods":              func(_, m *Record) { m.Methods = []string{"pwd", "otp"} },
	"methods in one":             func(_, m *Record) { m.Methods = nil },
	"somebody who acts":          func(_, m *Record) { m.Actor = "root" },
	"another address":            func(_, m *Record) { m.Addr = "192.0.2.8" },
	"another agent":              func(_, m *Record) { m.Agent = "other" },
	"a cookie of another length": func(_, m *Record) { m.Browser = true },
	"another version":            func(_, m *Record) { m.Version += 7 },
	"other data":                 func(a, m *Record) { m.Data = a.Data },
	"no data":                    func(_, m *Record) { m.Data = nil },
	"no proof":                   func(_, m *Record) { m.Proof = nil },
	"an empty proof":             func(_, m *Record) { m.Proof = []byte{} },
	"format 1":                   func(a, m *Record) { m.User, m.Stamp, m.Proof, m.Mark = a.User, a.Stamp, nil, nil },
	"no mark":                    func(_, m *Record) { m.Mark = nil },
	"a text moved to another":    func(_, m *Record) { m.User, m.Source = m.User+m.Source[:1], m.Source[1:] },
}

// Whoever can write to Redis, PostgreSQL or the file could make one person's
// session another's.
func TestAttackForgedRecord(t *testing.T) { testAttackForgedRecord(t, backends()) }

func testAttackForgedRecord(t *testing.T, stores []Backend) {
	t.Helper()
	for _, backend := range stores {
		t.Run(backend.Name, func(t *testing.T) {
			store, _ := backend.Open(t)
			var log lockedLog
			m := newManager(t, Options{Store: store, IdleTimeout: time.Hour, Lifetime: 12 * time.Hour, Log: slog.New(slog.NewTextHandler(&log, nil))})
			for name, forge := range forgeries {
				alice, mallory := withData(t, m, "alice"), withData(t, m, "mallory")
				wantUser(t, m, mallory, "mallory")
				a, i := recordOf(t, m, alice)
				r, j := recordOf(t, m, mallory)
				forge(&a, &r)
				plant(t, store, j.Key, r)
				log.Reset()
				wantNobody(t, m, mallory, name)
				if n := strings.Count(log.String(), "session record does not count"); n != 1 || !strings.Contains(log.String(), j.Handle) {
					t.Errorf("%s: log: %s", name, log.String())
				}
				if v, err := m.Values(mallory, j, "a/"); v != nil || err != nil {
					t.Errorf("%s: Values = %v, %v", name, v, err)
				}
				if _, err := m.Lookup(t.Context(), j); !errors.Is(err, ErrNotFound) {
					t.Errorf("%s: Lookup: %v", name, err)
				}
				m.Touch(j) // changes nothing of it
				wantUser(t, m, alice, "alice")
				if _, err := m.Revoke(t.Context(), j.Handle, "revoked"); err != nil {
					t.Errorf("%s: it cannot be ended by its handle: %v", name, err)
				}
				if _, err := m.Revoke(t.Context(), i.Handle, "revoked"); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
		})
	}
}

// What the store says of the expiry can end a session early, and not prolong it.
func TestAttackLaterExpiry(t *testing.T) { testAttackLaterExpiry(t, backends()) }

func testAttackLaterExpiry(t *testing.T, stores []Backend) {
	t.Helper()
	for _, backend := range stores {
		t.Run(backend.Name, func(t *testing.T) {
			store, _ := backend.Open(t)
			m := newManager(t, Options{Store: store, IdleTimeout: time.Hour, Lifetime: 12 * time.Hour})
			r := withData(t, m, "alice")
			rec, i := recordOf(t, m, r)
			want := rec.Expires
			rec.Expires = rec.Limit
			plant(t, store, i.Key, rec)
			if got, err := m.Find(r); err != nil || !got.Expires.Equal(want) {
				t.Errorf("it expires at %v, %v; want %v", got.Expires, err, want)
			}
		})
	}
}

// An older version of a session's own record is one that the gate has written
// for it: it counts. docs/security.md says so.
func TestOlderRecordOfTheSameSession(t *testing.T) {
	store := NewMemory()
	m := newManager(t, Options{Store: store, IdleTimeout: time.Hour, Lifetime: 12 * time.Hour})
	r := withData(t, m, "alice")
	old, i := recordOf(t, m, r)
	check(t, keepValue(m, r, "a/", "k", "w"))
	plant(t, store, i.Key, old)
	wantUser(t, m, r, "alice")
	wantValues(t, m, r, "a/", map[string]string{"k": "v of alice"})
	// Not mixed with another version.
	check(t, keepValue(m, r, "a/", "k", "w"))
	next, _ := recordOf(t, m, r)
	next.Data = old.Data
	plant(t, store, i.Key, next)
	wantNobody(t, m, r, "with data of another version")
}

// The node's own id and the secret are both needed: who has a session, and who
// knows the secrets, cannot make another's without the other.
func TestRecordNeedsIDAndSecret(t *testing.T) {
	store := NewMemory()
	m := newManager(t, Options{Store: store})
	other := newManager(t, Options{Store: store, Secrets: [][]byte{bytes.Repeat([]byte("other "), 8)}})
	r := withData(t, m, "mallory")
	rec, i := recordOf(t, m, r)
	rec.User = "alice"
	k, err := other.ringOf(m.Open(r).ID())
	check(t, err)
	k.prove(0, i.Key, &rec, rec.Version)
	plant(t, store, i.Key, rec)
	wantNobody(t, m, r, "with the id and another secret")
	k, err = m.ringOf(newID())
	check(t, err)
	k.prove(0, i.Key, &rec, rec.Version)
	plant(t, store, i.Key, rec)
	wantNobody(t, m, r, "with the secret and another id")
}

// While secrets are replaced, node by node, each node can verify what the
// others have written for the cookies that it knows.
func TestSecretsAreReplacedNodeByNode(t *testing.T) {
	store := NewMemory()
	second := bytes.Repeat([]byte("second "), 6)
	before := newManager(t, Options{Store: store, IdleTimeout: time.Hour, TouchEvery: time.Nanosecond})
	after := newManager(t, Options{Store: store, IdleTimeout: time.Hour, TouchEvery: time.Nanosecond, Secrets: [][]byte{second, testSecret}})
	r := withData(t, before, "alice")
	i, err := after.Find(r)
	check(t, err)
	check(t, after.touch(t.Context(), job{key: i.Key, ring: i.ring, seen: time.Now()}))
	check(t, keepValue(after, r, "a/", "n", "1"))
	wantUser(t, before, r, "alice")
	check(t, keepValue(before, r, "a/", "m", "2"))
	wantValues(t, after, r, "a/", map[string]string{"k": "v of alice", "n": "1", "m": "2"})

	// What is known of a session by the old configuration counts in the next,
	// also when the session is sealed anew meanwhile.
	known, err := before.Find(r)
	check(t, err)
	s := after.Open(r)
	_, err = s.Keys(t.Context())
	check(t, err)
	fresh := commit(t, after, s)
	last := newManager(t, Options{Store: store, IdleTimeout: time.Hour, Secrets: [][]byte{second}})
	wantUser(t, last, request(fresh), "alice")
	if _, err := last.Lookup(t.Context(), known); err != nil {
		t.Errorf("Lookup by the next configuration: %v", err)
	}
	check(t, last.touch(t.Context(), job{key: known.Key, ring: known.ring, seen: time.Now()}))
	wantUser(t, last, request(fresh), "alice")
}

// A record of format 1 counts until the date that the node keeps, is written
// anew at its first use, and never counts later.
func TestFormerRecord(t *testing.T) { testFormerRecord(t, backends()) }

func testFormerRecord(t *testing.T, stores []Backend) {
	t.Helper()
	for _, backend := range stores {
		t.Run(backend.Name, func(t *testing.T) {
			store, _ := backend.Open(t)
			m := newManager(t, Options{Store: store, IdleTimeout: time.Hour, Lifetime: 12 * time.Hour, LegacyUntil: time.Now().Add(time.Hour)})
			late := newManager(t, Options{Store: store, IdleTimeout: time.Hour, Lifetime: 12 * time.Hour, LegacyUntil: time.Now()})
			r := withData(t, m, "alice")
			rec, i := recordOf(t, m, r)
			rec.Proof, rec.Mark, rec.AuthTime, rec.Level, rec.Methods = nil, nil, time.Time{}, 0, nil
			plant(t, store, i.Key, rec)
			wantNobody(t, late, r, "after the date")
			found, err := m.Find(r)
			if err != nil || found.User != "alice" || found.Level != 1 || !found.AuthTime.Equal(rec.Login) {
				t.Errorf("%+v, %v", found, err)
			}
			wantValues(t, m, r, "a/", map[string]string{"k": "v of alice"})
			m.Close() // what waits is done
			wantUser(t, late, r, "alice")
			wantValues(t, late, r, "a/", map[string]string{"k": "v of alice"})
			if now, _ := recordOf(t, m, r); len(now.Proof) == 0 || now.Level != 1 || len(now.Methods) != 1 {
				t.Errorf("written anew: %+v", now)
			}
		})
	}
}

// withData returns a request of somebody who has just signed in, and for whom a
// value is kept.
func withData(t *testing.T, m *Manager, user string) *http.Request {
	t.Helper()
	r := request(login(t, m, user))
	check(t, keepValue(m, r, "a/", "k", "v of "+user))
	return r
}

// recordOf returns what the store has of the request's session.
func recordOf(t *testing.T, m *Manager, r *http.Request) (Record, Info) {
	t.Helper()
	i, err := m.Find(r)
	check(t, err)
	rec, err := m.store.Load(t.Context(), i.Key)
	check(t, err)
	return rec, i
}

// plant writes the record into the store, past every Manager.
func plant(t *testing.T, store Store, key string, r Record) {
	t.Helper()
	if c, ok := store.(*Cached); ok {
		defer c.evict(key)
		store = c.store
	}
	_, err := store.Delete(t.Context(), key)
	check(t, err)
	version := r.Version
	check(t, store.Create(t.Context(), key, r))
	for v := uint64(1); v < version; v++ {
		r.Version = v
		check(t, store.Update(t.Context(), key, r))
	}
}
