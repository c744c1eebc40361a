// Package storetest is the specification of sessions.Store, as tests. Every
// store runs all of it.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/sessions"
)

// Run tests what open gives. Each test opens an empty store of its own, in a
// bubble of testing/synctest; it closes the store, and open's t.Cleanup
// releases what lies below.
func Run(t *testing.T, open func(t *testing.T) sessions.Store) {
	t.Helper()
	tests := []struct {
		name string
		run  func(t *testing.T, s sessions.Store)
	}{
		{"load gives what was created", loadCreated},
		{"create never overwrites", createTaken},
		{"an expired record counts as present for create", createExpired},
		{"update replaces the version that was loaded", updateVersion},
		{"update never creates", updateGone},
		{"touch moves the times and nothing else", touch},
		{"touch never creates", touchGone},
		{"touch respects limit and idle", touchBounds},
		{"delete gives the record back once", deleteOnce},
		{"delete ends an expired record", deleteExpiredRecord},
		{"expired counts as absent", expiry},
		{"a limit that has passed counts as absent", limitPassed},
		{"list selects by user, prefix and after", list},
		{"list follows the user", listUser},
		{"list of many, in pages", listMany},
		{"list beside writes", listBesideWrites},
		{"list can be left", listLeft},
		{"delete expired, oldest first", deleteExpired},
		{"delete expired looks at the latest expiry", deleteExpiredTouched},
		{"count", count},
		{"no memory is shared", aliasing},
		{"a cancelled context is a failure, not an answer", cancelled},
		{"of n updates of one version exactly one succeeds", racingUpdates},
		{"of n creates of one key exactly one succeeds", racingCreates},
		{"of n deletes of one record exactly one succeeds", racingDeletes},
		{"after delete no load succeeds without a create", racingAll},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := open(t)
				test.run(t, s)
				if err := s.Close(); err != nil {
					t.Errorf("Close: %v", err)
				}
			})
		})
	}
}

// Key gives the n-th key: 64 hexadecimal digits.
func Key(n int) string { return fmt.Sprintf("%08x%056x", uint32(n)*2654435761, n) } //nolint:gosec // spreads the keys

// Record gives a record of the user that expires in an hour, with every field
// set.
func Record(user string) sessions.Record {
	now := time.Now().UTC().Truncate(time.Millisecond)
	return sessions.Record{
		Data: []byte("data of " + user), User: user, Source: "file", Stamp: "stamp",
		Created: now, Login: now.Add(-time.Second), Seen: now.Add(time.Millisecond),
		Expires: now.Add(time.Hour), Limit: now.Add(12 * time.Hour), Idle: time.Hour,
		Browser: true, Addr: "192.0.2.7", Agent: "agent/1.0",
	}
}

func loadCreated(t *testing.T, s sessions.Store) {
	for name, r := range map[string]sessions.Record{
		"every field": Record("alice"),
		"no field":    {Expires: time.Now().Add(time.Minute).Truncate(time.Millisecond)},
	} {
		key := Key(len(name))
		mustCreate(t, s, key, r)
		want := r
		want.Version, want.Expires = 1, r.Expires.UTC()
		if got := mustLoad(t, s, key); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: Load = %+v, want %+v", name, got, want)
		}
	}
	_, err := s.Load(t.Context(), Key(99))
	wantErr(t, "Load of an unknown key", err, sessions.ErrNotFound)
	wantCount(t, s, 2)
}

func createTaken(t *testing.T, s sessions.Store) {
	mustCreate(t, s, Key(1), Record("alice"))
	wantErr(t, "Create", s.Create(t.Context(), Key(1), Record("mallory")), sessions.ErrExists)
	if r := mustLoad(t, s, Key(1)); r.User != "alice" || r.Version != 1 {
		t.Errorf("the record is %q's, version %d", r.User, r.Version)
	}
	wantUsers(t, s, sessions.Query{User: "mallory"})
	wantCount(t, s, 1)
}

func createExpired(t *testing.T, s sessions.Store) {
	mustCreate(t, s, Key(1), Record("alice"))
	time.Sleep(2 * time.Hour)
	wantErr(t, "Create", s.Create(t.Context(), Key(1), Record("mallory")), sessions.ErrExists)
}

