//go:build e2e

package redisstore_test

import (
	"errors"
	"testing"

	"gatehouse/internal/e2e"
	"gatehouse/sessions"
	"gatehouse/sessions/redisstore"
	"gatehouse/sessions/storetest"
)

// TestRedisAnnounces: what any node does is heard, on every kind of server.
func TestRedisAnnounces(t *testing.T) {
	t.Parallel()
	single := e2e.StartRedis(t)
	_, cluster := e2e.StartRedisCluster(t)
	for _, url := range []string{single.URL, cluster} {
		s, key, r := aSession(t, url)
		w := storetest.Watch(t, s)
		w.Await(t, "missed")
		if err := s.Update(t.Context(), key, r); err != nil {
			t.Error(err)
		}
		w.Await(t, key)
		if _, err := s.Delete(t.Context(), key); err != nil {
			t.Error(err)
		}
		w.Await(t, key)
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
			heard[<-w.Heard] = true
		}
		if !heard[storetest.Key(1)] || !heard[storetest.Key(2)] || !heard[storetest.Key(3)] {
			t.Errorf("of three that were swept, heard %v", heard)
		}
		w.End(t)
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
	w := storetest.Watch(t, s)
	w.Await(t, "missed")
	_ = direct
	for name, trouble := range map[string]func(){
		"killed by the server":   func() { server.Do(t, "client", "kill", "type", "pubsub") },
		"cut on the way":         func() { cutter.Cut() },
		"nothing comes through":  func() { cutter.DeafenUntilNoticed(t) },
		"the server starts anew": func() { server.Kill(t); server.Run(t) },
	} {
		t.Log(name)
		trouble()
		w.Await(t, "missed")
		if err := s.Create(t.Context(), key, r); err != nil && !errors.Is(err, sessions.ErrExists) {
			t.Error(err)
		}
		if _, err := s.Delete(t.Context(), key); err != nil {
			t.Error(err)
		}
		w.Await(t, key)
	}
}

func TestCachedRedisRaces(t *testing.T) {
	t.Parallel()
	server := e2e.StartRedis(t)
	o := redisstore.Options{URL: server.URL}
	a := openRedis(t, o)
	b, err := redisstore.New(redisstore.Options{URL: server.URL, KeyPrefix: a.Prefix()})
	if err != nil {
		t.Fatal(err)
	}
	storetest.RaceCaches(t, a, b)
}
