package portal_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gatehouse/auth/account"
	"gatehouse/internal/secret"
	"gatehouse/internal/web"
	"gatehouse/sessions"
)

// What is under way is asked about by the key of its session: when the account
// behind it moves, by whatever hand, it counts no more, and the session ends.
func TestCountsFollowsTheAccount(t *testing.T) {
	ctx := t.Context()
	for name, change := range map[string]func(g *gate, key string) error{
		"deleted": func(g *gate, _ string) error { return g.database.Delete(ctx, "alice") },
		"disabled": func(g *gate, _ string) error {
			return g.database.Change(ctx, "alice", func(a *account.Account) error { a.Disabled = true; return nil })
		},
		"another password": func(g *gate, _ string) error {
			h, err := g.hasher.Hash(ctx, "another good password")
			if err == nil {
				_, err = g.database.SetPassword(ctx, "alice", h)
			}
			return err
		},
		"the session has ended": func(g *gate, key string) error { _, err := g.store.Delete(ctx, key); return err },
	} {
		t.Run(name, func(t *testing.T) {
			g := newGate(t)
			session := g.browser(t).signIn("alice", alicesPassword).session()
			if ok, err := g.auth.Counts(ctx, session); !ok || err != nil {
				t.Fatalf("before: %t, %v", ok, err)
			}
			if err := change(g, session.Key); err != nil {
				t.Fatal(err)
			}
			if ok, err := g.auth.Counts(ctx, session); ok || err != nil {
				t.Errorf("after: %t, %v; want no", ok, err)
			}
			if n, err := g.store.Count(ctx); n != 0 || err != nil {
				t.Errorf("%d sessions are left, %v", n, err)
			}
			if log := g.log.String(); strings.Contains(log, "invalid IP") {
				t.Errorf("an event of no request names an address:\n%s", log)
			}
		})
	}
}

// What does not concern the session, and what cannot be told, ends nothing.
func TestCountsCannotTell(t *testing.T) {
	g := newGate(t)
	session := g.browser(t).signIn("alice", alicesPassword).session()
	for name, change := range map[string]func() error{
		"other groups": func() error {
			return g.database.Change(t.Context(), "alice", func(a *account.Account) error { a.Groups = nil; return nil })
		},
		"a better hash of the same password": func() error {
			old, err := g.database.Account(t.Context(), "alice")
			if err != nil {
				return err
			}
			return g.database.Upgrade(t.Context(), "alice", old.PasswordHash, secret.New(old.PasswordHash.Reveal()))
		},
	} {
		if err := change(); err != nil {
			t.Fatal(err)
		}
		if ok, err := g.auth.Counts(t.Context(), session); !ok || err != nil {
			t.Errorf("%s: %t, %v; want yes", name, ok, err)
		}
	}
	g.down.Store(true)
	if ok, err := g.auth.Counts(t.Context(), session); ok || err == nil {
		t.Errorf("while the accounts are down: %t, %v; want an error", ok, err)
	}
	g.down.Store(false)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, _ = g.auth.Counts(gone, session)
	if ok, err := g.auth.Counts(t.Context(), session); !ok || err != nil {
		t.Errorf("after all of that: %t, %v; want yes", ok, err)
	}
}

// session returns what the gate has found of the browser's session.
func (b *browser) session() sessions.Info {
	b.t.Helper()
	r := httptest.NewRequestWithContext(b.t.Context(), http.MethodGet, "/app", nil)
	for name, value := range b.cookies() {
		r.AddCookie(&http.Cookie{Name: name, Value: value}) //nolint:gosec // G124: what a browser sends
	}
	id, err := b.g.auth.Identify(r.WithContext(web.With(r.Context(), &web.Info{Scheme: "http"})))
	if id == nil || err != nil {
		b.t.Fatalf("nobody is signed in: %v", err)
	}
	return id.Session
}