func updateVersion(t *testing.T, s sessions.Store) {
	mustCreate(t, s, Key(1), Record("alice"))
	old := mustLoad(t, s, Key(1))
	next := old
	next.Data, next.Stamp = []byte("new"), "new"
	wantErr(t, "Update", s.Update(t.Context(), Key(1), next), nil)
	got := mustLoad(t, s, Key(1))
	if got.Version != 2 || string(got.Data) != "new" || got.Stamp != "new" {
		t.Errorf("after Update: %+v", got)
	}
	wantErr(t, "Update of the old version", s.Update(t.Context(), Key(1), old), sessions.ErrConflict)
	for _, v := range []uint64{0, 3, 1 << 63} {
		next.Version = v
		wantErr(t, fmt.Sprint("Update of version ", v), s.Update(t.Context(), Key(1), next), sessions.ErrConflict)
	}
	if again := mustLoad(t, s, Key(1)); !reflect.DeepEqual(again, got) {
		t.Errorf("a conflict changed the record: %+v, was %+v", again, got)
	}
}

func updateGone(t *testing.T, s sessions.Store) {
	wantErr(t, "Update of an unknown key", s.Update(t.Context(), Key(1), Record("alice")), sessions.ErrNotFound)
	mustCreate(t, s, Key(1), Record("alice"))
	r := mustLoad(t, s, Key(1))
	mustDelete(t, s, Key(1))
	wantErr(t, "Update after Delete", s.Update(t.Context(), Key(1), r), sessions.ErrNotFound)
	_, err := s.Load(t.Context(), Key(1))
	wantErr(t, "Load", err, sessions.ErrNotFound)
	wantUsers(t, s, sessions.Query{})
	wantCount(t, s, 0)
}

func touch(t *testing.T, s sessions.Store) {
	mustCreate(t, s, Key(1), Record("alice"))
	want := mustLoad(t, s, Key(1))
	time.Sleep(30 * time.Minute)
	want.Seen = time.Now().UTC().Truncate(time.Millisecond)
	want.Expires = want.Seen.Add(time.Hour)
	wantErr(t, "Touch", s.Touch(t.Context(), Key(1), want.Seen, want.Expires), nil)
	if got := mustLoad(t, s, Key(1)); !reflect.DeepEqual(got, want) {
		t.Errorf("after Touch: %+v, want %+v", got, want)
	}
	time.Sleep(45 * time.Minute)
	mustLoad(t, s, Key(1))
	time.Sleep(16 * time.Minute)
	_, err := s.Load(t.Context(), Key(1))
	wantErr(t, "Load after the touched time", err, sessions.ErrNotFound)
}

func touchGone(t *testing.T, s sessions.Store) {
	now := time.Now()
	wantErr(t, "Touch of an unknown key", s.Touch(t.Context(), Key(1), now, now.Add(time.Hour)), sessions.ErrNotFound)
	mustCreate(t, s, Key(1), Record("alice"))
	mustDelete(t, s, Key(1))
	wantErr(t, "Touch after Delete", s.Touch(t.Context(), Key(1), now, now.Add(time.Hour)), sessions.ErrNotFound)
	wantCount(t, s, 0)
}

func touchBounds(t *testing.T, s sessions.Store) {
	r := Record("alice")
	mustCreate(t, s, Key(1), r)
	wantErr(t, "Touch", s.Touch(t.Context(), Key(1), r.Seen, r.Limit.Add(time.Hour)), nil)
	if got := mustLoad(t, s, Key(1)); !got.Expires.Equal(r.Limit) {
		t.Errorf("Expires = %v, want the limit %v", got.Expires, r.Limit)
	}
	r.Idle = 0
	mustCreate(t, s, Key(2), r)
	wantErr(t, "Touch", s.Touch(t.Context(), Key(2), r.Seen.Add(time.Minute), r.Expires.Add(time.Hour)), nil)
	if got := mustLoad(t, s, Key(2)); !got.Expires.Equal(r.Expires) || !got.Seen.Equal(r.Seen.Add(time.Minute)) {
		t.Errorf("without idle: Expires = %v, Seen = %v", got.Expires, got.Seen)
	}
}

