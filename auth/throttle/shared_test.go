//go:build e2e

package throttle_test

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/auth/throttle"
	"gatehouse/internal/e2e"
	"gatehouse/internal/limit"
	"gatehouse/internal/postgres"
	"gatehouse/internal/value"
	"gatehouse/sessions/redisstore"
)

// counters opens one store of each kind for two nodes, and what stops it.
func counters(t *testing.T) map[string]struct {
	here, there throttle.Counter
	pause       func()
	resume      func()
} {
	t.Helper()
	type nodes = struct {
		here, there   throttle.Counter
		pause, resume func()
	}
	redis := e2e.StartRedis(t)
	openRedis := func() throttle.Counter {
		s, err := redisstore.New(redisstore.Options{URL: redis.URL})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return throttle.NewRedisCounter(s)
	}
	server := e2e.StartPostgres(t)
	url := server.Database(t).URL
	openPostgres := func() throttle.Counter {
		db, err := postgres.Open(postgres.Options{URL: url})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = db.Close() })
		if err := db.Prepare(t.Context()); err != nil {
			t.Fatal(err)
		}
		return throttle.NewPostgresCounter(db)
	}
	return map[string]nodes{
		"redis":    {openRedis(), openRedis(), func() { redis.Pause(t) }, func() { redis.Resume(t) }},
		"postgres": {openPostgres(), openPostgres(), func() { server.Pause(t) }, func() { server.Resume(t) }},
	}
}

// A Counter counts as a limit.Table does, for all nodes together.
func TestCounters(t *testing.T) {
	t.Parallel()
	for name, c := range counters(t) {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			bucket := func(name string, n int) limit.Bucket {
				return limit.Bucket{Key: limit.KeyOf(name), Rate: limit.Rate{Count: n, Per: time.Hour}}
			}
			small, large := bucket("small", 2), bucket("large", 5)
			take := func(c throttle.Counter, buckets ...limit.Bucket) (bool, time.Duration) {
				t.Helper()
				ok, wait, err := c.Take(ctx, buckets)
				if err != nil {
					t.Fatal(err)
				}
				return ok, wait
			}
			if ok, wait := take(c.here, small, large); !ok || wait != 0 {
				t.Errorf("the first: %t, %s", ok, wait)
			}
			if ok, _ := take(c.there, large, small); !ok {
				t.Error("the second, of another node")
			}
			if ok, wait := take(c.here, small, large); ok || wait < 29*time.Minute || wait > 30*time.Minute {
				t.Errorf("the third: %t, wait %s; want no, 30m", ok, wait)
			}
			for i := range 4 { // the third has taken nothing
				if ok, _ := take(c.there, large); ok != (i < 3) {
					t.Errorf("of the large one, %d: %t", i, ok)
				}
			}
			if err := c.there.Return(ctx, []limit.Bucket{small, bucket("never heard of", 1)}); err != nil {
				t.Error(err)
			}
			if ok, _ := take(c.here, small); !ok {
				t.Error("what was given back cannot be taken")
			}
			// Many at once, with keys in any order, take exactly what there is.
			var taken atomic.Int64
			var wg sync.WaitGroup
			for i := range 60 {
				wg.Go(func() {
					both := []limit.Bucket{bucket("a", 10), bucket("b", 20)}
					node := c.here
					if i%2 == 0 {
						both[0], both[1], node = both[1], both[0], c.there
					}
					ok, _, err := node.Take(ctx, both)
					if err != nil {
						t.Error(err)
					}
					if ok {
						taken.Add(1)
					}
				})
			}
			wg.Wait()
			if n := taken.Load(); n != 10 {
				t.Errorf("%d taken at once, want 10", n)
			}
		})
	}
}

func TestPostgresCounterForgets(t *testing.T) {
	t.Parallel()
	db, err := postgres.Open(postgres.Options{URL: e2e.Postgres(t).URL})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	c := throttle.NewPostgresCounter(db)
	for name, per := range map[string]time.Duration{"full at once": time.Millisecond, "later": time.Hour} {
		if _, _, err := c.Take(t.Context(), []limit.Bucket{{Key: limit.KeyOf(name), Rate: limit.Rate{Count: 1, Per: per}}}); err != nil {
			t.Fatal(err)
		}
	}
	time.Sleep(10 * time.Millisecond)
	if err := c.Purge(t.Context()); err != nil {
		t.Fatal(err)
	}
	n := 0
	err = db.Query(t.Context(), func(row postgres.Row) error { return row.Scan(&n) }, "SELECT count(*) FROM gatehouse.throttle")
	if n != 1 || err != nil {
		t.Errorf("%d buckets are left, %v; want 1", n, err)
	}
}

// Wrong tries count on all nodes together; while the store hangs, each goes on
// by itself, and no login waits for it.
func TestThrottleOfTwoNodes(t *testing.T) {
	t.Parallel()
	for name, c := range counters(t) {
		t.Run(name, func(t *testing.T) {
			rates := throttle.Config{PerAccount: value.Rate{Count: 4, Per: time.Hour}, PerNetwork: value.Rate{Count: 1000, Per: time.Hour}}
			log := &bytes.Buffer{}
			here, there := throttle.New(rates), throttle.New(rates)
			here.Share(c.here, slog.New(slog.NewTextHandler(log, nil)))
			there.Share(c.there, slog.New(slog.DiscardHandler))
			if usual := here.SetPatience(e2e.Patience); usual != 250*time.Millisecond {
				t.Errorf("a try waits for %s, want 250ms", usual)
			}
			there.SetPatience(e2e.Patience)
			for i := range 6 {
				node := []*throttle.Throttle{here, there}[i%2]
				if wait := node.Try("alice", "192.0.2.1", ""); (wait == 0) != (i < 4) {
					t.Errorf("try %d: wait %s", i, wait)
				}
			}
			here.SetPatience(500 * time.Millisecond)
			c.pause()
			begun := time.Now()
			for i := range 6 {
				if wait := here.Try("bob", "192.0.2.1", ""); (wait == 0) != (i < 4) {
					t.Errorf("try %d while the store hangs: wait %s", i, wait)
				}
			}
			if took := time.Since(begun); took > 2500*time.Millisecond { // each would wait
				t.Errorf("six tries took %s", took)
			}
			if n := strings.Count(log.String(), "this node counts by itself"); n != 1 {
				t.Errorf("said %d times, want once:\n%s", n, log)
			}
			c.resume()
		})
	}
}
