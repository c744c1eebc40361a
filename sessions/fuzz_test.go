package sessions

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"
)

// FuzzCookie: whatever stands in the Cookie header, nothing panics, and the
// session opens for exactly one spelling of its cookie.
func FuzzCookie(f *testing.F) {
	m := newManager(f, Options{})
	c := login(f, m, "alice")
	f.Add("__Host-gatehouse=" + c.Value)
	f.Add("a=b; __Host-gatehouse=" + c.Value + "; c")
	f.Add("__Host-gatehouse=" + c.Value + "=; __Host-gatehouse")
	f.Add(strings.Repeat("__Host-gatehouse=;", 50))
	f.Add("__Host-gatehouse=\"" + c.Value + "\"")
	f.Fuzz(func(t *testing.T, header string) {
		r := request()
		r.Header["Cookie"] = []string{header}
		i, err := m.Find(r)
		if err == nil && (i.User != "alice" || strings.Count(header, c.Value) != 1) {
			t.Errorf("%q opens %q's session", header, i.User)
		}
		if err != nil && !errors.Is(err, ErrNotFound) {
			t.Errorf("%q: %v", header, err)
		}
		if _, opened := m.Open(r).Info(t.Context()); (opened == nil) != (err == nil) {
			t.Errorf("%q: Find %v, Open %v", header, err, opened)
		}
		// What net/http makes of the header does not count more cookies of
		// our name than we do.
		if n := len(r.CookiesNamed("__Host-gatehouse")); n > 1 && err == nil {
			t.Errorf("%q has %d cookies of our name", header, n)
		}
	})
}

// FuzzVerify: a value is ours only if sign could have written it.
func FuzzVerify(f *testing.F) {
	m := newManager(f, Options{})
	f.Add(login(f, m, "alice").Value)
	f.Add(strings.Repeat("A", cookieLen))
	f.Add(strings.Repeat("\n", cookieLen))
	known := m.Open(request(login(f, m, "alice"))).ID()
	f.Fuzz(func(t *testing.T, value string) {
		id, _, _, ok := m.verify(value)
		if ok && (len(value) != cookieLen || !validID(id) || id == known) {
			t.Errorf("%q is taken for %q", value, id)
		}
	})
}

// FuzzRecord: DecodeRecord takes what EncodeRecord wrote for the key, and
// nothing else; it never panics.
func FuzzRecord(f *testing.F) {
	now := time.UnixMicro(1_700_000_000_000_000).UTC()
	whole := Record{Data: []byte("data"), User: "alice", Source: "file", Stamp: "s", Created: now, Login: now, Seen: now, Expires: now, Limit: now, Idle: time.Hour, Browser: true, Addr: "::1", Agent: "agent", Version: 7, AuthTime: now, Level: 2, Methods: []string{"pwd", "otp"}, Actor: "root", Proof: []byte("proof"), Mark: []byte("mark")}
	for _, r := range []Record{{}, whole} {
		f.Add("key", EncodeRecord("key", &r))
	}
	f.Add("key", []byte{})
	f.Add("key", []byte{recordFormat, 0, 0, 0, 0})
	f.Add("key", []byte{recordFormatOld, 0, 0, 0, 0})
	f.Fuzz(func(t *testing.T, key string, b []byte) {
		if r, err := DecodeRecord(key, b); err == nil {
			again, err := DecodeRecord(key, EncodeRecord(key, &r))
			if err != nil || !reflect.DeepEqual(again, r) {
				t.Errorf("%+v is read back as %+v, %v", r, again, err)
			}
		}
		if len(b) > recordHead { // past the checksum, into the fields
			b = bytes.Clone(b)
			sum := checksum(key, b[recordHead:])
			b[0] = recordFormatOld + b[0]&1
			binary.BigEndian.PutUint32(b[1:], sum)
			if r, err := DecodeRecord(key, b); err == nil {
				if again, err := DecodeRecord(key, EncodeRecord(key, &r)); err != nil || !reflect.DeepEqual(again, r) {
					t.Errorf("%+v is read back as %+v, %v", r, again, err)
				}
			}
		}
	})
}

// A damaged record is no session, and a warning that names the handle: whoever
// has its cookie can sign in again. It can be ended, and it expires.
func TestDamagedRecord(t *testing.T) {
	store := boltStore(t)
	var log lockedLog
	m := newManager(t, Options{Store: store, Log: slog.New(slog.NewTextHandler(&log, nil))})
	c, d := login(t, m, "alice"), login(t, m, "bob")
	i, err := m.Find(request(c))
	check(t, err)
	whole := rawRecord(t, store, i.Key, nil)
	for at := range whole {
		b := bytes.Clone(whole)
		b[at] ^= 0x10
		rawRecord(t, store, i.Key, b)
		if _, err := m.Find(request(c)); !errors.Is(err, ErrNotFound) {
			t.Fatalf("byte %d changed: %v", at, err)
		}
	}
	if !strings.Contains(log.String(), i.Handle) {
		t.Errorf("log: %s", log.String())
	}
	if r, err := DecodeRecord(keyOf("other"), whole); err == nil {
		t.Errorf("under another key it is %q's", r.User)
	}
	wantUser(t, m, request(d), "bob")
	if err := m.Open(request(c)).Logout(t.Context()); err != nil {
		t.Errorf("Logout: %v", err)
	}
	wantNobody(t, m, request(c), "after logout")

	i, err = m.Find(request(d))
	check(t, err)
	rawRecord(t, store, i.Key, []byte("damaged"))
	gone, err := store.DeleteExpired(t.Context(), time.Now().Add(2*time.Hour), 10)
	if err != nil || len(gone) != 2 { // one of alice's, of whom only the index knows, and bob's
		t.Errorf("DeleteExpired = %d, %v", len(gone), err)
	}
	if n, err := store.Count(t.Context()); n != 0 || err != nil {
		t.Errorf("Count = %d, %v", n, err)
	}
	h := http.Header{}
	check(t, m.Commit(m.Open(request(d)), h, http.StatusOK))
}
