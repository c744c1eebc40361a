package sessions

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Who comes while a secret is being replaced gets a cookie of the new one, and
// stays when the old one goes; the id stays too, for requests under way.
//
// Django 133, 134.
func TestRefresh(t *testing.T) {
	store := NewMemory()
	older, newer := []byte(strings.Repeat("old!", 10)), []byte(strings.Repeat("new!", 10))
	before := newManager(t, Options{Store: store, Secrets: [][]byte{older}})
	during := newManager(t, Options{Store: store, Secrets: [][]byte{newer, older}})
	after := newManager(t, Options{Store: store, Secrets: [][]byte{newer}})

	s := before.Open(request())
	check(t, errors.Join(s.Set(t.Context(), "k", "v"), s.Login(t.Context(), Login{User: "alice"})))
	alice, absent := commit(t, before, s), login(t, before, "bob")

	for range 2 { // the second time, the proof is remembered
		if i, err := during.Find(request(alice)); err != nil || !i.StaleSignature {
			t.Errorf("a cookie of the old secret: Old %v, %v", i.StaleSignature, err)
		}
	}
	h := http.Header{}
	check(t, during.Refresh(request(alice), h))
	anew, err := http.ParseSetCookie(h.Get("Set-Cookie"))
	if err != nil || h.Get("Vary") != "Cookie" || h.Get("Cache-Control") != "no-store" {
		t.Fatalf("%v: %v", err, h)
	}
	if i, err := during.Find(request(anew)); err != nil || i.StaleSignature {
		t.Errorf("a cookie of the new secret: Old %v, %v", i.StaleSignature, err)
	}
	wantUser(t, during, request(alice), "alice") // requests under way
	if during.Open(request(alice)).ID() != during.Open(request(anew)).ID() {
		t.Error("the id has changed")
	}

	wantUser(t, after, request(anew), "alice")
	var v string
	if found, err := after.Open(request(anew)).Get(t.Context(), "k", &v); !found || err != nil || v != "v" {
		t.Errorf("the data are sealed with the old secret: %v, %v", found, err)
	}
	wantNobody(t, after, request(alice), "the old cookie")
	wantNobody(t, after, request(absent), "who did not come")

	check(t, during.Open(request(anew)).Logout(t.Context()))
	h = http.Header{}
	if err := during.Refresh(request(alice), h); err != nil || len(h) > 0 {
		t.Errorf("Refresh of a session that has ended: %v, %v", err, h)
	}
}

// The same for an application that opens sessions itself: the first use is
// enough.
//
// Django 133.
func TestCommitRefreshes(t *testing.T) {
	store := NewMemory()
	older, newer := []byte(strings.Repeat("old!", 10)), []byte(strings.Repeat("new!", 10))
	c := login(t, newManager(t, Options{Store: store, Secrets: [][]byte{older}}), "alice")
	during := newManager(t, Options{Store: store, Secrets: [][]byte{newer, older}})
	if got := commit(t, during, during.Open(request(c))); got != nil {
		t.Errorf("unused, and yet %v", got)
	}
	s := during.Open(request(c))
	_, err := s.Keys(t.Context())
	check(t, err)
	anew := commit(t, during, s)
	if anew == nil {
		t.Fatal("no new cookie")
	}
	wantUser(t, newManager(t, Options{Store: store, Secrets: [][]byte{newer}}), request(anew), "alice")
}

// With Slide a use keeps nobody's session as well, and the browser keeps its
// cookie for as long as uses may.
//
// Django 38, 47.
func TestSlide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, slide := range []bool{false, true} {
			m := newManager(t, Options{IdleTimeout: time.Hour, Lifetime: 12 * time.Hour, SlideAnonymous: slide})
			s := m.Open(request())
			check(t, s.Set(t.Context(), "k", 1))
			start := time.Now()
			c := commit(t, m, s)
			if want := map[bool]int{false: 3600, true: 12 * 3600}[slide]; c.MaxAge != want {
				t.Errorf("Slide %v: Max-Age %d, want %d", slide, c.MaxAge, want)
			}
			for time.Since(start) < 11*time.Hour {
				time.Sleep(50 * time.Minute)
				i, err := m.Find(request(c))
				check(t, err)
				m.Touch(i)
				synctest.Wait()
			}
			time.Sleep(12*time.Hour - time.Since(start))
			wantNobody(t, m, request(c), "after the limit")
			m.Close()
		}
	})
}

// Django 13, 14.
func TestCookiePath(t *testing.T) {
	m := newManager(t, Options{Cookie: Cookie{Path: "/app/"}})
	s := m.Open(request())
	check(t, s.Set(t.Context(), "k", 1))
	c := commit(t, m, s)
	if c.Path != "/app/" || c.Name != "gatehouse" || !c.Secure {
		t.Errorf("cookie %s", c)
	}
	s = m.Open(request(c))
	check(t, s.Flush(t.Context()))
	if gone := commit(t, m, s); gone.Path != "/app/" || gone.Name != "gatehouse" || gone.MaxAge >= 0 {
		t.Errorf("deleted by %s", gone)
	}
	for _, path := range []string{"app", "/a;b", "/a\n", "/ä"} {
		if _, err := NewManager(Options{Store: NewMemory(), Secrets: [][]byte{testSecret}, IdleTimeout: time.Hour, Cookie: Cookie{Path: path}}); err == nil {
			t.Errorf("the path %q: no error", path)
		}
	}
}

func TestCarries(t *testing.T) {
	m := newManager(t, Options{})
	ours := login(t, m, "alice").Value
	for line, want := range map[string]bool{
		"": false, "other=1": false, "__Host-gatehouse=1": false, "gatehouse=" + ours: false,
		"a=b; __Host-gatehouse=" + ours: true, "__Host-gatehouse=1; __Host-gatehouse=" + ours: true,
	} {
		r := request()
		r.Header.Set("Cookie", line)
		if got := m.HasCookie(r); got != want {
			t.Errorf("Carries(%q) = %v", line, got)
		}
	}
}