func deleteOnce(t *testing.T, s sessions.Store) {
	mustCreate(t, s, Key(1), Record("alice"))
	mustCreate(t, s, Key(2), Record("alice"))
	want := mustLoad(t, s, Key(1))
	if got := mustDelete(t, s, Key(1)); !reflect.DeepEqual(got, want) {
		t.Errorf("Delete = %+v, want %+v", got, want)
	}
	_, err := s.Delete(t.Context(), Key(1))
	wantErr(t, "second Delete", err, sessions.ErrNotFound)
	wantKeys(t, s, sessions.Query{User: "alice"}, Key(2))
	wantCount(t, s, 1)
	mustCreate(t, s, Key(1), Record("bob"))
	if r := mustLoad(t, s, Key(1)); r.User != "bob" || r.Version != 1 {
		t.Errorf("created anew: %+v", r)
	}
}

func deleteExpiredRecord(t *testing.T, s sessions.Store) {
	mustCreate(t, s, Key(1), Record("alice"))
	time.Sleep(2 * time.Hour)
	if r := mustDelete(t, s, Key(1)); r.User != "alice" {
		t.Errorf("Delete = %+v", r)
	}
	wantCount(t, s, 0)
}

func expiry(t *testing.T, s sessions.Store) {
	mustCreate(t, s, Key(1), Record("alice"))
	r := mustLoad(t, s, Key(1))
	time.Sleep(time.Until(r.Expires) - time.Millisecond)
	mustLoad(t, s, Key(1))
	time.Sleep(time.Millisecond)
	_, err := s.Load(t.Context(), Key(1))
	wantErr(t, "Load at expiry", err, sessions.ErrNotFound)
	now := time.Now()
	wantErr(t, "Touch at expiry", s.Touch(t.Context(), Key(1), now, now.Add(time.Hour)), sessions.ErrNotFound)
	r.Expires = now.Add(time.Hour)
	wantErr(t, "Update at expiry", s.Update(t.Context(), Key(1), r), sessions.ErrNotFound)
	wantKeys(t, s, sessions.Query{}, Key(1))
	wantCount(t, s, 1)
}

func limitPassed(t *testing.T, s sessions.Store) {
	r := Record("alice")
	r.Limit = time.Now().Add(time.Minute)
	mustCreate(t, s, Key(1), r)
	mustLoad(t, s, Key(1))
	time.Sleep(time.Minute)
	_, err := s.Load(t.Context(), Key(1))
	wantErr(t, "Load after the limit", err, sessions.ErrNotFound)
}

func list(t *testing.T, s sessions.Store) {
	keys := make([]string, 5)
	for i := range keys {
		keys[i] = strings.Repeat(string("0123f"[i]), 64)
		user := []string{"alice", "bob", "alice", "", "alice\x00" + keys[0]}[i]
		mustCreate(t, s, keys[i], Record(user))
	}
	for _, test := range []struct {
		name string
		q    sessions.Query
		want []string
	}{
		{"all", sessions.Query{}, keys},
		{"a user", sessions.Query{User: "alice"}, []string{keys[0], keys[2]}},
		{"the beginning of a name", sessions.Query{User: "alic"}, nil},
		{"a prefix", sessions.Query{Prefix: "2222"}, keys[2:3]},
		{"a whole key", sessions.Query{Prefix: keys[3]}, keys[3:4]},
		{"no such prefix", sessions.Query{Prefix: "23"}, nil},
		{"after", sessions.Query{After: keys[1]}, keys[2:]},
		{"after what is not there", sessions.Query{After: "12"}, keys[2:]},
		{"after the last", sessions.Query{After: keys[4]}, nil},
		{"user and after", sessions.Query{User: "alice", After: keys[0]}, keys[2:3]},
		{"user and prefix", sessions.Query{User: "alice", Prefix: "0"}, keys[:1]},
		{"another user's prefix", sessions.Query{User: "alice", Prefix: "1"}, nil},
		{"prefix and after", sessions.Query{Prefix: "0", After: keys[0]}, nil},
		{"prefix after after", sessions.Query{Prefix: "2", After: keys[0]}, keys[2:3]},
	} {
		t.Log(test.name)
		wantKeys(t, s, test.q, test.want...)
	}
}

