package portal_test

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/auth/account"
	"gatehouse/auth/portal"
	"gatehouse/internal/problem"
)

func TestSpacesAroundANameAreTakenAway(t *testing.T) {
	g := newGate(t)
	for _, name := range []string{" alice", "alice ", "\talice\u00a0", "\u3000alice\r\n"} {
		if b := g.browser(t).signIn(name, alicesPassword); b.who() != "alice" {
			t.Errorf("%q is %q", name, b.who())
		}
	}
	g.browser(t).login("ali ce", alicesPassword).want(t, http.StatusUnauthorized, "")
	g.browser(t).login(" ", alicesPassword).want(t, http.StatusUnauthorized, "")
}

func TestNamesInAnyCaseAndAddresses(t *testing.T) {
	for what, how := range map[string]account.UsernameConfig{
		"neither": {}, "case": {FoldCase: true}, "address": {Email: true}, "both": {FoldCase: true, Email: true},
	} {
		t.Run(what, func(t *testing.T) {
			g := newGate(t, func(g *gate) { g.username = how })
			add := func(name, email string) {
				t.Helper()
				hash, err := g.hasher.Hash(t.Context(), alicesPassword)
				if err == nil {
					err = g.database.Add(t.Context(), account.Account{Name: name, Email: email, PasswordHash: hash})
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			add("Straße", "")
			for name, want := range map[string]struct {
				who string
				ok  bool
			}{
				"alice": {"alice", true}, "ALICE": {"alice", how.FoldCase}, " Alice ": {"alice", how.FoldCase}, "STRASSE": {"Straße", how.FoldCase},
				"alice@example.com": {"alice", how.Email}, "Alice@Example.COM": {"alice", how.Email}, "@example.com": {"", false},
			} {
				b := g.browser(t)
				b.login(name, alicesPassword)
				if !want.ok {
					want.who = ""
				}
				if who := b.who(); who != want.who {
					t.Errorf("%q signs in as %q, want %q", name, who, want.who)
				}
			}
			// Where two fit, none does; the stored spelling always does.
			add("ALICE", "ALICE@example.com")
			if b := g.browser(t).signIn("ALICE", alicesPassword); b.who() != "ALICE" {
				t.Errorf("ALICE is %q", b.who())
			}
			for _, name := range []string{"aLiCe", "alice@example.com"} {
				g.browser(t).login(name, alicesPassword).want(t, http.StatusUnauthorized, "")
			}
			// A name that is another's address is a name.
			add("bob@example.com", "")
			add("dave", "bob@example.com")
			if b := g.browser(t).signIn("bob@example.com", alicesPassword); b.who() != "bob@example.com" {
				t.Errorf("bob@example.com is %q", b.who())
			}
		})
	}
}

// All spellings of a name are one to the throttle (CVE-2025-24806).
func TestSpellingsShareABucket(t *testing.T) {
	g := newGate(t, theDefaults, func(g *gate) { g.username = account.UsernameConfig{FoldCase: true, Email: true} })
	for _, names := range [][]string{{"alice", "ALICE", "alice@example.com", " Alice", "ALICE@EXAMPLE.COM"}, {"nobody", "NOBODY", "Nobody", " nobody", "noBody"}} {
		tried := 0
		for i := range 25 {
			if g.attacker(t, "192.0.2.1", names[i%5], "wrong").StatusCode == http.StatusUnauthorized {
				tried++
			}
		}
		if tried != 10 {
			t.Errorf("%s: %d tries", names[0], tried)
		}
	}
}

func TestPasswordMin(t *testing.T) {
	g := newGate(t, func(g *gate) { g.passwordMin = 20 })
	b := g.browser(t).signIn("alice", alicesPassword)
	change := func(password string) answer {
		return b.post("/_gate/password", "csrf_token", b.token("/_gate/"), "old_password", alicesPassword, "new_password", password, "new_password_again", password)
	}
	if a := change("only 19 characters!"); a.StatusCode != http.StatusUnprocessableEntity || !strings.Contains(a.body, "at least 20 characters") {
		t.Errorf("%s:\n%s", a.Status, a.body)
	}
	change("has 20 characters...").want(t, http.StatusSeeOther, "/_gate/")
	for n, wants := range map[int]string{7: "bad", 8: "warn", 14: "warn", 15: "", 64: "", 65: "bad", 0: "bad"} {
		var c portal.LoginConfig
		c.SetDefaults()
		c.PasswordMin = n
		var found problem.List
		c.Check(&found)
		if got := strings.Repeat("bad", len(found.Errors)) + strings.Repeat("warn", len(found.Warnings)); got != wants {
			t.Errorf("password_min %d: %q, want %q", n, got, wants)
		}
	}
}
