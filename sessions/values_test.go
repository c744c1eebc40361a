package sessions

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/boltfile"
)

// keepValue keeps one value in a space.
func keepValue(m *Manager, r *http.Request, space, key, value string) error {
	i, err := m.Find(r)
	if err != nil {
		return err
	}
	return m.ChangeValues(r, i, space, true, func(v map[string]string) bool { v[key] = value; return true })
}

func wantValues(tb testing.TB, m *Manager, r *http.Request, space string, want map[string]string) {
	tb.Helper()
	i, err := m.Find(r)
	if err != nil {
		tb.Fatal(err)
	}
	if got, err := m.Values(r, i, space); err != nil || !maps.Equal(got, want) {
		tb.Errorf("%s holds %v, %v; want %v", space, got, err, want)
	}
}

// eachStore runs f with every store that needs no server, in front of which
// there is a cache as in a running gate.
func eachStore(t *testing.T, f func(t *testing.T, store Store)) {
	t.Helper()
	t.Run("memory", func(t *testing.T) { f(t, NewMemory()) })
	t.Run("cached", func(t *testing.T) { f(t, NewCached(NewMemory(), 1<<24)) })
	t.Run("shared", func(t *testing.T) {
		c := NewCached(deaf{NewMemory()}, 1<<24)
		t.Cleanup(func() { _ = c.Close() })
		f(t, c)
	})
	t.Run("bolt", func(t *testing.T) {
		db, err := boltfile.Open(filepath.Join(t.TempDir(), "values.db"))
		check(t, err)
		t.Cleanup(func() { _ = db.Close() })
		b, err := NewBolt(db)
		check(t, err)
		f(t, NewCached(b, 1<<24))
	})
}

// deaf is a store that others write to, and that announces nothing.
type deaf struct{ *Memory }

func (deaf) Watch(ctx context.Context, _ func(string), _ func()) { <-ctx.Done() }

func TestValues(t *testing.T) {
	eachStore(t, func(t *testing.T, store Store) {
		t.Helper()
		m := newManager(t, Options{Store: store})
		r := request(login(t, m, "alice"))
		wantValues(t, m, r, "a/", nil)
		check(t, keepValue(m, r, "a/", "k", "secret plain text"))
		check(t, keepValue(m, r, "a/", "l", "2"))
		check(t, keepValue(m, r, "b/", "k", "b's"))
		wantValues(t, m, r, "a/", map[string]string{"k": "secret plain text", "l": "2"})
		wantValues(t, m, r, "b/", map[string]string{"k": "b's"})
		wantValues(t, m, r, "c/", nil)

		i, err := m.Find(r)
		check(t, err)
		rec, err := store.Load(t.Context(), i.Key)
		if err != nil || len(rec.Data) == 0 || bytes.Contains(rec.Data, []byte("plain text")) {
			t.Errorf("the store holds %q, %v", rec.Data, err)
		}
		version := rec.Version
		check(t, m.ChangeValues(r, i, "a/", true, func(map[string]string) bool { return false }))
		if rec, err = store.Load(t.Context(), i.Key); err != nil || rec.Version != version {
			t.Errorf("no change has made version %d of %d, %v", rec.Version, version, err)
		}
		check(t, m.ChangeValues(r, i, "a/", true, func(v map[string]string) bool { clear(v); return true }))
		wantValues(t, m, r, "a/", nil)
		wantValues(t, m, r, "b/", map[string]string{"k": "b's"})
	})
}

// Both of two writers at once survive, however many they are.
func TestValuesOfManyWritersSurvive(t *testing.T) {
	eachStore(t, func(t *testing.T, store Store) {
		t.Helper()
		const writers = 50
		m := newManager(t, Options{Store: store})
		r := request(login(t, m, "alice"))
		want := map[string]string{}
		errs := make([]error, writers)
		var wg sync.WaitGroup
		for n := range writers {
			key := fmt.Sprint("key", n)
			want[key] = "v"
			wg.Go(func() { errs[n] = keepValue(m, r, "a/", key, "v") })
		}
		wg.Wait()
		check(t, errors.Join(errs...))
		wantValues(t, m, r, "a/", want)
	})
}

