package portal_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"gatehouse/sessions"
)

// What was done stood in the address, so that a reload or a bookmark said it
// again, and anybody's link said it of what nobody had done.
func TestAccountPageSaysOnceWhatWasDone(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		change func(*gate)
		cookie string
	}{
		"http":  {func(*gate) {}, "gatehouse_notice"},
		"https": {withTLS, "__Host-gatehouse_notice"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const done = "All your other devices are signed out."
			b := newGate(t, test.change).browser(t).signIn("alice", alicesPassword)
			a := b.post("/_gate/sessions/end-others", "csrf_token", b.token("/_gate/")).want(t, http.StatusSeeOther, "/_gate/")
			if b.cookies()[test.cookie] != "others" {
				t.Fatalf("no cookie %s: %q", test.cookie, a.Header["Set-Cookie"])
			}
			if !strings.Contains(b.get("/_gate/").body, done) {
				t.Error("the page does not say what was done")
			}
			if strings.Contains(b.get("/_gate/").body, done) {
				t.Error("the page says it again when it is loaded again")
			}
			if b.cookies()[test.cookie] != "" {
				t.Error("the cookie stays")
			}
			if strings.Contains(b.get("/_gate/?done=others").body, done) {
				t.Error("a link makes the page say what nobody has done")
			}
			b.setCookie(test.cookie, "<b>planted</b>")
			if strings.Contains(b.get("/_gate/").body, "planted") {
				t.Error("the page shows the words of a cookie")
			}
		})
	}
}

const (
	saysIdle     = "because you were inactive for a while"
	saysRevoked  = "from another device or by an administrator"
	saysPassword = "Your password was changed."
	saysEnded    = "You are no longer signed in."
	saysLogout   = "You are signed out."
	saysNothing  = `class="done"`
)

// onTheWay goes to the application, whose session has ended, and returns the
// login page that it is led to.
func (b *browser) onTheWay() answer {
	b.t.Helper()
	a := b.get("/app").want(b.t, http.StatusFound, "/_gate/login?next=/app")
	return b.get(a.Header.Get("Location"))
}

// People were led to a login page that did not say why they had to sign in
// again.
func TestLoginPageSaysOnceWhyTheSessionHasEnded(t *testing.T) {
	t.Parallel()
	for reason, says := range map[string]string{"revoked": saysRevoked, "limit": saysRevoked, "password": saysPassword, "account": saysEnded} {
		t.Run(reason, func(t *testing.T) {
			t.Parallel()
			g := newGate(t)
			b := g.browser(t).signIn("alice", alicesPassword)
			if _, err := g.manager.RevokeUser(t.Context(), "alice", reason, nil); err != nil {
				t.Fatal(err)
			}
			if a := b.onTheWay(); !strings.Contains(a.body, says) {
				t.Errorf("the page does not say %q:\n%s", says, a.body)
			}
			if strings.Contains(b.get("/_gate/login").body, saysNothing) {
				t.Error("the page says it again when it is loaded again")
			}
		})
	}
	t.Run("led by a script", func(t *testing.T) {
		t.Parallel()
		g := newGate(t)
		b := g.browser(t).signIn("alice", alicesPassword)
		if _, err := g.manager.RevokeUser(t.Context(), "alice", "revoked", nil); err != nil {
			t.Fatal(err)
		}
		fetch := b.request(http.MethodGet, "/app", nil)
		fetch.Header.Set("Accept", "application/json")
		if a := b.do(fetch); a.StatusCode != http.StatusUnauthorized || b.cookies()["gatehouse_notice"] != "" {
			t.Fatalf("%s, %q", a.Status, a.Header["Set-Cookie"])
		}
		if a := b.get("/_gate/login?next=/app"); !strings.Contains(a.body, saysRevoked) {
			t.Errorf("the page does not say %q:\n%s", saysRevoked, a.body)
		}
	})
}

func TestLoginPageSaysThatTheSessionWasIdle(t *testing.T) {
	t.Parallel()
	g := newGate(t, func(g *gate) { g.age = 300 * time.Millisecond })
	b := g.browser(t).signIn("alice", alicesPassword)
	for strings.Contains(b.get("/_gate/session").body, `"authenticated":true`) {
		time.Sleep(20 * time.Millisecond)
	}
	if a := b.onTheWay(); !strings.Contains(a.body, saysIdle) {
		t.Errorf("the page does not say %q:\n%s", saysIdle, a.body)
	}
}

func TestLoginPageSaysOnceThatSomebodyHasSignedOut(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	b := g.browser(t).signIn("alice", alicesPassword)
	b.post("/_gate/logout", "csrf_token", b.token("/_gate/logout"), "next", "/app").want(t, http.StatusSeeOther, "/app")
	for _, want := range []bool{true, false} {
		if strings.Contains(b.onTheWay().body, saysLogout) != want {
			t.Errorf("says that they have signed out: %v; want %v", !want, want)
		}
	}
	b.signIn("alice", alicesPassword)
	if strings.Contains(b.get("/_gate/login").body, saysNothing) {
		t.Error("the page says something to somebody who is signed in")
	}
}

// A session's end is told to whoever has its cookie. Who has none, or one that
// we did not sign, learns nothing; neither does somebody whose session was
// nobody's, since they were never signed in.
func TestStrangersLearnNothingOfSessionsThatEnded(t *testing.T) {
	t.Parallel()
	g := newGate(t)
	stranger := g.browser(t)
	if strings.Contains(stranger.onTheWay().body, saysNothing) {
		t.Error("the page tells something to somebody without cookies")
	}
	other := newGate(t, func(g *gate) { g.secrets = [][]byte{[]byte("another secret, of 32 bytes or so")} })
	foreign := other.browser(t).signIn("alice", alicesPassword).cookies()["gatehouse"]
	for _, value := range []string{foreign, "x"} {
		stranger.setCookie("gatehouse", value)
		if strings.Contains(stranger.onTheWay().body, saysNothing) {
			t.Errorf("the page tells something to somebody with the cookie %q", value)
		}
	}

	long := g.browser(t)
	long.get("/app?" + strings.Repeat("x", 3000)) // kept in a session of nobody's
	if long.cookies()["gatehouse"] == "" {
		t.Fatal("no session was made")
	}
	for i, err := range g.manager.List(t.Context(), sessions.Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		if _, err := g.manager.Revoke(t.Context(), i.Key, "revoked"); err != nil {
			t.Fatal(err)
		}
	}
	if strings.Contains(long.onTheWay().body, saysNothing) {
		t.Error("the page tells somebody who was never signed in that they are not any more")
	}
}
