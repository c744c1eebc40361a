package proxy

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/sessions"
)

// goes is a visit whose cookie the next one of the same name brings. It returns
// the header of the answer, and the attributes of the session's cookie, "" where
// none is set.
func (k *keeping) goes(t *testing.T, name, path string, do ...string) (h http.Header, attributes string) {
	t.Helper()
	res := k.visit(t, name, path, do...) //nolint:bodyclose // do sees to it
	for _, line := range res.Header["Set-Cookie"] {
		if strings.HasPrefix(line, "__Host-gatehouse=") || strings.HasPrefix(line, "gatehouse=") {
			k.cookies[name], attributes, _ = strings.Cut(line, ";")
		}
	}
	return res.Header, attributes
}

func (k *keeping) count(t *testing.T) (n int) {
	t.Helper()
	for _, err := range k.manager.List(t.Context(), sessions.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	return n
}

// A visitor who is not signed in has a basket too, on public and on optional
// paths, and takes it along when they sign in.
func TestBasketSurvivesTheLogin(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, s setting) {
		t.Helper()
		k := keeper(t, s, sessions.NewMemory(), "/wiki", "/off")
		before := k.count(t)
		h, set := k.goes(t, "", "/public/")
		if got := h.Get("Vary"); set != "" || k.count(t) != before || !strings.Contains(got, "Cookie") {
			t.Errorf("a visit without anything kept: Set-Cookie %q, Vary %q, %d sessions more", set, got, k.count(t)-before)
		}
		h, set = k.goes(t, "", "/public/", "set cart=12")
		if !strings.Contains(set, "HttpOnly") || !strings.Contains(h.Get("Cache-Control"), "no-store") || k.count(t) != before+1 {
			t.Errorf("the first thing in the basket: Set-Cookie %q, Cache-Control %q", set, h.Get("Cache-Control"))
		}
		anonymous := k.cookies[""]
		k.want(t, "", "/public/", "cart=12")
		if h, set := k.goes(t, "", "/public/", "set cart=13"); set != "" || !strings.Contains(h.Get("Cache-Control"), "private") {
			t.Errorf("the second: Set-Cookie %q, Cache-Control %q", set, h.Get("Cache-Control"))
		}
		k.want(t, "other", "/public/", "")
		if res := k.visit(t, "", "/x"); res.StatusCode < 300 { //nolint:bodyclose // do sees to it
			t.Errorf("nobody's session passes a rule: %s", res.Status)
		}

		r, answer := k.request(t, http.MethodGet, "/", nil), http.Header{}
		r.Header.Set("Cookie", k.cookies[""])
		in := k.manager.Open(r)
		if err := errors.Join(in.Login(t.Context(), sessions.Login{User: "carol", Source: "file"}), k.manager.Commit(in, answer, http.StatusOK)); err != nil {
			t.Fatal(err)
		}
		k.cookies["carol"], _, _ = strings.Cut(answer.Get("Set-Cookie"), ";")
		if k.cookies["carol"] == anonymous {
			t.Error("the session keeps its id at the login")
		}
		k.want(t, "carol", "/", "cart=13")
		k.want(t, "carol", "/public/", "cart=13")
		k.want(t, "", "/public/", "") // the old id opens nothing
	})
}

// What cannot be kept makes no session.
func TestNoSessionForNothing(t *testing.T) {
	k := keeper(t, setting{}, sessions.NewMemory(), "/off")
	before := k.count(t)
	for _, do := range [][]string{
		{"delete a"},
		{"expiry 60"},
		{"set a=1", "status 500"},
		{"set =1"},
		{"set a=" + strings.Repeat("x", maxDataSize)},
		{"hint a=1"},
	} {
		if _, set := k.goes(t, "", "/public/", do...); set != "" || k.count(t) != before {
			t.Errorf("%.60q: Set-Cookie %q, %d sessions more", do, set, k.count(t)-before)
		}
	}
}

// One network cannot fill the store with sessions of nobody's.
func TestStrangersAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newAnonymousLimit()
		taken := 0
		for range anonymousOfNetwork + 50 {
			if s.take(netip.MustParseAddr("192.0.2.1")) {
				taken++
			}
		}
		if taken != anonymousOfNetwork {
			t.Errorf("one address gets %d", taken)
		}
		for n := range anonymousInAll {
			if s.take(netip.MustParseAddr(fmt.Sprintf("2001:db8:%x:%x::%x", n/50, n%50, n))) {
				taken++
			}
		}
		if taken != anonymousInAll {
			t.Errorf("all together get %d", taken)
		}
		time.Sleep(anonymousPer)
		if !s.take(netip.MustParseAddr("192.0.2.1")) {
			t.Error("it never ends")
		}
	})
}