// They go where the session goes, and with it.
func TestValuesFollowTheSession(t *testing.T) {
	m := newManager(t, Options{})
	first := request(login(t, m, "alice"))
	check(t, keepValue(m, first, "a/", "k", "v"))
	before, err := m.Find(first)
	check(t, err)

	s := m.Open(first)
	check(t, s.Renew(t.Context(), "s2")) // a new password
	second := request(commit(t, m, s))
	wantValues(t, m, second, "a/", map[string]string{"k": "v"})
	if err := m.ChangeValues(first, before, "a/", true, func(v map[string]string) bool { v["k"] = "late"; return true }); !errors.Is(err, ErrNotFound) {
		t.Errorf("an answer to the old id: %v, want ErrNotFound", err)
	}
	if got, err := m.Values(first, before, "a/"); err != nil || got != nil {
		t.Errorf("the old id reads %v, %v", got, err)
	}
	wantValues(t, m, second, "a/", map[string]string{"k": "v"})

	again := request(loginAs(t, m, second, Login{User: "alice", Source: "file", Stamp: "s2"}))
	wantValues(t, m, again, "a/", map[string]string{"k": "v"})
	wantValues(t, m, request(loginAs(t, m, again, Login{User: "bob", Source: "file", Stamp: "s2"})), "a/", nil)
}

// A request that outlives a logout neither keeps a value nor brings the
// session back.
func TestValuesAfterLogoutAreDropped(t *testing.T) {
	m := newManager(t, Options{})
	c := login(t, m, "alice")
	i, err := m.Find(request(c))
	check(t, err)
	check(t, m.Open(request(c)).Logout(t.Context()))
	err = m.ChangeValues(request(c), i, "a/", true, func(v map[string]string) bool { v["k"] = "v"; return true })
	if !errors.Is(err, ErrNotFound) {
		t.Errorf("%v, want ErrNotFound", err)
	}
	wantNobody(t, m, request(c), "after the logout")
}

// Who brings another cookie than the one of the session reads and writes
// nothing, whatever the Info says.
func TestValuesOfAnotherCookieAreClosed(t *testing.T) {
	m := newManager(t, Options{})
	alice, mallory := login(t, m, "alice"), login(t, m, "mallory")
	check(t, keepValue(m, request(alice), "a/", "k", "v"))
	i, err := m.Find(request(alice))
	check(t, err)
	for name, r := range map[string]*http.Request{
		"none": request(), "another's": request(mallory), "two": request(alice, mallory), "a forged one": request(&http.Cookie{Name: alice.Name, Value: i.Key}), //nolint:gosec // what a visitor sends
	} {
		if got, err := m.Values(r, i, "a/"); got != nil || err != nil {
			t.Errorf("with %s: %v, %v", name, got, err)
		}
		err := m.ChangeValues(r, i, "a/", true, func(v map[string]string) bool { v["k"] = "forged"; return true })
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("with %s: %v, want ErrNotFound", name, err)
		}
	}
	wantValues(t, m, request(alice), "a/", map[string]string{"k": "v"})
}

// A value that is kept for a request which is no use does not extend the
// session, and one that is kept for a use does, up to its limit.
func TestValuesAndTheClocks(t *testing.T) {
	for used, want := range map[bool]time.Duration{false: time.Hour, true: 90 * time.Minute} {
		synctest.Test(t, func(t *testing.T) {
			m := newManager(t, Options{IdleTimeout: time.Hour, Lifetime: 90 * time.Minute})
			start := time.Now()
			r := request(login(t, m, "alice"))
			time.Sleep(40 * time.Minute)
			i, err := m.Find(r)
			check(t, err)
			check(t, m.ChangeValues(r, i, "a/", used, func(v map[string]string) bool { v["k"] = "v"; return true }))
			if i, err = m.Find(r); err != nil || !i.Expires.Equal(start.Add(want)) {
				t.Errorf("used %t: it expires after %s, %v; want %s", used, i.Expires.Sub(start), err, want)
			}
		})
	}
}

