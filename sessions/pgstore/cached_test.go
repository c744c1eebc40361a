//go:build e2e

package pgstore_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/e2e"
	"gatehouse/internal/postgres"
	"gatehouse/sessions"
	"gatehouse/sessions/pgstore"
	"gatehouse/sessions/redisstore"
	"gatehouse/sessions/storetest"
)

// newCachedDB returns a store with the cache in front of it. Whoever uses it
// has to watch it; see believing.
func newCachedDB(tb testing.TB, db *postgres.DB, redisURL, prefix string) *pgstore.Cached {
	tb.Helper()
	cache, err := redisstore.NewCache(redisstore.Options{URL: redisURL, KeyPrefix: prefix, Timeout: 2 * time.Second})
	if err != nil {
		tb.Fatal(err)
	}
	return pgstore.NewCached(pgstore.New(db), cache, slog.New(slog.NewTextHandler(tb.Output(), nil)))
}

// watchedDB returns a node: a store whose announcements are heard until the end of the test.
func watchedDB(tb testing.TB, db *postgres.DB, redisURL, prefix string) *pgstore.Cached {
	tb.Helper()
	c := newCachedDB(tb, db, redisURL, prefix)
	ctx, stop := context.WithCancel(context.Background())
	var watch sync.WaitGroup
	watch.Go(func() { c.Watch(ctx, func(string) {}, func() {}) })
	tb.Cleanup(func() {
		stop()
		watch.Wait()
		_ = c.Close()
	})
	return c
}

// eventually waits until the condition holds.
func eventually(tb testing.TB, what string, holds func() bool) {
	tb.Helper()
	for end := time.Now().Add(30 * time.Second); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			tb.Fatalf("never: %s", what)
		}
	}
}

// fills reads the record until the cache has it.
func fills(tb testing.TB, c *pgstore.Cached, key string) {
	tb.Helper()
	eventually(tb, "the cache has the record", func() bool {
		if _, err := c.Load(tb.Context(), key); err != nil {
			tb.Fatal(err)
		}
		return c.Holds(tb.Context(), key)
	})
}

func mustCreate(tb testing.TB, s sessions.Store, key string) {
	tb.Helper()
	r := storetest.Record("alice")
	r.Expires, r.Limit = time.Now().Add(time.Hour), time.Now().Add(12*time.Hour)
	if err := s.Create(tb.Context(), key, r); err != nil {
		tb.Fatal(err)
	}
}

func wantGone(tb testing.TB, what string, s sessions.Store, key string) {
	tb.Helper()
	if r, err := s.Load(tb.Context(), key); !errors.Is(err, sessions.ErrNotFound) {
		tb.Errorf("%s: Load = %q's, %v", what, r.User, err)
	}
}

// TestCachedDB: the specification of a store, while the cache is believed, and
// with no Redis at all.
func TestCachedDB(t *testing.T) {
	t.Parallel()
	db := openPostgres(t, e2e.Postgres(t).URL)
	for name, url := range map[string]string{"with": e2e.StartRedis(t).URL, "without": "redis://127.0.0.1:1"} {
		t.Run(name, func(t *testing.T) {
			storetest.RunServer(t, func(t *testing.T, now func() time.Time) sessions.Store {
				t.Helper()
				emptyPostgres(t, db)
				c := newCachedDB(t, db, url, "gatehouse:"+rand.Text()+":")
				c.SetClock(now)
				ctx, stop := context.WithCancel(context.Background())
				var watch sync.WaitGroup
				watch.Go(func() { c.Watch(ctx, func(string) {}, func() {}) })
				t.Cleanup(func() { stop(); watch.Wait() })
				if name == "with" {
					eventually(t, "the cache is believed", c.Believes)
				}
				return c
			})
		})
	}
}

// A session that has ended is not revived by the cache, whatever happens to it.
func TestCachedDBEndsSessions(t *testing.T) {
	t.Parallel()
	server := e2e.StartRedis(t, "--save", "3600 1", "--appendonly", "no")
	db := openPostgres(t, e2e.Postgres(t).URL)
	const prefix = "gatehouse:ends:"
	a := watchedDB(t, db, server.URL, prefix)
	b := watchedDB(t, db, server.URL, prefix)
	end := func(s sessions.Store, key string) {
		t.Helper()
		if _, err := s.Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	key := storetest.Key(1)
	mustCreate(t, a, key)
	fills(t, b, key)
	end(a, key)
	wantGone(t, "ended at another node", b, key)

	// By one that has no cache: what the database announces counts.
	key = storetest.Key(2)
	mustCreate(t, a, key)
	fills(t, a, key)
	end(pgstore.New(db), key)
	eventually(t, "a node without the cache is heard", func() bool {
		_, err := a.Load(t.Context(), key)
		return errors.Is(err, sessions.ErrNotFound)
	})

	// Flushed: nothing is lost.
	key = storetest.Key(3)
	mustCreate(t, a, key)
	fills(t, a, key)
	server.Do(t, "FLUSHALL")
	if _, err := a.Load(t.Context(), key); err != nil {
		t.Errorf("after FLUSHALL: %v", err)
	}

	// Killed after it was saved, so that it has the session still, which
	// ends meanwhile.
	fills(t, a, key)
	server.Do(t, "SAVE")
	server.Kill(t)
	if _, err := a.Load(t.Context(), key); err != nil {
		t.Errorf("without Redis: %v", err)
	}
	end(a, key)
	wantGone(t, "without Redis", a, key)
	server.Run(t)
	if n := fmt.Sprint(server.Do(t, "DBSIZE")); n == "0" {
		t.Error("nothing was saved: the test shows nothing")
	}
	wantGone(t, "when Redis is back", a, key)
	eventually(t, "the cache is believed again", func() bool { return a.Believes() && b.Believes() })
	wantGone(t, "when the cache is believed again", a, key)
	wantGone(t, "at the other node", b, key)

	// Hanging: the session ends, and stays so when Redis goes on.
	key = storetest.Key(4)
	mustCreate(t, a, key)
	fills(t, b, key)
	server.Pause(t)
	end(a, key)
	server.Resume(t)
	eventually(t, "the cache is believed again", func() bool { return a.Believes() && b.Believes() })
	wantGone(t, "after Redis has hung", a, key)
	wantGone(t, "at the other node, after Redis has hung", b, key)
}

// Without the database nothing of the cache is believed, and what a server has
// in memory serves on for three seconds.
func TestCachedDBWithoutTheDatabase(t *testing.T) {
	t.Parallel()
	server := e2e.StartPostgres(t)
	db := openPostgres(t, server.Database(t).URL)
	url := e2e.StartRedis(t).URL
	below := newCachedDB(t, db, url, "gatehouse:gone:")
	c := sessions.NewCached(below, 1<<20)
	defer c.Close() //nolint:errcheck // the database is gone
	key := storetest.Key(1)
	mustCreate(t, c, key)
	eventually(t, "the cache is believed", below.Believes)
	fills(t, below, key)
	if _, err := c.Load(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	server.Stop(t)
	if _, err := c.Load(t.Context(), key); err != nil && time.Since(began) < 2*time.Second {
		t.Errorf("from memory, %s after the end of the database: %v", time.Since(began), err)
	}
	eventually(t, "that the database is gone is noticed", func() bool { return !below.Believes() })
	_, err := below.Load(t.Context(), key)
	storetest.CouldNotTell(t, "Load", err)
	server.Start(t)
	eventually(t, "the session is there again", func() bool { _, err := c.Load(t.Context(), key); return err == nil })
}
