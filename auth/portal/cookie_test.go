package portal_test

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/sessions"
)

// deleted says whether the answer takes the session's cookie away.
func (a answer) deleted() bool {
	for _, c := range a.Cookies() {
		if strings.HasSuffix(c.Name, "gatehouse") && c.MaxAge < 0 {
			return true
		}
	}
	return false
}

// The cookie of a session that has ended goes when its person comes to sign
// in again, and at no other time: a late answer to a script must not take away
// the cookie of a login that was faster.
//
// Django 5, 6, 41, 42.
func TestCookieOfAnEndedSession(t *testing.T) {
	g := newGate(t)
	b := g.browser(t).signIn("alice", alicesPassword)
	if b.get("/app").deleted() {
		t.Error("the cookie of a session that lives")
	}
	name, value := "gatehouse", b.cookies()["gatehouse"]
	if _, err := g.manager.RevokeAll(t.Context(), "revoked"); err != nil {
		t.Fatal(err)
	}

	fetch := b.request(http.MethodGet, "/app", nil)
	fetch.Header.Set("Sec-Fetch-Mode", "cors")
	if b.do(fetch).deleted() || b.get("/_gate/session").deleted() || b.get("/_gate/login").deleted() {
		t.Error("an answer to a script takes the cookie away")
	}
	two := b.request(http.MethodGet, "/app", nil)
	two.Header.Set("Cookie", name+"=another") // beside the one of the jar
	if a := b.do(two); a.StatusCode != http.StatusFound || a.deleted() {
		t.Error("the cookie of another gate may be hit")
	}
	if a := b.get("/app").want(t, http.StatusFound, "/_gate/login?next=/app"); !a.deleted() || b.cookies()[name] != "" {
		t.Error("the dead cookie stays")
	}
	if b.get("/app").deleted() || b.post("/_gate/logout").deleted() {
		t.Error("there is nothing to take away")
	}
	b.setCookie(name, value)
	if !b.post("/_gate/logout").want(t, http.StatusSeeOther, "/_gate/login").deleted() {
		t.Error("signing out leaves the dead cookie")
	}
	b.setCookie(name, "impossible")
	if b.get("/app").deleted() || b.post("/_gate/logout").deleted() {
		t.Error("a cookie that we did not sign is another gate's")
	}
}

// A session that names somebody, and no stamp, is nobody's.
//
// Django 94.
func TestSessionWithoutStamp(t *testing.T) {
	g := newGate(t)
	s, h := g.manager.OpenByID(""), http.Header{}
	if err := s.Login(t.Context(), sessions.Login{User: "alice", Source: "database"}); err != nil {
		t.Fatal(err)
	}
	if err := g.manager.Commit(s, h, http.StatusOK); err != nil {
		t.Fatal(err)
	}
	c, err := http.ParseSetCookie(h.Get("Set-Cookie"))
	if err != nil {
		t.Fatal(err)
	}
	b := g.browser(t)
	b.setCookie("gatehouse", c.Value)
	if who := b.who(); who != "" {
		t.Errorf("signed in as %q", who)
	}
	if n, err := g.store.Count(t.Context()); n != 0 || err != nil {
		t.Errorf("%d sessions are left, %v", n, err)
	}
}
