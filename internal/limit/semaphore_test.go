package limit_test

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/limit"
)

// work is how long a place is taken in these tests: about what a hash costs.
const work = 40 * time.Millisecond

func share(names ...string) limit.Claim {
	var c limit.Claim
	for _, n := range names {
		c.Shares = append(c.Shares, limit.Share{Key: limit.KeyOf(n), Weight: 1})
	}
	return c
}

func knownDevice(device string, names ...string) limit.Claim {
	c := share(names...)
	c.Known = []limit.Share{{Key: limit.KeyOf("device", device), Weight: 1}}
	return c
}

func TestSemaphore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := limit.NewSemaphore(2, 1, time.Second)
		for range 2 {
			if err := q.Acquire(t.Context(), limit.Claim{}); err != nil {
				t.Fatal(err)
			}
		}
		third := make(chan error)
		go func() { third <- q.Acquire(context.Background(), share("a")) }()
		synctest.Wait()
		if err := q.Acquire(t.Context(), share("a")); !errors.Is(err, limit.ErrBusy) {
			t.Errorf("the queue is full: %v", err)
		}
		q.Release()
		if err := <-third; err != nil {
			t.Errorf("the one who waited: %v", err)
		}
		start := time.Now()
		if err := q.Acquire(t.Context(), share("a")); !errors.Is(err, limit.ErrBusy) || time.Since(start) != time.Second {
			t.Errorf("after %v: %v", time.Since(start), err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := q.Acquire(ctx, limit.Claim{}); !errors.Is(err, context.Canceled) {
			t.Errorf("the caller has gone: %v", err)
		}
	})
}

// A full queue is left by the one who has asked for most, not by the one who
// comes, and by known callers last.
func TestSemaphoreTurnsAwayWhoAskedForMost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := limit.NewSemaphore(1, 4, time.Minute)
		if err := q.Acquire(t.Context(), limit.Claim{}); err != nil {
			t.Fatal(err)
		}
		out := make(chan string, 10)
		enter := func(name string, c limit.Claim) {
			go func() {
				if err := q.Acquire(context.Background(), c); err != nil {
					out <- name
				}
			}()
			synctest.Wait()
		}
		for i := range 4 {
			enter(fmt.Sprint("greedy ", i), share("greedy"))
		}
		enter("modest", share("modest"))
		enter("known", knownDevice("d", "greedy"))
		enter("greedy 4", share("greedy"))
		for _, want := range []string{"greedy 3", "greedy 2", "greedy 4"} {
			if got := <-out; got != want {
				t.Errorf("%s was turned away, want %s", got, want)
			}
		}
		for range 5 { // who is left gets in
			q.Release()
			synctest.Wait()
		}
		if len(out) != 0 {
			t.Errorf("%s was turned away as well", <-out)
		}
	})
}

// crowd sends claims over so many connections, each the next when the last one
// is done, until the test ends.
func crowd(t *testing.T, q *limit.Semaphore, connections int, next func(n int64) limit.Claim) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var n atomic.Int64
	var wg sync.WaitGroup
	for range connections {
		wg.Go(func() {
			for ctx.Err() == nil {
				if q.Acquire(ctx, next(n.Add(1))) == nil {
					time.Sleep(work)
					q.Release()
				} else {
					time.Sleep(250 * time.Millisecond)
				}
			}
		})
	}
	time.Sleep(5 * time.Second) // it goes on for a while already
	t.Cleanup(func() { cancel(); wg.Wait() })
}

// honest sends so many logins, ten a second, each of another person, and
// returns how many got in and how long the longest wait was.
func honest(q *limit.Semaphore, people int, who func(i int) limit.Claim) (in int64, longest time.Duration) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range people {
		time.Sleep(100 * time.Millisecond)
		wg.Go(func() {
			begun := time.Now()
			if q.Acquire(context.Background(), who(i)) != nil {
				return
			}
			mu.Lock()
			in, longest = in+1, max(longest, time.Since(begun))
			mu.Unlock()
			time.Sleep(work)
			q.Release()
		})
	}
	wg.Wait()
	return in, longest
}

func person(i int) limit.Claim { return share(fmt.Sprint("network ", i), fmt.Sprint("person ", i)) }

