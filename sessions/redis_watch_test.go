//go:build e2e

package sessions_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/e2e"
	"gatehouse/sessions"
	"gatehouse/sessions/storetest"
)

// watcher notes what Watch tells: keys, and "missed".
type watcher struct {
	heard chan string
	done  chan struct{}
	stop  context.CancelFunc
}

func watch(t *testing.T, s sessions.Shared) *watcher {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	w := &watcher{heard: make(chan string, 1000), done: make(chan struct{}), stop: stop}
	go func() {
		s.Watch(ctx, func(key string) { w.heard <- key }, func() { w.heard <- "missed" })
		close(w.done)
	}()
	t.Cleanup(func() { w.end(t) })
	return w
}

// end ends the watch, which has to return then.
func (w *watcher) end(t *testing.T) {
	t.Helper()
	w.stop()
	select {
	case <-w.done:
	case <-time.After(e2e.Patience):
		t.Error("Watch goes on after its context has ended")
	}
}

// await waits for something to be heard, whatever else is heard before.
func (w *watcher) await(t *testing.T, want string) {
	t.Helper()
	limit := time.After(e2e.Patience)
	for {
		select {
		case got := <-w.heard:
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

// TestRedisAnnounces: what any node does is heard, on every kind of server.
func TestRedisAnnounces(t *testing.T) {
	t.Parallel()
	single := e2e.StartRedis(t)
	_, cluster := e2e.StartRedisCluster(t)
	for _, url := range []string{single.URL, cluster} {
		s, key, r := aSession(t, url)
		w := watch(t, s)
		w.await(t, "missed")
		if err := s.Update(t.Context(), key, r); err != nil {
			t.Error(err)
		}
		w.await(t, key)
		if _, err := s.Delete(t.Context(), key); err != nil {
			t.Error(err)
		}
		w.await(t, key)
		for _, n := range []int{1, 2, 3} {
			if err := s.Create(t.Context(), storetest.Key(n), r); err != nil {
				t.Error(err)
			}
		}
		if gone, err := s.DeleteExpired(t.Context(), r.Expires, 10); len(gone) != 3 || err != nil {
			t.Errorf("DeleteExpired = %v, %v", gone, err)
		}
		heard := map[string]bool{}
		for range 3 {
			heard[<-w.heard] = true
		}
		if !heard[storetest.Key(1)] || !heard[storetest.Key(2)] || !heard[storetest.Key(3)] {
			t.Errorf("of three that were swept, heard %v", heard)
		}
		w.end(t)
	}
}

// TestRedisListensAgain: a listener that was cut off, by whatever means, is
// told that it may have missed something once it hears again; and it is not
// told so before it does.
func TestRedisListensAgain(t *testing.T) {
	t.Parallel()
	server := e2e.StartRedis(t)
	cutter := e2e.StartCutter(t, server.Addr, "subscribe")
	direct, key, r := aSession(t, server.URL)
	s, _, _ := aSession(t, cutter.Through(server.URL))
	w := watch(t, s)
	w.await(t, "missed")
	_ = direct
	for name, trouble := range map[string]func(){
		"killed by the server":   func() { server.Do(t, "client", "kill", "type", "pubsub") },
		"cut on the way":         func() { cutter.Cut() },
		"nothing comes through":  func() { cutter.Deafen(true); time.AfterFunc(5*time.Second, func() { cutter.Deafen(false) }) },
		"the server starts anew": func() { server.Kill(t); server.Run(t) },
	} {
		t.Log(name)
		trouble()
		w.await(t, "missed")
		if err := s.Create(t.Context(), key, r); err != nil && !errors.Is(err, sessions.ErrExists) {
			t.Error(err)
		}
		if _, err := s.Delete(t.Context(), key); err != nil {
			t.Error(err)
		}
		w.await(t, key)
	}
}

func TestCachedRedisRaces(t *testing.T) {
	t.Parallel()
	server := e2e.StartRedis(t)
	o := sessions.RedisOptions{URL: server.URL}
	a := openRedis(t, o)
	b, err := sessions.NewRedis(sessions.RedisOptions{URL: server.URL, KeyPrefix: a.Prefix()})
	if err != nil {
		t.Fatal(err)
	}
	raceCaches(t, a, b)
}

// raceCaches is about the two races of Django's cached_db. Readers fill the
// caches of two nodes all the time while one of them ends the session: on
// that one no Load succeeds any more at once, on the other within a second.
func raceCaches(t *testing.T, a, b sessions.Shared) {
	t.Helper()
	nodes := []*sessions.Cached{sessions.NewCached(a, 1<<24), sessions.NewCached(b, 1<<24)}
	for round := range 10 {
		key := storetest.Key(round)
		if err := nodes[0].Create(t.Context(), key, storetest.Record("alice")); err != nil {
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
		load(t, nodes[1], key)
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
