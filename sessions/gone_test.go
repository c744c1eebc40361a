package sessions

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

// wantEnd checks what is said of a session's end.
func wantEnd(tb testing.TB, m *Manager, r *http.Request, reason string, ended bool) {
	tb.Helper()
	if got, ok := m.EndReason(r); got != reason || ok != ended {
		tb.Errorf("ended %v by %q; want %v by %q", ok, got, ended, reason)
	}
}

// Nothing said why a session had ended, and the store cannot: what has ended
// is not there any more.
func TestWhyASessionHasEnded(t *testing.T) {
	for _, open := range []func(testing.TB) (outer, inner Store){openMemory, openCached} {
		synctest.Test(t, func(t *testing.T) {
			store, _ := open(t)
			m := newManager(t, Options{Store: store, IdleTimeout: 30 * time.Minute, Lifetime: time.Hour, RememberLifetime: 2 * time.Hour}) // with which signatures count for longer
			defer m.Close()
			idle, revoked := request(login(t, m, "alice")), request(login(t, m, "bob"))
			limit := request(login(t, m, "carol"))
			forged := request(login(t, newManager(t, Options{Store: store, Secrets: [][]byte{make([]byte, 32)}}), "mallory"))
			wantEnd(t, m, idle, "", false)
			wantEnd(t, m, request(), "", false)

			_, err := m.RevokeUser(t.Context(), "bob", "revoked", nil)
			check(t, err)
			wantEnd(t, m, revoked, "revoked", true)
			time.Sleep(29 * time.Minute)
			for range 3 {
				i, err := m.Find(limit)
				check(t, err)
				m.Touch(i)
				synctest.Wait()
				time.Sleep(10 * time.Minute)
			}
			wantEnd(t, m, idle, "idle", true)
			time.Sleep(10 * time.Minute)
			wantEnd(t, m, limit, "max_age", true)
			wantEnd(t, m, forged, "", false)

			other := newManager(t, Options{Store: store})
			defer other.Close()
			wantEnd(t, other, revoked, "", true)
		})
	}
}
