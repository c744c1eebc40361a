package sessions

import (
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
)

// A jar is what a browser keeps of our cookies for one host: by name and
// Domain.
type jar map[string]string

func (j jar) take(h http.Header) {
	for _, line := range h["Set-Cookie"] {
		c, err := http.ParseSetCookie(line)
		switch {
		case err != nil:
		case c.MaxAge < 0:
			delete(j, c.Name+" "+c.Domain)
		default:
			j[c.Name+" "+c.Domain] = c.Value
		}
	}
}

func (j jar) request() *http.Request {
	r := request()
	r.Host = "app.d1.example.com"
	for slot, value := range j {
		name, _, _ := strings.Cut(slot, " ")
		r.Header.Add("Cookie", name+"="+value)
	}
	return r
}

func (j jar) login(t *testing.T, m *Manager) {
	t.Helper()
	h := http.Header{}
	s := m.Open(j.request())
	if err := s.Login(t.Context(), Login{User: "alice", Source: "file", Stamp: "stamp"}); err != nil {
		t.Fatal(err)
	}
	if err := m.Commit(s, h, http.StatusSeeOther); err != nil {
		t.Fatal(err)
	}
	j.take(h)
}

func plainHTTP(*http.Request) bool { return false }

// cookie.domain is added while somebody is signed in: they stay so, and when
// their session has ended they can sign in again. That was an endless login,
// because the old cookie stayed beside the new one.
func TestDomainIsAddedWhileSomebodyIsSignedIn(t *testing.T) {
	for name, secure := range map[string]func(*http.Request) bool{"http": plainHTTP, "https": nil} {
		store := NewMemory()
		before := newManager(t, Options{Store: store, Cookie: Cookie{Secure: secure}})
		after := newManager(t, Options{Store: store, Cookie: Cookie{Secure: secure, Domain: "d1.example.com"}})
		j := jar{}
		j.login(t, before)
		wantUser(t, after, j.request(), "alice")
		if _, err := after.RevokeAll(t.Context(), "revoked"); err != nil {
			t.Fatal(err)
		}
		wantNobody(t, after, j.request(), name+": revoked")
		j.login(t, after)
		wantUser(t, after, j.request(), "alice")
		if len(j) != 1 {
			t.Errorf("%s: the browser keeps %v, want the one with the Domain", name, j)
		}
	}
}

// Gates on one host, or on a parent domain, neither count nor delete each
// other's cookies.
func TestCookieOfAnotherGateStays(t *testing.T) {
	ours := newManager(t, Options{Cookie: Cookie{Secure: plainHTTP}})
	other := newManager(t, Options{Cookie: Cookie{Secure: plainHTTP, Domain: "d1.example.com"}, Secrets: [][]byte{[]byte(strings.Repeat("o", 32))}})
	j := jar{}
	j.login(t, other)
	wantNobody(t, ours, j.request(), "with the other's cookie alone")
	h := http.Header{}
	ours.ClearCookies(j.request(), h)
	if len(h["Set-Cookie"]) > 0 {
		t.Errorf("the other's cookie is deleted: %q", h["Set-Cookie"])
	}
	j.login(t, ours)
	wantUser(t, ours, j.request(), "alice")
	wantUser(t, other, j.request(), "alice")
}

// A cookie that a neighbour has planted makes two that live: neither counts,
// and the next login gets rid of it, whichever parent domain it is for.
func TestLoginReplacesAPlantedCookie(t *testing.T) {
	m := newManager(t, Options{Cookie: Cookie{Secure: plainHTTP}})
	victim, mallory := jar{}, jar{}
	victim.login(t, m)
	mallory.login(t, m)
	for _, value := range mallory {
		victim["gatehouse example.com"] = value
	}
	if _, err := m.Find(victim.request()); !errors.Is(err, ErrTwoSessions) || !errors.Is(err, ErrNotFound) {
		t.Fatalf("Find = %v, want ErrTwoSessions", err)
	}
	victim.login(t, m)
	wantUser(t, m, victim.request(), "alice")
	if len(victim) != 1 {
		t.Errorf("the browser keeps %v", victim)
	}
}

// On https without a Domain only the name counts that no neighbour can set.
func TestPlantedPlainNameCountsForNothing(t *testing.T) {
	m := newManager(t, Options{})
	c := login(t, m, "mallory")
	r := request()
	r.Header.Set("Cookie", "gatehouse="+c.Value)
	wantNobody(t, m, r, "planted")
}

// A store that cannot tell which of two lives is no reason to choose one.
func TestTwoCookiesAndAStoreThatCannotTell(t *testing.T) {
	f := &failing{Store: NewMemory()}
	m := newManager(t, Options{Store: f})
	a, b := login(t, m, "alice"), login(t, m, "bob")
	f.err = errors.New("down")
	if _, err := m.Find(request(a, b)); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("Find = %v, want that the store could not tell", err)
	}
}

// FuzzCookieLine: the two readers of a Cookie header agree.
func FuzzCookieLine(f *testing.F) {
	f.Add("gatehouse=a; x=y", "gatehouse = b;gatehouse=c")
	f.Add(" ;=;gatehouse;gatehouse==", "Gatehouse=1; gatehouse2=2")
	f.Fuzz(func(t *testing.T, one, two string) {
		lines := []string{one, two}
		value, n := findCookie(lines, "gatehouse")
		all := allCookies(lines, "gatehouse", "")
		if len(all) != n || n > 0 && !slices.Contains(all, value) {
			t.Errorf("%q: findCookie %q, %d; allCookies %q", lines, value, n, all)
		}
	})
}
