// Package storetest is the specification of sessions.Store, as tests. The test of a store is
// one call of Run, or of RunServer if the store lies in another process.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/sessions"
)

// Run tests the stores that open returns. Each test opens an empty store of its own, in a
// bubble of testing/synctest, where waiting for an hour takes no time. The test closes the
// store; open releases what lies below it by t.Cleanup.
func Run(t *testing.T, open func(t *testing.T) sessions.Store) {
	t.Helper()
	for _, test := range tests() {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				test.in(suite{t, open(t), time.Now, time.Sleep, 40})
			})
		})
	}
}

// RunServer is Run for a store that lies in another process, where time cannot be faked. The
// store has to use now as its clock, which stands still, and which the tests set forward by
// hours in place of waiting. Whatever the server does by its own clock must not begin before a
// record has been expired for a day.
func RunServer(t *testing.T, open func(t *testing.T, now func() time.Time) sessions.Store) {
	t.Helper()
	for _, test := range tests() {
		t.Run(test.name, func(t *testing.T) {
			var ahead atomic.Int64
			start := time.Now()
			now := func() time.Time { return start.Add(time.Duration(ahead.Load())) }
			pass := func(d time.Duration) { ahead.Add(int64(d)) }
			test.in(suite{t, open(t, now), now, pass, 8})
		})
	}
}

type test struct {
	name string
	run  func(suite)
}

func (test test) in(s suite) {
	s.Helper()
	test.run(s)
	if err := s.store.Close(); err != nil {
		s.Errorf("Close: %v", err)
	}
}

func tests() []test {
	return []test{
		{"load gives what was created", suite.loadCreated},
		{"create never overwrites", suite.createTaken},
		{"an expired record counts as present for create", suite.createExpired},
		{"update replaces the version that was loaded", suite.updateVersion},
		{"update never creates", suite.updateGone},
		{"touch moves the times and nothing else", suite.touch},
		{"touch never creates", suite.touchGone},
		{"touch respects limit and idle", suite.touchBounds},
		{"delete gives the record back once", suite.deleteOnce},
		{"delete ends an expired record", suite.deleteExpiredRecord},
		{"expired counts as absent", suite.expiry},
		{"a limit that has passed counts as absent", suite.limitPassed},
		{"list selects by user, prefix and after", suite.list},
		{"list follows the user", suite.listUser},
		{"list of many, in pages", suite.listMany},
		{"list beside writes", suite.listBesideWrites},
		{"list can be left", suite.listLeft},
		{"delete expired, oldest first", suite.deleteExpired},
		{"delete expired looks at the latest expiry", suite.deleteExpiredTouched},
		{"count", suite.count},
		{"no memory is shared", suite.aliasing},
		{"a cancelled context is a failure, not an answer", suite.cancelled},
		{"of n updates of one version exactly one succeeds", suite.racingUpdates},
		{"of n creates of one key exactly one succeeds", suite.racingCreates},
		{"of n deletes of one record exactly one succeeds", suite.racingDeletes},
		{"after delete no load succeeds without a create", suite.racingAll},
		{"one session on several hosts", suite.severalHosts},
		{"of n who bring one code exactly one enters", suite.racingCodes},
	}
}

// suite is one test with its store.
type suite struct {
	*testing.T
	store sessions.Store
	now   func() time.Time
	pass  func(time.Duration) // lets so much time pass

	rounds int // of the longest race
}

// Key returns the n-th key: 64 hexadecimal digits.
func Key(n int) string { return fmt.Sprintf("%08x%056x", uint32(n)*2654435761, n) } //nolint:gosec // spreads the keys

// Record returns a record of the user that expires in an hour, with every field set.
func Record(user string) sessions.Record { return record(user, time.Now()) }

func (t suite) record(user string) sessions.Record { return record(user, t.now()) }