// One client must not stop all logins, whatever it has much of: networks,
// names, connections, or the right password of an account.
func TestOneClientDoesNotStopAllLogins(t *testing.T) {
	for name, c := range map[string]struct {
		connections int
		next        func(n int64) limit.Claim
		longest     time.Duration
	}{
		"one network":            {16, func(n int64) limit.Claim { return share("attacker", fmt.Sprint("name ", n)) }, work},
		"one account":            {16, func(n int64) limit.Claim { return share(fmt.Sprint("net ", n), "mallory") }, work},
		"networks of one region": {16, func(n int64) limit.Claim { return share(fmt.Sprint("net ", n), "region", fmt.Sprint("name ", n)) }, work},
		"many connections":       {150, func(n int64) limit.Claim { return share("attacker", fmt.Sprint("name ", n)) }, work},
		"networks from anywhere": {16, func(n int64) limit.Claim { return share(fmt.Sprint("net ", n), fmt.Sprint("name ", n)) }, time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				q := limit.NewSemaphore(2, 128, 5*time.Second)
				crowd(t, q, c.connections, c.next)
				if in, longest := honest(q, 32, person); in < 32 || longest > c.longest {
					t.Errorf("%d of 32 got in, after %s at the longest; want all, within %s", in, longest, c.longest)
				}
			})
		})
	}
}

// Known devices get in beside a flood that nobody can tell from people, also
// from the network that it comes from; and beside many known devices, others
// get in.
func TestKnownDevicesHaveTheirPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := limit.NewSemaphore(2, 128, 5*time.Second)
		crowd(t, q, 150, func(n int64) limit.Claim { return share("office", fmt.Sprint("net ", n)) })
		known := func(i int) limit.Claim { return knownDevice(strconv.Itoa(i), "office", fmt.Sprint("person ", i)) }
		if in, longest := honest(q, 32, known); in < 32 || longest > 2*work {
			t.Errorf("%d of 32 known devices got in, after %s at the longest", in, longest)
		}
	})
	synctest.Test(t, func(t *testing.T) {
		q := limit.NewSemaphore(2, 128, 5*time.Second)
		crowd(t, q, 100, func(n int64) limit.Claim { return knownDevice(fmt.Sprint("device ", n), "office") })
		if in, longest := honest(q, 32, person); in < 32 || longest > 5*work {
			t.Errorf("%d of 32 others got in, after %s at the longest", in, longest)
		}
	})
	// One device does not stay before the others for ever.
	synctest.Test(t, func(t *testing.T) {
		q := limit.NewSemaphore(2, 128, 5*time.Second)
		crowd(t, q, 100, func(int64) limit.Claim { return knownDevice("mallory's", "mallory's network") })
		if in, longest := honest(q, 32, person); in < 32 || longest > work {
			t.Errorf("%d of 32 others got in, after %s at the longest", in, longest)
		}
	})
}

// A busy office waits, but not for good, where others come all the time who
// have asked for nothing yet.
func TestBusyOfficeGetsIn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := limit.NewSemaphore(2, 128, 5*time.Second)
		crowd(t, q, 16, func(n int64) limit.Claim { return share(fmt.Sprint("net ", n), fmt.Sprint("name ", n)) })
		office := func(i int) limit.Claim { return share("office", fmt.Sprint("person ", i)) }
		if in, longest := honest(q, 60, office); in < 60 {
			t.Errorf("%d of 60 got in, after %s at the longest", in, longest)
		}
	})
}

func TestWindowForgetsAndStaysBounded(t *testing.T) {
	w := limit.NewWindow[int](time.Minute, 100)
	now := time.Now()
	w.Set(limit.KeyOf("a"), 7, now)
	if fresh, old := w.Get(limit.KeyOf("a"), now.Add(59*time.Second)); fresh != 7 || old != 0 {
		t.Errorf("in its span: %d, %d", fresh, old)
	}
	if fresh, old := w.Get(limit.KeyOf("a"), now.Add(61*time.Second)); fresh != 0 || old != 7 || !w.Has(limit.KeyOf("a"), now.Add(61*time.Second)) {
		t.Errorf("in the next span: %d, %d", fresh, old)
	}
	if w.Has(limit.KeyOf("a"), now.Add(3*time.Minute)) {
		t.Error("remembered for more than two spans")
	}
	for i := range 10_000 {
		w.Set(limit.KeyOf(strconv.Itoa(i)), i, now.Add(4*time.Minute))
	}
	if n := w.Len(now.Add(4 * time.Minute)); n > 200 || !w.Has(limit.KeyOf("9999"), now.Add(4*time.Minute)) {
		t.Errorf("%d keys", n)
	}
	w.Delete(limit.KeyOf("9999"))
	if w.Has(limit.KeyOf("9999"), now.Add(4*time.Minute)) {
		t.Error("not deleted")
	}
}

func ExampleSemaphore() {
	q := limit.NewSemaphore(1, 0, time.Second)
	fmt.Println(q.Acquire(context.Background(), limit.Claim{}))
	fmt.Println(q.Acquire(context.Background(), limit.Claim{}))
	q.Release()
	// Output:
	// <nil>
	// limit: too busy
}
