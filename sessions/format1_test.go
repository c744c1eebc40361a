package sessions

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/boltfile"
)

// format1 are stores that the last version before format 2 has written; see
// testdata/format1/make.go.
const format1 = "testdata/format1"

func TestFormat1(t *testing.T) {
	testFormat1(t, map[string]func(t *testing.T) Store{"bolt": format1Bolt})
}

// testFormat1: whoever was signed in before the upgrade stays so, with what
// applications keep, and the records are format 2 after it.
func testFormat1(t *testing.T, stores map[string]func(t *testing.T) Store) {
	t.Helper()
	for name, open := range stores {
		t.Run(name, func(t *testing.T) {
			store := open(t)
			options := func(until time.Time) Options {
				const century = 100 * 365 * 24 * time.Hour
				return Options{
					Store: store, Secrets: [][]byte{bytes.Repeat([]byte("format 1"), 4)}, IdleTimeout: century / 2, Lifetime: century,
					Format1Until: until, TouchEvery: time.Nanosecond,
				}
			}
			late := newManager(t, options(time.Now()))
			m := newManager(t, options(time.Now().Add(time.Hour)))
			listed := 0
			for i, err := range m.List(t.Context(), Query{}) {
				check(t, err)
				if listed++; i.Stamp != "s1" || i.Addr != "192.0.2.7" || !i.Seen.After(i.Login) {
					t.Errorf("listed: %+v", i)
				}
			}
			people := format1People(t, m, name)
			if listed != len(people) || listed == 0 {
				t.Errorf("%d sessions are listed of %d", listed, len(people))
			}
			for user, r := range people {
				wantNobody(t, late, r, "after the date")
				wantUser(t, m, r, user)
				wantValues(t, m, r, "a/", map[string]string{"k": "v of " + user})
			}
			m.Close()
			m = newManager(t, options(time.Time{}))
			for user, r := range people {
				wantUser(t, m, r, user)
				wantValues(t, m, r, "a/", map[string]string{"k": "v of " + user})
				check(t, keepValue(m, r, "a/", "k", "w"))
				i, err := m.Find(r)
				check(t, err)
				m.Touch(i)
				if i.Level != 1 || !i.AuthTime.Equal(i.Login) {
					t.Errorf("%+v", i)
				}
			}
			m.Close()
			for user, r := range people {
				wantUser(t, m, r, user)
				n, err := m.RevokeUser(t.Context(), user, "revoked", nil)
				if n != 1 || err != nil {
					t.Errorf("%d sessions of %s are ended, %v", n, user, err)
				}
				wantNobody(t, m, r, "revoked")
			}
		})
	}
}

// format1People returns a request of each person who is signed in.
func format1People(t *testing.T, m *Manager, store string) map[string]*http.Request {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(format1, "ids.tsv"))
	check(t, err)
	people := map[string]*http.Request{}
	for line := range strings.Lines(string(text)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if f[0] != store {
			continue
		}
		value, err := m.sign(f[2])
		check(t, err)
		people[f[1]] = request(&http.Cookie{Name: "__Host-gatehouse", Value: value}) //nolint:gosec // of a request
	}
	return people
}

func format1Bolt(t *testing.T) Store {
	t.Helper()
	packed, err := os.ReadFile(filepath.Join(format1, "gatehouse.db.gz"))
	check(t, err)
	z, err := gzip.NewReader(bytes.NewReader(packed))
	check(t, err)
	file, err := io.ReadAll(z)
	check(t, err)
	path := filepath.Join(t.TempDir(), "gatehouse.db")
	check(t, os.WriteFile(path, file, 0o600)) //nolint:gosec // G703: a folder of the test's own
	db, err := boltfile.Open(path)
	check(t, err)
	t.Cleanup(func() { _ = db.Close() })
	b, err := NewBolt(db)
	check(t, err)
	return b
}