// X-Session-Expiry, as Django's set_expiry.
func TestExpiryByTheApplication(t *testing.T) {
	k := keeper(t, setting{}, sessions.NewMemory())
	for _, test := range []struct {
		expiry  string
		browser bool
		after   time.Duration // 0: as the gate has it
	}{
		{"0", true, 0},
		{"60", false, time.Minute},
		{"7200", false, 2 * time.Hour},
		{time.Now().Add(30 * time.Minute).UTC().Format(http.TimeFormat), false, 30 * time.Minute},
	} {
		name := "stranger " + test.expiry
		_, set := k.goes(t, name, "/public/", "set a=1", "expiry "+test.expiry)
		if got := !strings.Contains(set, "Max-Age"); got != test.browser {
			t.Errorf("%s: Set-Cookie ends with the browser: %t: %q", test.expiry, got, set)
		}
		i := k.found(t, name)
		want := test.after
		if want == 0 {
			want = time.Hour
		}
		if left := time.Until(i.Expires); left > want || left < want-time.Minute/2 {
			t.Errorf("%s: the session ends in %s, want %s", test.expiry, left, want)
		}
		if _, set := k.goes(t, name, "/public/", "expiry "+test.expiry); set != "" {
			t.Errorf("%s again: Set-Cookie %q", test.expiry, set)
		}
	}

	// Who is signed in can be signed out earlier by it, and not later.
	for _, test := range []struct {
		expiry string
		want   time.Duration
	}{
		{"7200", time.Hour},
		{"60", time.Minute},
		{time.Now().Add(90 * time.Minute).UTC().Format(http.TimeFormat), time.Hour},
		{time.Now().Add(20 * time.Minute).UTC().Format(http.TimeFormat), 20 * time.Minute},
	} {
		k.cookies["dave"] = k.login(t, "dave")
		k.goes(t, "dave", "/", "expiry "+test.expiry)
		if left := time.Until(k.found(t, "dave").Expires); left > test.want || left < test.want-time.Minute/2 {
			t.Errorf("signed in, %s: the session ends in %s, want %s", test.expiry, left, test.want)
		}
	}
	k.cookies["dave"] = k.login(t, "dave")
	k.goes(t, "dave", "/", "expiry Sun, 06 Nov 1994 08:49:37 GMT")
	if res := k.visit(t, "dave", "/"); res.StatusCode == http.StatusOK { //nolint:bodyclose // do sees to it
		t.Error("a date that has passed does not end the session")
	}
	for _, bad := range []string{"-1", "soon", "1.5", "+60", "0x10"} {
		_, set := k.goes(t, "alice", "/", "expiry "+bad)
		if set != "" || !strings.Contains(k.log.String(), "session data refused") {
			t.Errorf("%q: Set-Cookie %q", bad, set)
		}
	}
}

func (k *keeping) found(t *testing.T, name string) sessions.Info {
	t.Helper()
	r := k.request(t, http.MethodGet, "/", nil)
	r.Header.Set("Cookie", k.cookies[name])
	i, err := k.manager.Find(r)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return i
}

// FuzzExpiry: whatever an application sends is a policy that ends, or refused.
func FuzzExpiry(f *testing.F) {
	for _, text := range []string{"0", "60", "99999999999999999999", "Sun, 06 Nov 1994 08:49:37 GMT", "Sunday, 06-Nov-94 08:49:37 GMT", "-5", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := readExpiry([]string{text}, time.Now())
		switch {
		case err != nil && e != (sessions.Expiry{}):
			t.Errorf("%q: %+v with %v", text, e, err)
		case err == nil && e == (sessions.Expiry{}):
			t.Errorf("%q asks for nothing", text)
		}
	})
}

// session_data in all sessions together end at data_limit: what is there stays, and
// what is to go goes.
func TestDataLimit(t *testing.T) {
	k := keeper(t, setting{dataLimit: 6000}, sessions.NewMemory())
	k.sends(t, "alice", "/", "set a="+strings.Repeat("a", 3000))
	k.sends(t, "bob", "/", "set b=1", "set c=2")
	res := k.visit(t, "bob", "/", "set b="+strings.Repeat("b", 4000), "delete c") //nolint:bodyclose // do sees to it
	if _, _ = io.Copy(io.Discard, res.Body); res.StatusCode != http.StatusOK {
		t.Errorf("%s", res.Status)
	}
	k.want(t, "bob", "/", "b=1")
	if !strings.Contains(k.log.String(), "session data refused") {
		t.Errorf("log: %s", k.log.String())
	}
	if _, set := k.goes(t, "", "/public/", "set b="+strings.Repeat("b", 4000)); set != "" {
		t.Errorf("a stranger gets %q", set)
	}
	k.sends(t, "alice", "/", "delete a")
	k.sends(t, "bob", "/", "set b="+strings.Repeat("b", 4000))
	if got := len(k.data(t, "bob", "/")); got != 4002 {
		t.Errorf("when there is room again, %d bytes are kept", got)
	}
}
