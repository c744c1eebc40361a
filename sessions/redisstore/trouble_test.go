//go:build e2e

package redisstore_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/e2e"
	"gatehouse/sessions"
	"gatehouse/sessions/redisstore"
	"gatehouse/sessions/storetest"
)

// aSession returns a store with a record, which the key is of.
func aSession(t *testing.T, url string) (*redisstore.Store, string, sessions.Record) {
	t.Helper()
	return aSessionOf(t, redisstore.Options{URL: url, Timeout: e2e.Patience})
}

func aSessionOf(t *testing.T, o redisstore.Options) (*redisstore.Store, string, sessions.Record) {
	t.Helper()
	s := openRedis(t, o)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	key := storetest.Key(1)
	if err := s.Create(t.Context(), key, storetest.Record("alice")); err != nil {
		t.Fatal(err)
	}
	return s, key, storetest.Load(t, s, key)
}

// TestRedisReadOnly: a server that is no master any more answers nothing, not
// even whether there is a session: it has not heard of the last logouts.
func TestRedisReadOnly(t *testing.T) {
	t.Parallel()
	server := e2e.StartRedis(t)
	s, key, r := aSession(t, server.URL)
	server.Do(t, "replicaof", "127.0.0.1", "1")
	for what, err := range storetest.Everything(t.Context(), s, key, r) {
		if what != "Count" {
			storetest.CouldNotTell(t, what, err)
		}
	}
	server.Do(t, "replicaof", "no", "one")
	storetest.Unchanged(t, s, key, r)
}

// TestRedisFull: what exists is read and can be ended; nothing is half
// written.
func TestRedisFull(t *testing.T) {
	t.Parallel()
	server := e2e.StartRedis(t)
	s, key, r := aSession(t, server.URL)
	server.Do(t, "config", "set", "maxmemory", "1")
	storetest.Load(t, s, key)
	storetest.CouldNotTell(t, "Create", s.Create(t.Context(), storetest.Key(2), r))
	storetest.CouldNotTell(t, "Update", s.Update(t.Context(), key, r))
	storetest.CouldNotTell(t, "Touch", s.Touch(t.Context(), key, r.Seen, r.Expires.Add(time.Minute), r.Mark))
	storetest.CouldNotTell(t, "CheckHealth", s.CheckHealth(t.Context()))
	server.Do(t, "config", "set", "maxmemory", "0")
	storetest.Unchanged(t, s, key, r)
	server.Do(t, "config", "set", "maxmemory", "1")
	if _, err := s.Delete(t.Context(), key); err != nil {
		t.Errorf("Delete: %v", err)
	}
	if n, err := s.Count(t.Context()); n != 0 || err != nil {
		t.Errorf("after Delete: %d records, %v", n, err)
	}
}

// TestRedisHangs: no call waits for long, and what was sent before the server
// went on is done once, in a Cluster as well, whose client likes to repeat.
func TestRedisHangs(t *testing.T) {
	t.Parallel()
	nodes, cluster := e2e.StartRedisCluster(t)
	single := e2e.StartRedis(t)
	for url, servers := range map[string][]*e2e.RedisServer{single.URL: {single}, cluster: nodes} {
		t.Run(strings.SplitN(url, ":", 2)[0], func(t *testing.T) {
			t.Parallel()
			hang(t, url, servers)
		})
	}
}

