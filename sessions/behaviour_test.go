package sessions

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// taken is a store in which the first ids are taken.
type taken struct {
	Store
	times atomic.Int32
}

func (s *taken) Create(ctx context.Context, key string, r Record) error {
	if s.times.Add(-1) >= 0 {
		return ErrExists
	}
	return s.Store.Create(ctx, key, r)
}

// An id that is taken is not taken over: another is made. Thrice is no chance,
// but a broken store.
//
// Django 3, 82.
func TestTakenIDIsMadeAnew(t *testing.T) {
	store := &taken{Store: NewMemory()}
	m := newManager(t, Options{Store: store})
	for times, ok := range map[int32]bool{1: true, 2: true, 3: false, 1000: false} {
		store.times.Store(times)
		s := m.Open(request())
		check(t, s.Set(t.Context(), "k", 1))
		if err := s.Save(t.Context()); (err == nil) != ok || (s.ID() != "") != ok {
			t.Errorf("%d ids are taken: %v, id %q", times, err, s.ID())
		}
		if left := store.times.Load(); !ok && left != times-createTries {
			t.Errorf("%d tries, want %d", times-left, createTries)
		}
	}
}

// Nobody but the Manager chooses an id.
//
// Django 11.
func TestIDIsReadOnly(t *testing.T) {
	typ := reflect.TypeFor[*Session]()
	for _, f := range reflect.VisibleFields(typ.Elem()) {
		if f.IsExported() {
			t.Errorf("the field %s can be set", f.Name)
		}
	}
	for m := range typ.Methods() {
		if name := m.Name; strings.Contains(name, "ID") && name != "ID" {
			t.Errorf("the method %s", name)
		}
	}
}

// An id that is not in our cookie is none.
//
// Django 16.
func TestIDOutsideTheCookie(t *testing.T) {
	m := newManager(t, Options{})
	value := login(t, m, "alice").Value
	for _, name := range []string{"gatehouse", "__Host-gatehouse", "sessionid", "session", "sid"} {
		r := request()
		r.URL.RawQuery = name + "=" + value
		r.Form = map[string][]string{name: {value}}
		r.Header.Set("Authorization", "Bearer "+value)
		r.Header.Set("X-Session", value)
		wantNobody(t, m, r, name+" in the address")
	}
}

// loads counts what the store is asked.
type loads struct {
	Store
	n atomic.Int32
}

func (s *loads) Load(ctx context.Context, key string) (Record, error) {
	s.n.Add(1)
	return s.Store.Load(ctx, key)
}

// The store is asked at the first use, and once.
//
// Django 19, 34, 43.
func TestLazy(t *testing.T) {
	store := &loads{Store: NewMemory()}
	m := newManager(t, Options{Store: store})
	c := login(t, m, "alice")
	store.n.Store(0)
	s := m.Open(request(c))
	if s.Empty() || s.ID() == "" || s.Accessed() || s.Modified() {
		t.Error("an untouched session")
	}
	if got := commit(t, m, s); got != nil || store.n.Load() != 0 {
		t.Errorf("untouched: %d questions to the store, cookie %v", store.n.Load(), got)
	}
	s = m.Open(request(c))
	for range 3 {
		_, err := s.Get(t.Context(), "k", nil)
		check(t, err)
		_, err = s.Keys(t.Context())
		check(t, err)
	}
	if n := store.n.Swap(0); n != 1 {
		t.Errorf("%d questions to the store in one request", n)
	}
	for _, value := range []string{"", "abc", strings.Repeat("a", cookieLen), strings.Repeat("=", 5000)} {
		s = m.Open(request(&http.Cookie{Name: "__Host-gatehouse", Value: value})) //nolint:gosec // of a request
		_, err := s.Keys(t.Context())
		check(t, err)
	}
	if n := store.n.Load(); n != 0 {
		t.Errorf("%d questions about cookies that are not ours", n)
	}
}