func record(user string, now time.Time) sessions.Record {
	now = now.UTC().Truncate(time.Millisecond)
	return sessions.Record{
		Data: []byte("data of " + user), User: user, Source: "file", Stamp: "stamp",
		Created: now, Login: now.Add(-time.Second), Seen: now.Add(time.Millisecond),
		Expires: now.Add(time.Hour), Limit: now.Add(12 * time.Hour), Idle: time.Hour,
		Browser: true, Addr: "192.0.2.7", Agent: "agent/1.0",
		AuthTime: now.Add(-time.Minute), Level: 2, Methods: []string{"pwd", "otp"}, Actor: "root",
		Host: "wiki.example.com", Hosts: []sessions.HostID{{Host: "shop.example.org", Key: Key(1)}, {Host: "wiki.example.com", Key: Key(2)}},
		Proof: []byte("proof of " + user), Mark: []byte("mark of " + user),
	}
}

func (t suite) loadCreated() {
	for name, r := range map[string]sessions.Record{
		"every field": t.record("alice"),
		"no field":    {Expires: t.now().Add(time.Minute).Truncate(time.Millisecond)},
	} {
		key := Key(len(name))
		t.mustCreate(key, r)
		want := r
		want.Version, want.Expires = 1, r.Expires.UTC()
		if got := t.mustLoad(key); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: Load = %+v, want %+v", name, got, want)
		}
	}
	_, err := t.store.Load(t.Context(), Key(99))
	t.wantErr("Load of an unknown key", err, sessions.ErrNotFound)
	t.wantCount(2)
}

func (t suite) createTaken() {
	t.mustCreate(Key(1), t.record("alice"))
	t.wantErr("Create", t.store.Create(t.Context(), Key(1), t.record("mallory")), sessions.ErrExists)
	if r := t.mustLoad(Key(1)); r.User != "alice" || r.Version != 1 {
		t.Errorf("the record is %q's, version %d", r.User, r.Version)
	}
	t.wantUsers(sessions.Query{User: "mallory"})
	t.wantCount(1)
}

func (t suite) createExpired() {
	t.mustCreate(Key(1), t.record("alice"))
	t.pass(2 * time.Hour)
	t.wantErr("Create", t.store.Create(t.Context(), Key(1), t.record("mallory")), sessions.ErrExists)
}

func (t suite) updateVersion() {
	t.mustCreate(Key(1), t.record("alice"))
	old := t.mustLoad(Key(1))
	next := old
	next.Data, next.Stamp = []byte("new"), "new"
	t.wantErr("Update", t.store.Update(t.Context(), Key(1), next), nil)
	got := t.mustLoad(Key(1))
	if got.Version != 2 || string(got.Data) != "new" || got.Stamp != "new" {
		t.Errorf("after Update: %+v", got)
	}
	t.wantErr("Update of the old version", t.store.Update(t.Context(), Key(1), old), sessions.ErrConflict)
	for _, v := range []uint64{0, 3, 1 << 63} {
		next.Version = v
		t.wantErr(fmt.Sprint("Update of version ", v), t.store.Update(t.Context(), Key(1), next), sessions.ErrConflict)
	}
	if again := t.mustLoad(Key(1)); !reflect.DeepEqual(again, got) {
		t.Errorf("a conflict changed the record: %+v, was %+v", again, got)
	}
}

func (t suite) updateGone() {
	t.wantErr("Update of an unknown key", t.store.Update(t.Context(), Key(1), t.record("alice")), sessions.ErrNotFound)
	t.mustCreate(Key(1), t.record("alice"))
	r := t.mustLoad(Key(1))
	t.mustDelete(Key(1))
	t.wantErr("Update after Delete", t.store.Update(t.Context(), Key(1), r), sessions.ErrNotFound)
	_, err := t.store.Load(t.Context(), Key(1))
	t.wantErr("Load", err, sessions.ErrNotFound)
	t.wantUsers(sessions.Query{})
	t.wantCount(0)
}