func hang(t *testing.T, url string, servers []*e2e.RedisServer) {
	t.Helper()
	s, key, r := aSession(t, url)
	before := scripts(t, servers...)
	other := openRedis(t, redisstore.Options{URL: url})
	if usual := other.SetTimeout(0); usual != 2*time.Second {
		t.Errorf("a step may take %s, want 2s", usual)
	}
	_ = other.Close()
	s.SetTimeout(500 * time.Millisecond)
	for _, server := range servers {
		server.Pause(t)
	}
	begin := time.Now()
	storetest.CouldNotTell(t, "Update", s.Update(t.Context(), key, r))
	storetest.CouldNotTell(t, "Create", s.Create(t.Context(), storetest.Key(2), r))
	_, err := s.Load(t.Context(), key)
	storetest.CouldNotTell(t, "Load", err)
	if took := time.Since(begin); took > e2e.Patience {
		t.Errorf("three calls took %s", took)
	}
	s.SetTimeout(e2e.Patience)
	for _, server := range servers {
		server.Resume(t)
	}
	e2e.Eventually(t, func() error { return s.CheckHealth(t.Context()) })
	if n := scripts(t, servers...) - before; n > 2 {
		t.Errorf("two scripts were sent %d times", n)
	}
}

// TestRedisLosesTheAnswer: a Create that was done, and whose answer never
// came, is not sent again, to be answered with ErrExists by mistake. The client
// of a Cluster repeats by itself what it may, so it is tested too.
func TestRedisLosesTheAnswer(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"redis", "redis+cluster"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			var args []string
			if kind == "redis+cluster" { // its bus would have the port + 10,000, which anybody may have
				_, bus, _ := strings.Cut(e2e.FreeAddr(t), ":")
				args = []string{"--cluster-enabled", "yes", "--cluster-port", bus}
			}
			server := e2e.StartRedis(t, args...)
			cutter := e2e.StartCutter(t, server.Addr, "evalsha")
			if kind == "redis+cluster" { // one server, which says that it is where the cutter is
				_, port, _ := strings.Cut(cutter.Addr, ":")
				server.Do(t, "config", "set", "cluster-announce-port", port)
				server.Do(t, "cluster", "addslotsrange", 0, 16383)
				e2e.Eventually(t, func() error {
					if info := fmt.Sprint(server.Do(t, "cluster", "info")); !strings.Contains(info, "cluster_state:ok") {
						return errors.New(info)
					}
					return nil
				})
			}
			s, _, r := aSession(t, kind+"://"+cutter.Addr)
			before := scripts(t, server)
			cutter.Deafen(true)
			result := make(chan error, 1)
			go func() { result <- s.Create(t.Context(), storetest.Key(2), r) }()
			e2e.Eventually(t, func() error {
				if n := scripts(t, server); n == before {
					return errors.New("not sent yet")
				}
				return nil
			})
			cutter.Cut()
			cutter.Deafen(false)
			storetest.CouldNotTell(t, "Create", <-result)
			storetest.Load(t, s, storetest.Key(2))
			if n := scripts(t, server) - before; n != 1 {
				t.Errorf("it was sent %d times", n)
			}
		})
	}
}

// scripts says how often the servers were sent a script by its hash.
func scripts(t *testing.T, servers ...*e2e.RedisServer) (n int) {
	t.Helper()
	for _, server := range servers {
		info := fmt.Sprint(server.Do(t, "info", "commandstats"))
		if _, rest, ok := strings.Cut(info, "cmdstat_evalsha:calls="); ok {
			var here int
			_, _ = fmt.Sscan(strings.ReplaceAll(rest, ",", " "), &here)
			n += here
		}
	}
	return n
}

// TestRedisGone: every call fails while the server is gone, and not as if
// there were no session. One that has lost its scripts, or all, is told them
// again.
func TestRedisGone(t *testing.T) {
	t.Parallel()
	server := e2e.StartRedis(t)
	s, key, r := aSession(t, server.URL)
	server.Do(t, "script", "flush")
	if err := s.Update(t.Context(), key, r); err != nil {
		t.Errorf("Update without scripts: %v", err)
	}
	server.Kill(t)
	for what, err := range storetest.Everything(t.Context(), s, key, r) {
		storetest.CouldNotTell(t, what, err)
	}
	server.Run(t)
	e2e.Eventually(t, func() error { return s.Create(t.Context(), key, r) })
	storetest.Unchanged(t, s, key, storetest.Load(t, s, key))
}