func listUser(t *testing.T, s sessions.Store) {
	mustCreate(t, s, Key(1), Record(""))
	r := mustLoad(t, s, Key(1))
	for _, user := range []string{"alice", "bob", ""} {
		before := r.User
		r.User = user
		wantErr(t, "Update", s.Update(t.Context(), Key(1), r), nil)
		r = mustLoad(t, s, Key(1))
		if user != "" {
			wantKeys(t, s, sessions.Query{User: user}, Key(1))
		}
		if before != "" {
			wantKeys(t, s, sessions.Query{User: before})
		}
	}
}

func listMany(t *testing.T, s sessions.Store) {
	const n = 700 // more than a page of any store
	var keys []string
	for i := range n {
		keys = append(keys, Key(i))
	}
	var wg sync.WaitGroup
	for i, key := range keys {
		wg.Go(func() {
			if err := s.Create(t.Context(), key, Record([]string{"alice", "bob"}[i%2])); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	slices.Sort(keys)
	wantKeys(t, s, sessions.Query{}, keys...)
	wantKeys(t, s, sessions.Query{After: keys[500]}, keys[501:]...)
	wantCount(t, s, n)
	alice := 0
	for e, err := range s.List(t.Context(), sessions.Query{User: "alice"}) {
		if err != nil || e.User != "alice" {
			t.Fatalf("List yields %+v, %v", e, err)
		}
		alice++
	}
	if alice != n/2 {
		t.Errorf("alice has %d sessions, want %d", alice, n/2)
	}
}

func listBesideWrites(t *testing.T, s sessions.Store) {
	for i := range 20 {
		mustCreate(t, s, Key(i), Record("alice"))
	}
	seen := 0
	for e, err := range s.List(t.Context(), sessions.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		mustDelete(t, s, e.Key) // a store that holds a lock here would never return
		seen++
	}
	if seen != 20 {
		t.Errorf("List yields %d, want 20", seen)
	}
	wantCount(t, s, 0)
}

func listLeft(t *testing.T, s sessions.Store) {
	mustCreate(t, s, Key(1), Record("alice"))
	mustCreate(t, s, Key(2), Record("alice"))
	for range s.List(t.Context(), sessions.Query{}) {
		break
	}
	for range s.List(t.Context(), sessions.Query{User: "alice"}) {
		break
	}
	wantCount(t, s, 2)
}

func deleteExpired(t *testing.T, s sessions.Store) {
	now := time.Now()
	for i := range 10 {
		r := Record("alice")
		r.Expires = now.Add(time.Duration(10-i) * time.Minute)
		mustCreate(t, s, Key(i), r)
	}
	time.Sleep(time.Until(now.Add(7 * time.Minute)))
	for _, want := range [][]int{{9, 8, 7}, {6, 5, 4}, {3}, {}} {
		gone, err := s.DeleteExpired(t.Context(), now.Add(7*time.Minute), 3)
		wantErr(t, "DeleteExpired", err, nil)
		var keys []string
		for _, e := range gone {
			keys = append(keys, e.Key)
			if e.User != "alice" {
				t.Errorf("%s yields %+v", e.Key, e.Record)
			}
		}
		var wantKeys []string
		for _, i := range want {
			wantKeys = append(wantKeys, Key(i))
		}
		if !slices.Equal(keys, wantKeys) {
			t.Errorf("DeleteExpired = %v, want %v", keys, wantKeys)
		}
	}
	wantCount(t, s, 3)
	if n := len(entries(t, s, sessions.Query{User: "alice"})); n != 3 {
		t.Errorf("alice has %d sessions, want 3", n)
	}
}

func deleteExpiredTouched(t *testing.T, s sessions.Store) {
	now := time.Now()
	mustCreate(t, s, Key(1), Record("alice"))
	mustCreate(t, s, Key(2), Record("alice"))
	mustCreate(t, s, Key(3), Record("alice"))
	wantErr(t, "Touch", s.Touch(t.Context(), Key(1), now, now.Add(3*time.Hour)), nil)
	r := mustLoad(t, s, Key(2))
	r.Expires = now.Add(time.Minute)
	wantErr(t, "Update", s.Update(t.Context(), Key(2), r), nil)
	time.Sleep(2 * time.Minute)
	gone, err := s.DeleteExpired(t.Context(), time.Now(), 10)
	if err != nil || len(gone) != 1 || gone[0].Key != Key(2) {
		t.Errorf("after 2 minutes: %v, %v", gone, err)
	}
	time.Sleep(2 * time.Hour)
	gone, err = s.DeleteExpired(t.Context(), time.Now(), 10)
	if err != nil || len(gone) != 1 || gone[0].Key != Key(3) {
		t.Errorf("after 2 hours: %v, %v", gone, err)
	}
	mustLoad(t, s, Key(1))
}

func count(t *testing.T, s sessions.Store) {
	wantCount(t, s, 0)
	mustCreate(t, s, Key(1), Record("alice"))
	mustCreate(t, s, Key(2), Record(""))
	wantCount(t, s, 2)
	r := mustLoad(t, s, Key(1))
	wantErr(t, "Update", s.Update(t.Context(), Key(1), r), nil)
	wantErr(t, "Touch", s.Touch(t.Context(), Key(1), r.Seen, r.Expires), nil)
	wantCount(t, s, 2)
	time.Sleep(2 * time.Hour)
	wantCount(t, s, 2)
}

func aliasing(t *testing.T, s sessions.Store) {
	r := Record("alice")
	mustCreate(t, s, Key(1), r)
	same := func(after string) {
		t.Helper()
		if got := mustLoad(t, s, Key(1)); string(got.Data) != "data of alice" {
			t.Fatalf("after %s the store has %q", after, got.Data)
		}
	}
	clear(r.Data)
	same("a write to what was created")
	got := mustLoad(t, s, Key(1))
	clear(got.Data)
	same("a write to what was loaded")
	next := mustLoad(t, s, Key(1))
	wantErr(t, "Update", s.Update(t.Context(), Key(1), next), nil)
	clear(next.Data)
	same("a write to what was updated")
	for _, q := range []sessions.Query{{}, {User: "alice"}} {
		clear(entries(t, s, q)[0].Data)
		same("a write to what was listed")
	}

	// What was read stays as it was, whatever happens to the store.
	got = mustLoad(t, s, Key(1))
	listed := entries(t, s, sessions.Query{})[0]
	for i := range 50 {
		mustCreate(t, s, Key(100+i), Record(strings.Repeat("K", 100)))
	}
	gone := mustDelete(t, s, Key(1))
	for i := range 50 {
		mustDelete(t, s, Key(100+i))
	}
	for name, data := range map[string][]byte{"loaded": got.Data, "listed": listed.Data, "deleted": gone.Data} {
		if string(data) != "data of alice" {
			t.Errorf("what was %s became %q", name, data)
		}
	}
}

func cancelled(t *testing.T, s sessions.Store) {
	mustCreate(t, s, Key(1), Record("alice"))
	r := mustLoad(t, s, Key(1))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	failed := func(what string, err error) {
		t.Helper()
		for _, answer := range []error{nil, sessions.ErrNotFound, sessions.ErrExists, sessions.ErrConflict} {
			if errors.Is(err, answer) {
				t.Errorf("%s with a cancelled context: %v", what, err)
			}
		}
	}
	failed("Create", s.Create(ctx, Key(2), Record("bob")))
	failed("Update", s.Update(ctx, Key(1), r))
	failed("Touch", s.Touch(ctx, Key(1), r.Seen, r.Expires))
	_, err := s.Delete(ctx, Key(1))
	failed("Delete", err)
	if got := mustLoad(t, s, Key(1)); got.Version != 1 {
		t.Errorf("something was written: %+v", got)
	}
	wantCount(t, s, 1)
}

const racers = 50

// race calls f by racers goroutines, and counts those that succeed. The
// others must fail with one of the errors.
func race(t *testing.T, f func(i int) error, others ...error) int {
	t.Helper()
	var won atomic.Int32
	var wg sync.WaitGroup
	for i := range racers {
		wg.Go(func() {
			err := f(i)
			if err == nil {
				won.Add(1)
			} else if !slices.ContainsFunc(others, func(o error) bool { return errors.Is(err, o) }) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	return int(won.Load())
}

func racingUpdates(t *testing.T, s sessions.Store) {
	mustCreate(t, s, Key(1), Record("alice"))
	for round := range 5 {
		r := mustLoad(t, s, Key(1))
		won := race(t, func(i int) error {
			mine := r
			mine.Stamp = fmt.Sprint(i)
			return s.Update(t.Context(), Key(1), mine)
		}, sessions.ErrConflict)
		if got := mustLoad(t, s, Key(1)); won != 1 || got.Version != r.Version+1 {
			t.Fatalf("round %d: %d updates succeeded, version %d after %d", round, won, got.Version, r.Version)
		}
	}
}

func racingCreates(t *testing.T, s sessions.Store) {
	if won := race(t, func(int) error { return s.Create(t.Context(), Key(1), Record("alice")) }, sessions.ErrExists); won != 1 {
		t.Errorf("%d creates succeeded", won)
	}
	wantCount(t, s, 1)
}

func racingDeletes(t *testing.T, s sessions.Store) {
	mustCreate(t, s, Key(1), Record("alice"))
	if won := race(t, func(int) error { _, err := s.Delete(t.Context(), Key(1)); return err }, sessions.ErrNotFound); won != 1 {
		t.Errorf("%d deletes succeeded", won)
	}
	wantCount(t, s, 0)
}

// racingAll has many goroutines do anything but Create with one key, and one
// that creates and deletes it. Whenever Delete has returned, the key stays
// absent until the next Create: for every reader, and whatever writers that
// loaded it before are about to store.
func racingAll(t *testing.T, s sessions.Store) {
	ctx, key := t.Context(), Key(1)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	for i := range racers - 1 {
		rng := rand.New(rand.NewPCG(uint64(i), 1)) //nolint:gosec // a test that can be repeated
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				r, err := s.Load(ctx, key)
				if err == nil && rng.IntN(2) == 0 {
					err = s.Update(ctx, key, r)
				} else if err == nil {
					err = s.Touch(ctx, key, r.Seen, r.Expires)
				}
				if err != nil && !errors.Is(err, sessions.ErrNotFound) && !errors.Is(err, sessions.ErrConflict) {
					t.Error(err)
					return
				}
				time.Sleep(time.Duration(rng.IntN(50)) * time.Microsecond)
			}
		})
	}
	for round := range 40 {
		mustCreate(t, s, key, Record("alice"))
		time.Sleep(20 * time.Microsecond)
		mustDelete(t, s, key)
		for range 20 {
			if r, err := s.Load(ctx, key); !errors.Is(err, sessions.ErrNotFound) {
				t.Errorf("round %d: after Delete, Load = %+v, %v", round, r, err)
				break
			}
			time.Sleep(5 * time.Microsecond)
		}
	}
	close(stop)
	wg.Wait()
	wantCount(t, s, 0)
	wantUsers(t, s, sessions.Query{})
}

func mustCreate(t *testing.T, s sessions.Store, key string, r sessions.Record) {
	t.Helper()
	if err := s.Create(t.Context(), key, r); err != nil {
		t.Fatalf("Create: %v", err)
	}
}

func mustLoad(t *testing.T, s sessions.Store, key string) sessions.Record {
	t.Helper()
	r, err := s.Load(t.Context(), key)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return r
}

func mustDelete(t *testing.T, s sessions.Store, key string) sessions.Record {
	t.Helper()
	r, err := s.Delete(t.Context(), key)
	if err != nil {
		t.Fatalf("Delete: %v", err)
	}
	return r
}

func entries(t *testing.T, s sessions.Store, q sessions.Query) (found []sessions.Entry) {
	t.Helper()
	for e, err := range s.List(t.Context(), q) {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		found = append(found, e)
	}
	return found
}

func wantKeys(t *testing.T, s sessions.Store, q sessions.Query, want ...string) {
	t.Helper()
	var got []string
	for _, e := range entries(t, s, q) {
		got = append(got, e.Key)
	}
	if !slices.Equal(got, want) {
		t.Errorf("List(%+v) = %d keys %.200q, want %d %.200q", q, len(got), got, len(want), want)
	}
}

func wantUsers(t *testing.T, s sessions.Store, q sessions.Query, want ...string) {
	t.Helper()
	var got []string
	for _, e := range entries(t, s, q) {
		got = append(got, e.User)
	}
	if !slices.Equal(got, want) {
		t.Errorf("List(%+v) = users %q, want %q", q, got, want)
	}
}

func wantCount(t *testing.T, s sessions.Store, want int) {
	t.Helper()
	if got, err := s.Count(t.Context()); err != nil || got != want {
		t.Errorf("Count = %d, %v, want %d", got, err, want)
	}
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
