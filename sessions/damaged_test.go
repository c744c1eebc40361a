package sessions

import (
	"log/slog"
	"strings"
	"testing"
)

// damages are what may have become of a record, in each store that keeps bytes.
func damages(t *testing.T, store Store) map[string]func(key string) {
	t.Helper()
	switch s := store.(type) {
	case *Bolt:
		return map[string]func(string){
			"other bytes": func(key string) { rawRecord(t, s, key, []byte("damaged")) },
			"no bytes":    func(key string) { rawRecord(t, s, key, []byte{}) },
		}
	case *Redis:
		return map[string]func(string){
			"other bytes": func(key string) { check(t, s.client.Set(t.Context(), s.record(key), "damaged", 0).Err()) },
			"a list": func(key string) {
				check(t, s.client.Del(t.Context(), s.record(key)).Err())
				check(t, s.client.LPush(t.Context(), s.record(key), "damaged").Err())
			},
		}
	case *Postgres:
		set := func(what string) func(string) {
			return func(key string) {
				n, err := s.exec(t.Context(), `UPDATE gatehouse.sessions SET `+what+` WHERE key = $1`, key)
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
	default:
		return nil
	}
}

// One record that could not be read kept everybody from ending sessions: the
// account page, revoke --user and revoke --all said that they could not tell.
func TestSessionsEndBesideADamagedRecord(t *testing.T) {
	testSessionsEndBesideADamagedRecord(t, backends())
}

func testSessionsEndBesideADamagedRecord(t *testing.T, stores []backend) {
	t.Helper()
	for _, backend := range stores {
		t.Run(backend.name, func(t *testing.T) {
			outer, inner := backend.open(t)
			var log lockedLog
			m := newManager(t, Options{Store: outer, MaxPerUser: 3, Log: slog.New(slog.NewTextHandler(&log, nil))})
			for name, damage := range damages(t, inner) {
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
