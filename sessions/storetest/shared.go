package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/e2e"
	"gatehouse/sessions"
)

// Load returns the record under key, which has to be there.
func Load(t *testing.T, s sessions.Store, key string) sessions.Record {
	t.Helper()
	r, err := s.Load(t.Context(), key)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return r
}

// A Server is a store that lies in another process, for several nodes.
type Server interface {
	sessions.SharedStore
	sessions.HealthChecker
}

// Everything calls each method for the record r under key, and returns their
// errors by the names of the methods.
func Everything(ctx context.Context, s Server, key string, r sessions.Record) map[string]error {
	calls := map[string]error{}
	_, calls["Load"] = s.Load(ctx, key)
	calls["Create"] = s.Create(ctx, Key(2), r)
	calls["Update"] = s.Update(ctx, key, r)
	calls["Touch"] = s.Touch(ctx, key, r.Seen, r.Expires, r.Mark)
	_, calls["DeleteExpired"] = s.DeleteExpired(ctx, r.Expires.Add(time.Hour), 10)
	_, calls["Count"] = s.Count(ctx)
	for _, err := range s.List(ctx, sessions.Query{User: "nobody"}) {
		calls["List"] = err
	}
	_, calls["Delete"] = s.Delete(ctx, key)
	calls["CheckHealth"] = s.CheckHealth(ctx)
	return calls
}

// Unchanged waits until the store can be used again, and wants the record to be
// the only one, and as it was.
func Unchanged(t *testing.T, s Server, key string, want sessions.Record) {
	t.Helper()
	e2e.Eventually(t, func() error { return s.CheckHealth(t.Context()) })
	if got := Load(t, s, key); got.Version != want.Version || got.User != want.User || !got.Expires.Equal(want.Expires) {
		t.Errorf("afterwards the record is %+v, was %+v", got, want)
	}
	if n, err := s.Count(t.Context()); n != 1 || err != nil {
		t.Errorf("afterwards there are %d records, %v, want 1", n, err)
	}
	found := 0
	for _, err := range s.List(t.Context(), sessions.Query{User: want.User}) {
		if err != nil {
			t.Fatal(err)
		}
		found++
	}
	if found != 1 {
		t.Errorf("afterwards the user has %d sessions, want 1", found)
	}
	if err := s.Update(t.Context(), key, want); err != nil {
		t.Errorf("afterwards Update: %v", err)
	}
}

// CouldNotTell wants err to be a failure of the store, which says nothing about
// the session.
func CouldNotTell(tb testing.TB, what string, err error) {
	tb.Helper()
	if err == nil || errors.Is(err, sessions.ErrNotFound) || errors.Is(err, sessions.ErrExists) || errors.Is(err, sessions.ErrConflict) {
		tb.Errorf("%s: %v, want a failure that is no answer", what, err)
	}
}

// A Watcher notes what a store announces.
type Watcher struct {
	Heard chan string // keys, and "missed"
	done  chan struct{}
	stop  context.CancelFunc
}

// Watch listens to the store until the end of the test.
func Watch(t *testing.T, s sessions.SharedStore) *Watcher {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	w := &Watcher{Heard: make(chan string, 1000), done: make(chan struct{}), stop: stop}
	go func() {
		s.Watch(ctx, func(key string) { w.Heard <- key }, func() { w.Heard <- "missed" })
		close(w.done)
	}()
	t.Cleanup(func() { w.End(t) })
	return w
}

// End ends the watch, which has to return then.
func (w *Watcher) End(t *testing.T) {
	t.Helper()
	w.stop()
	select {
	case <-w.done:
	case <-time.After(e2e.Patience):
		t.Error("Watch goes on after its context has ended")
	}
}

// Await waits for something to be heard, whatever else is heard before.
func (w *Watcher) Await(t *testing.T, want string) {
	t.Helper()
	limit := time.After(e2e.Patience)
	for {
		select {
		case got := <-w.Heard:
			if got == want {
				return
			}
		case <-w.done:
			t.Fatal("Watch has returned early")
		case <-limit:
			t.Fatalf("waited %s to hear %q", e2e.Patience, want)
		}
	}
}

// RaceCaches is about the two races of Django's cached_db. Readers fill the
// caches of two nodes all the time while one of them ends the session: on
// that one no Load succeeds any more at once, on the other within a second.
func RaceCaches(t *testing.T, a, b sessions.SharedStore) {
	t.Helper()
	nodes := []*sessions.Cached{sessions.NewCached(a, 1<<24), sessions.NewCached(b, 1<<24)}
	for round := range 10 {
		key := Key(round)
		if err := nodes[0].Create(t.Context(), key, Record("alice")); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		var readers sync.WaitGroup
		for i := range 8 {
			readers.Go(func() {
				for ctx.Err() == nil {
					r, err := nodes[i%2].Load(ctx, key)
					if err == nil && i < 4 {
						err = nodes[i%2].Touch(ctx, key, r.Seen.Add(time.Millisecond), r.Expires, r.Mark)
					}
					if err != nil && ctx.Err() == nil && !errors.Is(err, sessions.ErrNotFound) {
						t.Error(err)
					}
				}
			})
		}
		Load(t, nodes[1], key)
		if _, err := nodes[0].Delete(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if _, err := nodes[0].Load(t.Context(), key); !errors.Is(err, sessions.ErrNotFound) {
				t.Fatalf("after Delete on this node, Load: %v", err)
			}
		}
		e2e.Eventually(t, func() error {
			if _, err := nodes[1].Load(t.Context(), key); !errors.Is(err, sessions.ErrNotFound) {
				return errors.New("the other node has it still")
			}
			return nil
		})
		for range 200 { // nobody puts it back
			if _, err := nodes[1].Load(t.Context(), key); !errors.Is(err, sessions.ErrNotFound) {
				t.Fatalf("on the other node it came back: %v", err)
			}
		}
		stop()
		readers.Wait()
	}
	for _, c := range nodes {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
}
