//go:build e2e

package sessions

import (
	"crypto/rand"
	"testing"
	"time"

	"gatehouse/internal/e2e"
	"gatehouse/internal/postgres"
)

// TestOnServers runs the tests of every store on those that need a server.
func TestOnServers(t *testing.T) {
	stores := []backend{
		{"postgres", "db", openPostgres(t)},
		{"redis", "db", openRedisAlone(t)},
	}
	for name, test := range map[string]func(*testing.T, []backend){
		"Django":                          testDjango,
		"MaxHoldsOverTwoNodes":            testMaxHoldsOverTwoNodes,
		"SessionsEndBesideADamagedRecord": testSessionsEndBesideADamagedRecord,
		"AttackForgedRecord":              testAttackForgedRecord,
		"AttackLaterExpiry":               testAttackLaterExpiry,
		"FormerRecord":                    testFormerRecord,
	} {
		t.Run(name, func(t *testing.T) { test(t, stores) })
	}
}

// openPostgres returns what opens an empty store of a server that is there.
func openPostgres(t *testing.T) func(tb testing.TB) (outer, inner Store) {
	t.Helper()
	url := e2e.Postgres(t).URL
	return func(tb testing.TB) (outer, inner Store) {
		tb.Helper()
		db, err := postgres.Open(postgres.Options{URL: url})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = db.Close() })
		if _, err := db.Exec(tb.Context(), "DELETE FROM gatehouse.sessions"); err != nil {
			tb.Fatal(err)
		}
		s := NewPostgres(db)
		return s, s
	}
}

// openRedisAlone returns what opens an empty store of a server that is there, in
// a bubble of testing/synctest as well: its time is brought to the server's,
// by whose clock records are dropped in the end.
func openRedisAlone(t *testing.T) func(tb testing.TB) (outer, inner Store) {
	t.Helper()
	server, now := e2e.StartRedis(t), time.Now()
	return func(tb testing.TB) (outer, inner Store) {
		tb.Helper()
		time.Sleep(time.Until(now)) // in a bubble
		s, err := NewRedis(RedisOptions{URL: server.URL, KeyPrefix: rand.Text() + ":"})
		if err != nil {
			tb.Fatal(err)
		}
		tb.Cleanup(func() { _ = s.Close() })
		return s, s
	}
}