func (t suite) touch() {
	t.mustCreate(Key(1), t.record("alice"))
	want := t.mustLoad(Key(1))
	t.pass(30 * time.Minute)
	want.Seen = t.now().UTC().Truncate(time.Millisecond)
	want.Mark = []byte("another mark")
	want.Expires = want.Seen.Add(time.Hour)
	t.wantErr("Touch", t.store.Touch(t.Context(), Key(1), want.Seen, want.Expires, want.Mark), nil)
	if got := t.mustLoad(Key(1)); !reflect.DeepEqual(got, want) {
		t.Errorf("after Touch: %+v, want %+v", got, want)
	}
	t.pass(45 * time.Minute)
	t.mustLoad(Key(1))
	t.pass(16 * time.Minute)
	_, err := t.store.Load(t.Context(), Key(1))
	t.wantErr("Load after the touched time", err, sessions.ErrNotFound)
}

func (t suite) touchGone() {
	now := t.now()
	t.wantErr("Touch of an unknown key", t.store.Touch(t.Context(), Key(1), now, now.Add(time.Hour), nil), sessions.ErrNotFound)
	t.mustCreate(Key(1), t.record("alice"))
	t.mustDelete(Key(1))
	t.wantErr("Touch after Delete", t.store.Touch(t.Context(), Key(1), now, now.Add(time.Hour), nil), sessions.ErrNotFound)
	t.wantCount(0)
}

func (t suite) touchBounds() {
	r := t.record("alice")
	t.mustCreate(Key(1), r)
	t.wantErr("Touch", t.store.Touch(t.Context(), Key(1), r.Seen, r.Limit.Add(time.Hour), r.Mark), nil)
	if got := t.mustLoad(Key(1)); !got.Expires.Equal(r.Limit) {
		t.Errorf("Expires = %v, want the limit %v", got.Expires, r.Limit)
	}
	r.Idle = 0
	t.mustCreate(Key(2), r)
	t.wantErr("Touch", t.store.Touch(t.Context(), Key(2), r.Seen.Add(time.Minute), r.Expires.Add(time.Hour), r.Mark), nil)
	if got := t.mustLoad(Key(2)); !got.Expires.Equal(r.Expires) || !got.Seen.Equal(r.Seen.Add(time.Minute)) {
		t.Errorf("without idle: Expires = %v, Seen = %v", got.Expires, got.Seen)
	}
}

func (t suite) deleteOnce() {
	t.mustCreate(Key(1), t.record("alice"))
	t.mustCreate(Key(2), t.record("alice"))
	want := t.mustLoad(Key(1))
	if got := t.mustDelete(Key(1)); !reflect.DeepEqual(got, want) {
		t.Errorf("Delete = %+v, want %+v", got, want)
	}
	_, err := t.store.Delete(t.Context(), Key(1))
	t.wantErr("second Delete", err, sessions.ErrNotFound)
	t.wantKeys(sessions.Query{User: "alice"}, Key(2))
	t.wantCount(1)
	t.mustCreate(Key(1), t.record("bob"))
	if r := t.mustLoad(Key(1)); r.User != "bob" || r.Version != 1 {
		t.Errorf("created anew: %+v", r)
	}
}

func (t suite) deleteExpiredRecord() {
	t.mustCreate(Key(1), t.record("alice"))
	t.pass(2 * time.Hour)
	if r := t.mustDelete(Key(1)); r.User != "alice" {
		t.Errorf("Delete = %+v", r)
	}
	t.wantCount(0)
}

func (t suite) expiry() {
	t.mustCreate(Key(1), t.record("alice"))
	r := t.mustLoad(Key(1))
	t.pass(r.Expires.Sub(t.now()) - time.Millisecond)
	t.mustLoad(Key(1))
	t.pass(time.Millisecond)
	_, err := t.store.Load(t.Context(), Key(1))
	t.wantErr("Load at expiry", err, sessions.ErrNotFound)
	now := t.now()
	t.wantErr("Touch at expiry", t.store.Touch(t.Context(), Key(1), now, now.Add(time.Hour), nil), sessions.ErrNotFound)
	r.Expires = now.Add(time.Hour)
	t.wantErr("Update at expiry", t.store.Update(t.Context(), Key(1), r), sessions.ErrNotFound)
	t.wantKeys(sessions.Query{}, Key(1))
	t.wantCount(1)
}

