package storetest

import (
	"bytes"
	"crypto/hkdf"
	"crypto/sha256"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/securecookie"

	"gatehouse/sessions"
)

// format1Secret is the secret with which the sessions were made, and century
// how long they live; see sessions/testdata/format1/make.go.
var format1Secret = bytes.Repeat([]byte("format 1"), 4)

const century = 100 * 365 * 24 * time.Hour

// RunFormat1 tests a store with what the last version before format 2 has
// written into it: whoever was signed in before the upgrade stays so, with what
// applications keep in their sessions, and the records are of format 2 after it.
// The folder's ids.tsv has the users and the ids of their sessions, which must
// be all that there are.
func RunFormat1(t *testing.T, store sessions.Store, folder string) {
	t.Helper()
	people := format1People(t, folder)
	late, m := format1Manager(t, store, time.Now()), format1Manager(t, store, time.Now().Add(time.Hour))
	listed := 0
	for i, err := range m.List(t.Context(), sessions.Query{}) {
		mustNot(t, err)
		if listed++; i.Stamp != "s1" || i.Addr != "192.0.2.7" || !i.Seen.After(i.Login) {
			t.Errorf("listed: %+v", i)
		}
	}
	if listed != len(people) || listed == 0 {
		t.Errorf("%d sessions are listed of %d", listed, len(people))
	}
	for user, r := range people {
		if i, err := late.Find(r); !errors.Is(err, sessions.ErrNotFound) {
			t.Errorf("after the date: Find = %s's, %v", i.User, err)
		}
		wantKept(t, m, r, user, "v of "+user)
	}
	m.Close()
	m = format1Manager(t, store, time.Time{}) // from here on only format 2 counts
	for user, r := range people {
		i := wantKept(t, m, r, user, "v of "+user)
		mustNot(t, m.ChangeValues(r, i, "a/", true, func(v map[string]string) bool { v["k"] = "w"; return true }))
		i = wantKept(t, m, r, user, "w")
		m.Touch(i)
		if i.Level != 1 || !i.AuthTime.Equal(i.Login) {
			t.Errorf("%+v", i)
		}
	}
	m.Close() // writes the uses that wait
	for user, r := range people {
		wantKept(t, m, r, user, "w")
		if n, err := m.RevokeUser(t.Context(), user, "revoked", nil); n != 1 || err != nil {
			t.Errorf("%d sessions of %s are ended, %v", n, user, err)
		}
		if i, err := m.Find(r); !errors.Is(err, sessions.ErrNotFound) {
			t.Errorf("revoked: Find = %s's, %v", i.User, err)
		}
	}
}

func format1Manager(t *testing.T, store sessions.Store, until time.Time) *sessions.Manager {
	t.Helper()
	m, err := sessions.NewManager(sessions.Options{
		Store: store, Secrets: [][]byte{format1Secret}, IdleTimeout: century / 2, Lifetime: century,
		LegacyUntil: until, TouchEvery: time.Nanosecond,
	})
	mustNot(t, err)
	t.Cleanup(m.Close)
	return m
}

// format1People returns a request of each person who is signed in, with a cookie
// as the version before has signed it: today, because no signature counts for
// long enough to be kept in a file.
func format1People(t *testing.T, folder string) map[string]*http.Request {
	t.Helper()
	key, err := hkdf.Key(sha256.New, format1Secret, nil, "gatehouse session cookie v1", 32)
	mustNot(t, err)
	codec := securecookie.New(key, nil).SetSerializer(securecookie.NopEncoder{})
	text, err := os.ReadFile(filepath.Join(folder, "ids.tsv")) //nolint:gosec // G304: a folder of the tests
	mustNot(t, err)
	people := map[string]*http.Request{}
	for line := range strings.Lines(string(text)) {
		user, id, _ := strings.Cut(strings.TrimSpace(line), "\t")
		value, err := codec.Encode("gatehouse", []byte(id))
		mustNot(t, err)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://gate.example/", nil)
		r.AddCookie(&http.Cookie{Name: "__Host-gatehouse", Value: value}) //nolint:gosec // G124: of a request
		people[user] = r
	}
	return people
}

// wantKept wants the request to be the user's, with one value in the space "a/".
func wantKept(t *testing.T, m *sessions.Manager, r *http.Request, user, value string) sessions.Info {
	t.Helper()
	i, err := m.Find(r)
	if err != nil || i.User != user {
		t.Errorf("Find = %q's, %v; want %q's", i.User, err, user)
		return i
	}
	if got, err := m.Values(r, i, "a/"); err != nil || !maps.Equal(got, map[string]string{"k": value}) {
		t.Errorf("%s keeps %v, %v; want %s", user, got, err, value)
	}
	return i
}

func mustNot(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