// TestRedisStartsLater: NewRedis does not need the server.
func TestRedisStartsLater(t *testing.T) {
	t.Parallel()
	server := e2e.StartRedis(t)
	server.Kill(t)
	s := openRedis(t, redisstore.Options{URL: server.URL})
	_, err := s.Load(t.Context(), storetest.Key(1))
	storetest.CouldNotTell(t, "Load", err)
	server.Run(t)
	e2e.Eventually(t, func() error { return s.CheckHealth(t.Context()) })
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

// TestRedisFailover: when the master dies, a replica takes its place; sessions
// are there, and announcements too.
func TestRedisFailover(t *testing.T) {
	t.Parallel()
	master := e2e.StartRedis(t)
	e2e.StartRedisReplica(t, master)
	_, url := e2e.StartSentinel(t, master)
	s, key, r := aSession(t, url)
	w := storetest.Watch(t, s)
	w.Await(t, "missed")
	master.Replicate(t)
	master.Kill(t)
	e2e.Eventually(t, func() error {
		_, err := s.Load(t.Context(), key)
		if errors.Is(err, sessions.ErrNotFound) {
			t.Fatal("during the failover there is no such session")
		}
		return err
	})
	w.Await(t, "missed")
	storetest.Unchanged(t, s, key, r)
	w.Await(t, key)
}

// TestRedisDropped: what Redis has dropped by itself leaves nothing behind
// once it is swept, and it is known whose it was.
func TestRedisDropped(t *testing.T) {
	t.Parallel()
	server := e2e.StartRedis(t)
	s, key, r := aSession(t, server.URL)
	names, _ := server.Do(t, "keys", "*").([]any)
	for _, name := range names {
		if name := fmt.Sprint(name); strings.Contains(name, ":session:") {
			ms, _ := server.Do(t, "pexpiretime", name).(int64)
			if at := time.UnixMilli(ms); at.Before(r.Expires.Add(23*time.Hour)) || at.After(r.Expires.Add(25*time.Hour)) {
				t.Errorf("Redis drops the record at %s, and it expires at %s", at, r.Expires)
			}
			server.Do(t, "del", name)
		} else if ms, _ := server.Do(t, "pexpiretime", name).(int64); ms != -1 {
			t.Errorf("%s has a time to live: eviction may take it", name)
		}
	}
	for e, err := range s.List(t.Context(), sessions.Query{User: "alice"}) {
		t.Errorf("List yields %+v, %v", e, err)
	}
	gone, err := s.DeleteExpired(t.Context(), r.Expires, 10)
	if err != nil || len(gone) != 1 || gone[0].Key != key || gone[0].User != "alice" || !gone[0].Expires.Equal(r.Expires) {
		t.Errorf("DeleteExpired = %+v, %v", gone, err)
	}
	if left := server.Do(t, "dbsize"); left != int64(0) {
		t.Errorf("%v keys are left: %v", left, server.Do(t, "keys", "*"))
	}
}

// TestRedisSweepers: several nodes that sweep at once report each session once.
func TestRedisSweepers(t *testing.T) {
	t.Parallel()
	server := e2e.StartRedis(t)
	s, _, r := aSession(t, server.URL)
	const n = 300
	for i := range n - 1 {
		if err := s.Create(t.Context(), storetest.Key(10+i), r); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	seen := map[string]int{}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for {
				gone, err := s.DeleteExpired(t.Context(), r.Expires, 50)
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				for _, e := range gone {
					seen[e.Key]++
				}
				mu.Unlock()
				if len(gone) < 50 {
					return
				}
			}
		})
	}
	all.Wait()
	for key, times := range seen {
		if times != 1 {
			t.Errorf("%s was removed %d times", key, times)
		}
	}
	if len(seen) != n {
		t.Errorf("%d were removed, want %d", len(seen), n)
	}
}