func (t suite) limitPassed() {
	r := t.record("alice")
	r.Limit = t.now().Add(time.Minute)
	t.mustCreate(Key(1), r)
	t.mustLoad(Key(1))
	t.pass(time.Minute)
	_, err := t.store.Load(t.Context(), Key(1))
	t.wantErr("Load after the limit", err, sessions.ErrNotFound)
}

func (t suite) list() {
	keys := make([]string, 5)
	for i := range keys {
		keys[i] = strings.Repeat(string("0123f"[i]), 64)
		user := []string{"alice", "bob", "alice", "", "alice\x00" + keys[0]}[i]
		t.mustCreate(keys[i], t.record(user))
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
		{"a prefix behind after", sessions.Query{Prefix: "2", After: keys[0]}, keys[2:3]},
	} {
		t.Log(test.name)
		t.wantKeys(test.q, test.want...)
	}
}

func (t suite) listUser() {
	t.mustCreate(Key(1), t.record(""))
	r := t.mustLoad(Key(1))
	for _, user := range []string{"alice", "bob", ""} {
		before := r.User
		r.User = user
		t.wantErr("Update", t.store.Update(t.Context(), Key(1), r), nil)
		r = t.mustLoad(Key(1))
		if user != "" {
			t.wantKeys(sessions.Query{User: user}, Key(1))
		}
		if before != "" {
			t.wantKeys(sessions.Query{User: before})
		}
	}
}