// What is stored and sent is JSON and bare text: nothing that builds values of
// types when it is read (pickle, gob), so a secret that has leaked gives nobody
// a way to run code.
//
// Django 1, 25, 26.
func TestNothingIsPickled(t *testing.T) {
	m := newManager(t, Options{})
	s := m.Open(request())
	check(t, s.Set(t.Context(), "k", map[string]any{"a": []int{1}}))
	c := commit(t, m, s)
	raw, err := base64.URLEncoding.DecodeString(c.Value)
	check(t, err)
	if parts := bytes.SplitN(raw, []byte("|"), 3); len(parts) != 3 || len(parts[2]) != 32 {
		t.Errorf("the cookie holds %q", raw)
	} else if id, err := base64.URLEncoding.DecodeString(string(parts[1])); err != nil || string(id) != s.ID() {
		t.Errorf("the cookie holds %q, %v", parts[1], err)
	}
	key := keyOf(s.ID())
	r, err := m.store.Load(t.Context(), key)
	check(t, err)
	aead, err := dataCipher(s.ID(), m.seals[0])
	check(t, err)
	plain, err := aead.Open(nil, r.Data[1:1+nonceLen], r.Data[1+nonceLen:], []byte(key))
	if err != nil || !json.Valid(plain) {
		t.Errorf("sealed: %q, %v", plain, err)
	}
}

// Whose session it is stands beside the data: whatever an application calls
// its keys, it signs nobody in or out.
//
// Django 27, 69.
func TestDataCannotBeTheLogin(t *testing.T) {
	m := newManager(t, Options{Lifetime: time.Hour})
	c := login(t, m, "alice")
	before, err := m.Find(request(c))
	check(t, err)
	s := m.Open(request(c))
	for _, key := range []string{"_auth_user_id", "_auth_user_backend", "_auth_user_hash", "_session_expiry", "user", "User", "values", "expiry", "remember", ""} {
		check(t, s.Set(t.Context(), key, "bob"))
	}
	commit(t, m, s)
	wantUser(t, m, request(c), "alice")
	s = m.Open(request(c))
	check(t, s.Clear(t.Context()))
	commit(t, m, s)
	if i, err := m.Find(request(c)); err != nil || i.User != "alice" || i.Stamp != before.Stamp || !i.Limit.Equal(before.Limit) {
		t.Errorf("after Clear: %+v, %v", i, err)
	}
}

// Commit comes before the first byte; what is changed after it is stored only
// by who asks for that.
//
// Django 44.
func TestChangesAfterCommit(t *testing.T) {
	m := newManager(t, Options{})
	s := m.Open(request())
	check(t, s.Set(t.Context(), "k", 1))
	c := commit(t, m, s)
	check(t, s.Set(t.Context(), "k", 2))
	value := func() (n int) {
		_, err := m.Open(request(c)).Get(t.Context(), "k", &n)
		check(t, err)
		return n
	}
	if n := value(); n != 1 {
		t.Errorf("a change after Commit is stored: %d", n)
	}
	check(t, s.Save(t.Context()))
	if n := value(); n != 2 {
		t.Errorf("Save after Commit: %d", n)
	}
}

// A session with a user and without a stamp is one of a version that knew none,
// or a forgery: what is in it does not pass to who logs in.
//
// Django 94.
func TestLoginOverASessionWithoutStamp(t *testing.T) {
	m := newManager(t, Options{})
	s := m.Open(request())
	check(t, errors.Join(s.Login(t.Context(), Login{User: "alice", Source: "file"}), s.Set(t.Context(), "k", "v")))
	s = m.Open(request(commit(t, m, s)))
	check(t, s.Login(t.Context(), Login{User: "alice", Source: "file", Stamp: "s1"}))
	if found, err := s.Get(t.Context(), "k", nil); found || err != nil {
		t.Errorf("the data of a session without a stamp: %v, %v", found, err)
	}
}

// A policy of its own is worth storing, whatever the session holds.
//
// Django 50, 52, 53.
func TestExpiryAloneIsStored(t *testing.T) {
	m := newManager(t, Options{IdleTimeout: time.Hour})
	s := m.Open(request())
	check(t, s.SetExpiry(t.Context(), Expiry{AtBrowserClose: true}))
	if s.Empty() {
		t.Error("a session with a policy counts as empty")
	}
	c := commit(t, m, s)
	if c == nil || c.MaxAge != 0 {
		t.Fatalf("cookie %v", c)
	}
	s = m.Open(request(c))
	check(t, s.Set(t.Context(), "k", 1))
	if again := commit(t, m, s); again == nil || again.MaxAge != 0 {
		t.Errorf("the next answer forgets the policy: %v", again)
	}
}