// What another process has kept is seen at once, although the announcement
// has not come.
func TestValuesOfAnotherNode(t *testing.T) {
	store := deaf{NewMemory()}
	var nodes [2]*Manager
	for n := range nodes {
		c := NewCached(store, 1<<24)
		t.Cleanup(func() { _ = c.Close() })
		nodes[n] = newManager(t, Options{Store: c})
	}
	r := request(login(t, nodes[0], "alice"))
	for n := range 4 {
		wantUser(t, nodes[0], r, "alice") // both caches hold the session
		wantUser(t, nodes[1], r, "alice")
		check(t, keepValue(nodes[n%2], r, "a/", "k", strconv.Itoa(n)))
		wantValues(t, nodes[(n+1)%2], r, "a/", map[string]string{"k": strconv.Itoa(n)})
	}
	i, err := nodes[0].Find(r)
	check(t, err)
	check(t, nodes[0].ChangeValues(r, i, "a/", true, func(v map[string]string) bool {
		_, ok := v["k"]
		delete(v, "k")
		return ok
	}))
	wantValues(t, nodes[1], r, "a/", nil)
}

// A store that hangs is given up, and one that fails is no logout.
func TestValuesCannotTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &stuck{Memory: NewMemory()}
		m := newManager(t, Options{Store: store})
		r := request(login(t, m, "alice"))
		i, err := m.Find(r)
		check(t, err)
		store.on = true
		began := time.Now()
		err = m.ChangeValues(r, i, "a/", true, func(v map[string]string) bool { v["k"] = "v"; return true })
		if err == nil || errors.Is(err, ErrNotFound) || time.Since(began) > writeTime {
			t.Errorf("%v after %s", err, time.Since(began))
		}
		store.on = false
		i.Data = true
		m = newManager(t, Options{Store: &deadStore{store.Memory}})
		if _, err := m.Values(r, i, "a/"); err == nil || errors.Is(err, ErrNotFound) {
			t.Errorf("reading: %v, want that the store could not tell", err)
		}
	})
}

// stuck is a store whose writes hang.
type stuck struct {
	*Memory

	on bool
}

func (s *stuck) Update(ctx context.Context, key string, r Record) error {
	if s.on {
		<-ctx.Done()
		return ctx.Err()
	}
	return s.Memory.Update(ctx, key, r)
}

// The application has done what it did, also for a visitor who has left.
func TestValuesAreKeptForWhoHasLeft(t *testing.T) {
	m := newManager(t, Options{})
	r := request(login(t, m, "alice"))
	gone, leave := context.WithCancel(t.Context())
	leave()
	i, err := m.Find(r)
	check(t, err)
	check(t, m.ChangeValues(r.WithContext(gone), i, "a/", true, func(v map[string]string) bool { v["k"] = "v"; return true }))
	wantValues(t, m, r, "a/", map[string]string{"k": "v"})
}

// Data that the gate did not write are not told, and nothing is added to them.
func TestValuesOfAChangedRecord(t *testing.T) {
	m := newManager(t, Options{})
	r := request(login(t, m, "alice"))
	check(t, keepValue(m, r, "a/", "k", "v"))
	i, err := m.Find(r)
	check(t, err)
	rec, err := m.store.Load(t.Context(), i.Key)
	check(t, err)
	rec.Data = []byte(strings.Repeat("damage", 10))
	check(t, m.store.Update(t.Context(), i.Key, rec))
	if v, err := m.Values(r, i, "a/"); v != nil || err != nil {
		t.Errorf("Values = %v, %v", v, err)
	}
	err = m.ChangeValues(r, i, "a/", true, func(map[string]string) bool { t.Error("there is something to change"); return true })
	if !errors.Is(err, ErrNotFound) {
		t.Errorf("ChangeValues: %v", err)
	}
}

func BenchmarkValues(b *testing.B) {
	for name, n := range map[string]int{"none": 0, "ten": 10} {
		b.Run(name, func(b *testing.B) {
			m := newManager(b, Options{Store: NewCached(NewMemory(), 1<<24)})
			r := request(login(b, m, "alice"))
			for k := range n {
				if err := keepValue(m, r, "a/", fmt.Sprint("key", k), strings.Repeat("v", 100)); err != nil {
					b.Fatal(err)
				}
			}
			i, err := m.Find(r)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.Values(r, i, "a/"); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