func (t suite) listMany() {
	const n = 700 // more than a page of any store
	var keys []string
	for i := range n {
		keys = append(keys, Key(i))
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, racers) // a server tells those who wait for long that they have to
	for i, key := range keys {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			if err := t.store.Create(t.Context(), key, t.record([]string{"alice", "bob"}[i%2])); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	slices.Sort(keys)
	t.wantKeys(sessions.Query{}, keys...)
	t.wantKeys(sessions.Query{After: keys[500]}, keys[501:]...)
	t.wantCount(n)
	alice := 0
	for e, err := range t.store.List(t.Context(), sessions.Query{User: "alice"}) {
		if err != nil || e.User != "alice" {
			t.Fatalf("List yields %+v, %v", e, err)
		}
		alice++
	}
	if alice != n/2 {
		t.Errorf("alice has %d sessions, want %d", alice, n/2)
	}
}

func (t suite) listBesideWrites() {
	for i := range 20 {
		t.mustCreate(Key(i), t.record("alice"))
	}
	seen := 0
	for e, err := range t.store.List(t.Context(), sessions.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		t.mustDelete(e.Key) // a store that holds a lock here would never return
		seen++
	}
	if seen != 20 {
		t.Errorf("List yields %d, want 20", seen)
	}
	t.wantCount(0)
}

func (t suite) listLeft() {
	t.mustCreate(Key(1), t.record("alice"))
	t.mustCreate(Key(2), t.record("alice"))
	for _, q := range []sessions.Query{{}, {User: "alice"}} {
		for _, err := range t.store.List(t.Context(), q) {
			t.wantErr("List", err, nil)
			break
		}
	}
	t.wantCount(2)
}

func (t suite) deleteExpired() {
	now := t.now()
	for i := range 10 {
		r := t.record("alice")
		r.Expires = now.Add(time.Duration(10-i) * time.Minute)
		t.mustCreate(Key(i), r)
	}
	t.pass(now.Add(7 * time.Minute).Sub(t.now()))
	for _, want := range [][]int{{9, 8, 7}, {6, 5, 4}, {3}, {}} {
		gone, err := t.store.DeleteExpired(t.Context(), now.Add(7*time.Minute), 3)
		t.wantErr("DeleteExpired", err, nil)
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
	t.wantCount(3)
	if n := len(t.entries(sessions.Query{User: "alice"})); n != 3 {
		t.Errorf("alice has %d sessions, want 3", n)
	}
}

func (t suite) deleteExpiredTouched() {
	now := t.now()
	t.mustCreate(Key(1), t.record("alice"))
	t.mustCreate(Key(2), t.record("alice"))
	t.mustCreate(Key(3), t.record("alice"))
	t.wantErr("Touch", t.store.Touch(t.Context(), Key(1), now, now.Add(3*time.Hour), nil), nil)
	r := t.mustLoad(Key(2))
	r.Expires = now.Add(time.Minute)
	t.wantErr("Update", t.store.Update(t.Context(), Key(2), r), nil)
	t.pass(2 * time.Minute)
	gone, err := t.store.DeleteExpired(t.Context(), t.now(), 10)
	if err != nil || len(gone) != 1 || gone[0].Key != Key(2) {
		t.Errorf("after 2 minutes: %v, %v", gone, err)
	}
	t.pass(2 * time.Hour)
	gone, err = t.store.DeleteExpired(t.Context(), t.now(), 10)
	if err != nil || len(gone) != 1 || gone[0].Key != Key(3) {
		t.Errorf("after 2 hours: %v, %v", gone, err)
	}
	t.mustLoad(Key(1))
}

func (t suite) count() {
	t.wantCount(0)
	t.mustCreate(Key(1), t.record("alice"))
	t.mustCreate(Key(2), t.record(""))
	t.wantCount(2)
	r := t.mustLoad(Key(1))
	t.wantErr("Update", t.store.Update(t.Context(), Key(1), r), nil)
	t.wantErr("Touch", t.store.Touch(t.Context(), Key(1), r.Seen, r.Expires, r.Mark), nil)
	t.wantCount(2)
	t.pass(2 * time.Hour)
	t.wantCount(2)
}

func (t suite) aliasing() {
	r := t.record("alice")
	t.mustCreate(Key(1), r)
	same := func(after string) {
		t.Helper()
		if got := t.mustLoad(Key(1)); string(got.Data) != "data of alice" {
			t.Fatalf("after %s the store has %q", after, got.Data)
		}
	}
	clear(r.Data)
	clear(r.Proof)
	same("a write to what was created")
	got := t.mustLoad(Key(1))
	clear(got.Data)
	same("a write to what was loaded")
	next := t.mustLoad(Key(1))
	t.wantErr("Update", t.store.Update(t.Context(), Key(1), next), nil)
	clear(next.Data)
	same("a write to what was updated")
	for _, q := range []sessions.Query{{}, {User: "alice"}} {
		clear(t.entries(q)[0].Data)
		same("a write to what was listed")
	}

	// What was read stays as it was, whatever happens to the store.
	got = t.mustLoad(Key(1))
	listed := t.entries(sessions.Query{})[0]
	for i := range 50 {
		t.mustCreate(Key(100+i), t.record(strings.Repeat("K", 100)))
	}
	gone := t.mustDelete(Key(1))
	for i := range 50 {
		t.mustDelete(Key(100 + i))
	}
	for name, data := range map[string][]byte{"loaded": got.Data, "listed": listed.Data, "deleted": gone.Data} {
		if string(data) != "data of alice" {
			t.Errorf("what was %s became %q", name, data)
		}
	}
}

func (t suite) cancelled() {
	t.mustCreate(Key(1), t.record("alice"))
	r := t.mustLoad(Key(1))
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
	failed("Create", t.store.Create(ctx, Key(2), t.record("bob")))
	failed("Update", t.store.Update(ctx, Key(1), r))
	failed("Touch", t.store.Touch(ctx, Key(1), r.Seen, r.Expires, r.Mark))
	_, err := t.store.Delete(ctx, Key(1))
	failed("Delete", err)
	if got := t.mustLoad(Key(1)); got.Version != 1 {
		t.Errorf("something was written: %+v", got)
	}
	t.wantCount(1)
}

const racers = 50

// race calls f by racers goroutines, and counts those that succeed. The
// others must fail with one of the errors.
func (t suite) race(f func(i int) error, others ...error) int {
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

func (t suite) racingUpdates() {
	t.mustCreate(Key(1), t.record("alice"))
	for round := range 5 {
		r := t.mustLoad(Key(1))
		won := t.race(func(i int) error {
			mine := r
			mine.Stamp = strconv.Itoa(i)
			return t.store.Update(t.Context(), Key(1), mine)
		}, sessions.ErrConflict)
		if got := t.mustLoad(Key(1)); won != 1 || got.Version != r.Version+1 {
			t.Fatalf("round %d: %d updates succeeded, version %d after %d", round, won, got.Version, r.Version)
		}
	}
}

func (t suite) racingCreates() {
	if won := t.race(func(int) error { return t.store.Create(t.Context(), Key(1), t.record("alice")) }, sessions.ErrExists); won != 1 {
		t.Errorf("%d creates succeeded", won)
	}
	t.wantCount(1)
}

func (t suite) racingDeletes() {
	t.mustCreate(Key(1), t.record("alice"))
	if won := t.race(func(int) error { _, err := t.store.Delete(t.Context(), Key(1)); return err }, sessions.ErrNotFound); won != 1 {
		t.Errorf("%d deletes succeeded", won)
	}
	t.wantCount(0)
}

// racingAll has many goroutines do anything but Create with one key, and one
// that creates and deletes it. Whenever Delete has returned, the key stays
// absent until the next Create: for every reader, and whatever writers that
// loaded it before are about to store.
func (t suite) racingAll() {
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
				r, err := t.store.Load(ctx, key)
				if err == nil && rng.IntN(2) == 0 {
					err = t.store.Update(ctx, key, r)
				} else if err == nil {
					err = t.store.Touch(ctx, key, r.Seen, r.Expires, r.Mark)
				}
				if err != nil && !errors.Is(err, sessions.ErrNotFound) && !errors.Is(err, sessions.ErrConflict) {
					t.Error(err)
					return
				}
				time.Sleep(time.Duration(rng.IntN(50)) * time.Microsecond)
			}
		})
	}
	for round := range t.rounds {
		t.mustCreate(key, t.record("alice"))
		time.Sleep(20 * time.Microsecond)
		t.mustDelete(key)
		for range 20 {
			if r, err := t.store.Load(ctx, key); !errors.Is(err, sessions.ErrNotFound) {
				t.Errorf("round %d: after Delete, Load = %+v, %v", round, r, err)
				break
			}
			time.Sleep(5 * time.Microsecond)
		}
	}
	close(stop)
	wg.Wait()
	t.wantCount(0)
	t.wantUsers(sessions.Query{})
}

