package sessions

import (
	"log/slog"
	"strings"
	"testing"
)

// One record that could not be read kept everybody from ending sessions: the
// account page, revoke --user and revoke --all said that they could not tell.
func TestSessionsEndBesideADamagedRecord(t *testing.T) {
	testSessionsEndBesideADamagedRecord(t, backends())
}

func testSessionsEndBesideADamagedRecord(t *testing.T, stores []Backend) {
	t.Helper()
	for _, backend := range stores {
		t.Run(backend.Name, func(t *testing.T) {
			outer, inner := backend.Open(t)
			var log lockedLog
			m := newManager(t, Options{Store: outer, MaxPerUser: 3, Log: slog.New(slog.NewTextHandler(&log, nil))})
			if backend.Damage == nil {
				return
			}
			for name, damage := range backend.Damage(t, inner) {
				login(t, m, "bob")
				login(t, m, "alice")
				i, err := m.Find(request(login(t, m, "alice")))
				check(t, err)
				damage(i.Key)
				log.Reset()
				for q, want := range map[Query]int{{}: 2, {User: "alice"}: 1, {Prefix: i.Handle}: 0} {
					n := 0
					for other, err := range m.List(t.Context(), q) {
						if n++; err != nil || other.Key == i.Key {
							t.Errorf("%s: List(%+v): %+v, %v", name, q, other, err)
						}
					}
					if n != want {
						t.Errorf("%s: List(%+v) has %d sessions, want %d", name, q, n, want)
					}
				}
				if n := strings.Count(log.String(), "it is damaged"); n != 1 || !strings.Contains(log.String(), i.Handle) {
					t.Errorf("%s: log: %s", name, log.String())
				}
				if _, err := m.dataSize(t.Context()); err != nil {
					t.Errorf("%s: the data cannot be counted: %v", name, err)
				}
				login(t, m, "alice") // which counts her sessions

				if n, err := m.RevokeUser(t.Context(), "alice", "revoked", nil); n != 3 || err != nil {
					t.Errorf("%s: RevokeUser = %d, %v; want 3, the damaged one among them", name, n, err)
				}
				i, err = m.Find(request(login(t, m, "alice")))
				check(t, err)
				damage(i.Key)
				if _, err := m.Revoke(t.Context(), i.Handle, "revoked"); err != nil {
					t.Errorf("%s: Revoke: %v", name, err)
				}
				i, err = m.Find(request(login(t, m, "alice")))
				check(t, err)
				damage(i.Key)
				if n, err := m.RevokeAll(t.Context(), "revoked"); n != 2 || err != nil {
					t.Errorf("%s: RevokeAll = %d, %v", name, n, err)
				}
				if n, err := inner.Count(t.Context()); n != 0 || err != nil {
					t.Errorf("%s: %d records are left, %v", name, n, err)
				}
			}
		})
	}
}
