//go:build e2e

package sessions_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/e2e"
	"gatehouse/internal/postgres"
	"gatehouse/sessions"
	"gatehouse/sessions/pgstore"
	"gatehouse/sessions/redisstore"
)

// TestOnServers runs the tests of every store on those that need a server.
func TestOnServers(t *testing.T) {
	stores := []sessions.Backend{postgresBackend(t), redisBackend(t)}
	for name, test := range sessions.StoreTests {
		t.Run(name, func(t *testing.T) { test(t, stores) })
	}
}

func postgresBackend(t *testing.T) sessions.Backend {
	t.Helper()
	url := e2e.Postgres(t).URL
	var opened *postgres.DB // the last one
	open := func(tb testing.TB) (outer, inner sessions.Store) {
		tb.Helper()
		db, err := postgres.Open(postgres.Options{URL: url})
		check(tb, err)
		tb.Cleanup(func() { _ = db.Close() })
		_, err = db.Exec(tb.Context(), "DELETE FROM gatehouse.sessions")
		check(tb, err)
		opened = db
		s := pgstore.New(db)
		return s, s
	}
	damage := func(t *testing.T, _ sessions.Store) map[string]func(string) {
		t.Helper()
		set := func(what string) func(string) {
			return func(key string) {
				n, err := opened.Exec(t.Context(), `UPDATE gatehouse.sessions SET `+what+` WHERE key = $1`, key)
				if check(t, err); n != 1 {
					t.Errorf("%s: %d rows", what, n)
				}
			}
		}
		return map[string]func(string){
			"an escape that is none":   set(`stamp = '\q'`),
			"a use at the end of time": set(`seen = 'infinity'`),
			"no end":                   set(`expires = 'infinity'`),
			"a method that is null":    set(`methods = '{NULL}'`),
			"methods in a table":       set(`methods = '{{pwd},{NULL}}'`),
		}
	}
	return sessions.Backend{Name: "postgres", Stands: "db", Open: open, Damage: damage}
}

// redisBackend opens its stores in a bubble of testing/synctest as well: the
// time there is brought to the server's, by whose clock records are dropped in
// the end.
func redisBackend(t *testing.T) sessions.Backend {
	t.Helper()
	server, now := e2e.StartRedis(t), time.Now()
	prefix := "" // of the store that was opened last
	open := func(tb testing.TB) (outer, inner sessions.Store) {
		tb.Helper()
		time.Sleep(time.Until(now))
		prefix = rand.Text() + ":"
		s, err := redisstore.New(redisstore.Options{URL: server.URL, KeyPrefix: prefix})
		check(tb, err)
		tb.Cleanup(func() { _ = s.Close() })
		return s, s
	}
	damage := func(t *testing.T, _ sessions.Store) map[string]func(string) {
		t.Helper()
		record := func(key string) string { return prefix + "{" + strings.Repeat(key[:1], 3) + "}:session:" + key }
		return map[string]func(string){
			"other bytes": func(key string) { server.Do(t, "set", record(key), "damaged") },
			"a list": func(key string) {
				server.Do(t, "del", record(key))
				server.Do(t, "lpush", record(key), "damaged")
			},
		}
	}
	return sessions.Backend{Name: "redis", Stands: "db", Open: open, Damage: damage}
}