func (t suite) mustCreate(key string, r sessions.Record) {
	t.Helper()
	if err := t.store.Create(t.Context(), key, r); err != nil {
		t.Fatalf("Create: %v", err)
	}
}

func (t suite) mustLoad(key string) sessions.Record {
	t.Helper()
	r, err := t.store.Load(t.Context(), key)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return r
}

func (t suite) mustDelete(key string) sessions.Record {
	t.Helper()
	r, err := t.store.Delete(t.Context(), key)
	if err != nil {
		t.Fatalf("Delete: %v", err)
	}
	return r
}

func (t suite) entries(q sessions.Query) (found []sessions.Entry) {
	t.Helper()
	for e, err := range t.store.List(t.Context(), q) {
		if err != nil {
			t.Fatalf("List: %v", err)
		}
		found = append(found, e)
	}
	return found
}

func (t suite) wantKeys(q sessions.Query, want ...string) {
	t.Helper()
	var got []string
	for _, e := range t.entries(q) {
		got = append(got, e.Key)
	}
	if !slices.Equal(got, want) {
		t.Errorf("List(%+v) = %d keys %.200q, want %d %.200q", q, len(got), got, len(want), want)
	}
}

func (t suite) wantUsers(q sessions.Query, want ...string) {
	t.Helper()
	var got []string
	for _, e := range t.entries(q) {
		got = append(got, e.User)
	}
	if !slices.Equal(got, want) {
		t.Errorf("List(%+v) = users %q, want %q", q, got, want)
	}
}

func (t suite) wantCount(want int) {
	t.Helper()
	if got, err := t.store.Count(t.Context()); err != nil || got != want {
		t.Errorf("Count = %d, %v, want %d", got, err, want)
	}
}

func (t suite) wantErr(what string, got, want error) {
	t.Helper()
	if !errors.Is(got, want) {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
