package portal_test

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"testing"

	"gatehouse/auth/account"
)

const resetPassword = "what the administrator has set"

// meanwhile has change done once, after the account was read and while its
// password is being checked.
func (g *gate) meanwhile(change func()) {
	var once sync.Once
	g.work(func(float64) { once.Do(change) })
}

// reset is what gatehouse user passwd does.
func (g *gate) reset(tb testing.TB, name string) {
	tb.Helper()
	hash, err := g.hasher.Hash(context.Background(), resetPassword)
	if err == nil {
		_, err = g.database.SetPassword(context.Background(), name, hash)
	}
	if err == nil {
		_, err = g.manager.RevokeUser(context.Background(), name, "password", nil)
	}
	if err != nil {
		tb.Error(err)
	}
}

func (g *gate) disable(tb testing.TB, disabled bool) {
	tb.Helper()
	err := g.database.Change(context.Background(), "alice", func(a *account.Account) error { a.Disabled = disabled; return nil })
	if err == nil && disabled {
		_, err = g.manager.RevokeUser(context.Background(), "alice", "account", nil)
	}
	if err != nil {
		tb.Error(err)
	}
}

// An intruder who knows the old password posts a new one again and again; the
// administrator resets the password meanwhile. The reset stands, the intruder
// is out, and is told.
func TestResetIsNotUndoneByTheIntruder(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *gate){
		"reset":    func(t *testing.T, g *gate) { t.Helper(); g.reset(t, "alice") },
		"disabled": func(t *testing.T, g *gate) { t.Helper(); g.disable(t, true) },
		"deleted": func(t *testing.T, g *gate) {
			t.Helper()
			if err := g.database.Delete(context.Background(), "alice"); err != nil {
				t.Error(err)
			}
		},
		"session revoked": func(t *testing.T, g *gate) {
			t.Helper()
			if _, err := g.manager.RevokeUser(context.Background(), "alice", "revoked", nil); err != nil {
				t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t)
			intruder := g.browser(t).signIn("alice", alicesPassword)
			token := intruder.token("/_gate/")
			g.meanwhile(func() { change(t, g) })
			a := intruder.post("/_gate/password", "csrf_token", token, "old_password", alicesPassword,
				"new_password", "the intruder wants this one", "new_password_again", "the intruder wants this one")
			a.want(t, http.StatusConflict, "")
			if !strings.Contains(a.body, "Your account was changed elsewhere at the same time.") || !strings.Contains(a.body, `name="username"`) {
				t.Errorf("the page does not say what happened:\n%s", a.body)
			}
			if intruder.who() != "" {
				t.Error("the intruder is signed in still")
			}
			if n, err := g.store.Count(t.Context()); n != 0 || err != nil {
				t.Errorf("%d sessions are left, %v", n, err)
			}
			g.browser(t).login("alice", "the intruder wants this one").want(t, http.StatusUnauthorized, "")
			if name == "reset" {
				g.browser(t).signIn("alice", resetPassword)
			}
			if text := g.log.String(); strings.Contains(text, "password.changed") {
				t.Errorf("the log says that it was changed:\n%s", text)
			}
		})
	}
}

// A login that has read the account before it was changed, and comes through
// after it, is none. Nothing of it is left to count again later.
func TestLoginThatIsOvertaken(t *testing.T) {
	for name, change := range map[string]func(*testing.T, *gate){
		"reset":                      func(t *testing.T, g *gate) { t.Helper(); g.reset(t, "alice") },
		"disabled":                   func(t *testing.T, g *gate) { t.Helper(); g.disable(t, true) },
		"disabled and enabled again": func(t *testing.T, g *gate) { t.Helper(); g.disable(t, true); g.disable(t, false) },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t)
			b := g.browser(t)
			token := b.token("/_gate/login")
			g.meanwhile(func() { change(t, g) })
			a := b.post("/_gate/login", "csrf_token", token, "username", "alice", "password", alicesPassword).want(t, http.StatusUnauthorized, "")
			if !strings.Contains(a.body, "The name or the password is not right.") {
				t.Errorf("the page says something else:\n%s", a.body)
			}
			if n, err := g.store.Count(t.Context()); n != 0 || err != nil || b.who() != "" {
				t.Errorf("%d sessions are left, %v", n, err)
			}
			if text := g.log.String(); strings.Contains(text, "login.success") {
				t.Errorf("the log says success:\n%s", text)
			}
		})
	}
}

// Sessions from before an account was disabled do not count again after it was
// enabled, whether or not anybody has used them meanwhile.
func TestDisabledAndEnabledAgain(t *testing.T) {
	g := newGate(t)
	b := g.browser(t).signIn("alice", alicesPassword)
	for _, disabled := range []bool{true, false} {
		err := g.database.Change(t.Context(), "alice", func(a *account.Account) error { a.Disabled = disabled; return nil })
		if err != nil {
			t.Fatal(err)
		}
	}
	if b.who() != "" {
		t.Error("the session counts again")
	}
	g.browser(t).signIn("alice", alicesPassword)
}
