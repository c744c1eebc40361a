package sessions

import (
	"crypto/rand"
	"testing"
	"time"

	"gatehouse/internal/e2e"
)

// openRedisAlone gives what opens an empty store of a server that is there, in
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
