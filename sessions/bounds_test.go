package sessions

import (
	"strconv"
	"sync"
	"testing"
	"time"
	"unsafe"
)

// Sessions with much in them made the cache larger than it may be: it counted
// sessions.
func TestCacheCountsBytes(t *testing.T) {
	const size = 1 << 20
	c := NewCached(NewMemory(), size)
	for n := range 400 {
		data := 1 << (n % 17) // up to 64 KiB
		check(t, c.Create(t.Context(), keyOf(strconv.Itoa(n)), Record{Data: make([]byte, data), Expires: time.Now().Add(time.Hour)}))
	}
	bytes, entries := 0, 0
	for i := range c.records.shards {
		s := &c.records.shards[i]
		for _, slot := range s.slots {
			if slot.val != nil {
				entries++
				bytes += len(slot.val.Data)
			}
		}
		if len(s.at)+len(s.free) != len(s.slots) {
			t.Errorf("shard %d: %d entries and %d free places are not %d", i, len(s.at), len(s.free), len(s.slots))
		}
	}
	if bytes > size || entries < 16 {
		t.Errorf("%d sessions with %d bytes are kept", entries, bytes)
	}
	if least := int(unsafe.Sizeof(kept{})) + 64 + 64; keptSize < least { // the key, and a place of the map
		t.Errorf("a record takes %d bytes at least, and counts as %d", least, keptSize)
	}
	for n := range 400 { // the cache is no other store for it
		if _, err := c.Load(t.Context(), keyOf(strconv.Itoa(n))); err != nil {
			t.Fatal(err)
		}
	}
}

// Logins of one person at the same moment on two nodes ended each other, so
// that nobody was signed in, or left more sessions than max_per_user.
func TestMaxHoldsOverTwoNodes(t *testing.T) { testMaxHoldsOverTwoNodes(t, backends()) }

func testMaxHoldsOverTwoNodes(t *testing.T, stores []Backend) {
	t.Helper()
	for _, backend := range stores {
		t.Run(backend.Name, func(t *testing.T) {
			store, _ := backend.Open(t)
			for _, most := range []int{1, 3} {
				var nodes [2]*Manager
				for n := range nodes {
					nodes[n] = newManager(t, Options{Store: store, MaxPerUser: most})
				}
				user := "alice" + strconv.Itoa(most)
				var wg sync.WaitGroup
				for n := range 12 {
					wg.Go(func() {
						s := nodes[n%2].Open(request())
						if err := s.Login(t.Context(), Login{User: user, Stamp: "s1"}); err != nil {
							t.Error(err)
						}
					})
				}
				wg.Wait()
				left := 0
				for _, err := range nodes[0].List(t.Context(), Query{User: user}) {
					check(t, err)
					left++
				}
				if left != most {
					t.Errorf("%d sessions are left, want %d", left, most)
				}
			}
		})
	}
}

// A login at a node whose clock is behind is the newest all the same.
func TestMaxWithAWrongClock(t *testing.T) {
	store := NewMemory()
	m := newManager(t, Options{Store: store, MaxPerUser: 2})
	for range 2 {
		rec, i := recordOf(t, m, request(login(t, m, "alice")))
		rec.Login = rec.Login.Add(time.Minute)
		i.ring.prove(0, i.Key, &rec, rec.Version)
		plant(t, store, i.Key, rec)
	}
	r := request(login(t, m, "alice"))
	wantUser(t, m, r, "alice")
	if n, err := store.Count(t.Context()); n != 2 || err != nil {
		t.Errorf("%d sessions are left, %v", n, err)
	}
}
