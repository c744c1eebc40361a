//go:build e2e

package django_test

import (
	"net/http"
	"testing"

	"gatehouse/internal/e2e"
)

// anyoneMaySee is a route where the page that says who asks is for everybody.
func anyoneMaySee(upstream, how string) string {
	return `
routes:
  - upstream: ` + upstream + `
    access:
      - {path: /whoami, ` + how + `: true}
      - {}
`
}

// TestDjangoOptional shows what the page for Django says: with an optional
// rule, RemoteUserMiddleware knows who is signed in, and nobody else.
func TestDjangoOptional(t *testing.T) {
	t.Parallel()
	app := startDjango(t)
	gate := e2e.Start(t, e2e.HTTP1, anyoneMaySee(app, "optional"))
	says := func(b *e2e.Browser) string {
		t.Helper()
		var me whoami
		a := b.Visit("/whoami", "X-Forwarded-User: bob", "X_Forwarded_User: bob")
		if a.JSON(t, &me); a.Header.Get("Vary") == "" {
			t.Errorf("the answer does not vary: %v", a.Header)
		}
		return me.User
	}
	alice := gate.Browser(t)
	if got := says(alice); got != "" {
		t.Errorf("nobody is signed in, and the application says %q", got)
	}
	if a := alice.Visit("/counter"); a.Status != http.StatusFound {
		t.Errorf("the rest of the application: %d, want the login", a.Status)
	}
	alice.Login("alice", e2e.Password)
	var counter struct{ N int }
	for want := range 3 { // the page for everybody ends no session of the application
		if got := says(alice); got != "alice" {
			t.Errorf("signed in: %q", got)
		}
		if alice.Visit("/counter").JSON(t, &counter); counter.N != want+1 {
			t.Errorf("the session of the application counted to %d, want %d", counter.N, want+1)
		}
	}
	alice.Logout()
	if got := says(alice); got != "" {
		t.Errorf("after logout the application says %q", got)
	}
	alice.Login("alice", e2e.Password)
	if got := says(alice); got != "alice" {
		t.Errorf("signed in again: %q", got)
	}
	gate.Must(t, "", "session", "revoke", "--user", "alice")
	if got := says(alice); got != "" {
		t.Errorf("after the revocation the application says %q", got)
	}
	alice.Login("alice", e2e.Password)
	says(alice)
	alice.Logout()
	alice.Login("bob", e2e.Password)
	if got := says(alice); got != "bob" {
		t.Errorf("after bob took over the browser the application says %q", got)
	}
}

// TestDjangoStaysSignedIn shows why the page for Django warns of public rules
// for pages of Django's, and of PersistentRemoteUserMiddleware.
func TestDjangoStaysSignedIn(t *testing.T) {
	t.Parallel()
	remote, persistent := startDjango(t), startDjango(t, "LEGACY_AUTH=persistent")
	for _, tt := range []struct {
		app, rule   string
		there, left string // whom the application sees while alice is signed in, and when she has left
		count       int    // of the application's session at the second visit
	}{
		{remote, "public", "", "", 1},
		{remote, "optional", "alice", "", 2},
		{persistent, "public", "alice", "alice", 2},
		{persistent, "optional", "alice", "alice", 2},
	} {
		alice := e2e.Start(t, e2e.HTTP1, anyoneMaySee(tt.app, tt.rule)).Browser(t)
		says := func() string {
			var me whoami
			alice.Visit("/whoami").JSON(t, &me)
			return me.User
		}
		alice.Login("alice", e2e.Password)
		var counter struct{ N int }
		alice.Visit("/counter").JSON(t, &counter)
		if got := says(); got != tt.there {
			t.Errorf("%+v: while she is signed in: %q", tt, got)
		}
		if alice.Visit("/counter").JSON(t, &counter); counter.N != tt.count {
			t.Errorf("%+v: the session of the application counted to %d", tt, counter.N)
		}
		alice.Logout()
		if got := says(); got != tt.left {
			t.Errorf("%+v: after logout: %q", tt, got)
		}
	}
}
