package auth_test

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/auth"
	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
)

// Characters that nobody sees would make two accounts one to whoever reads.
func TestInvisibleCharactersAreRefused(t *testing.T) {
	for what, r := range map[string]rune{
		"Braille blank": '\u2800', "Hangul filler": '\u3164', "half-width Hangul filler": '\uffa0', "Hangul choseong filler": '\u115f',
		"combining grapheme joiner": '\u034f', "variation selector": '\ufe0f', "variation selector supplement": '\U000e0100', "Khmer vowel": '\u17b4',
		"Mongolian variation selector": '\u180b', "soft hyphen": '\u00ad', "zero width space": '\u200b', "tag": '\U000e0041', "unassigned ignorable": '\U000e0fff',
	} {
		for _, name := range []string{"ali" + string(r) + "ce", string(r), "alice" + string(r)} {
			if got, err := auth.NormalizeName(name); err == nil {
				t.Errorf("%s: %q is taken as %q", what, name, got)
			}
		}
	}
	for _, name := range []string{"zoë", "김철수", "आलिया", "أليس", "alice smith"} {
		if _, err := auth.NormalizeName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestTwinsLookAlike(t *testing.T) {
	for _, c := range [][2]string{
		{"alice", "Alice"}, {"alice", "аlice"}, {"alice", "aIice"}, {"zoe", "zoë"}, {"bob", "b0b"}, {"bernd", "bemd"}, {"ΑΝΝΑ", "anna"}, {"ibrahim", "İbrahım"},
	} {
		if auth.Look(c[0]) != auth.Look(c[1]) {
			t.Errorf("%q and %q are no twins: %q, %q", c[0], c[1], auth.Look(c[0]), auth.Look(c[1]))
		}
	}
	for _, c := range [][2]string{{"alice", "alicia"}, {"bob", "rob"}, {"anna", "hanna"}, {"김철수", "김철호"}} {
		if auth.Look(c[0]) == auth.Look(c[1]) {
			t.Errorf("%q and %q are twins", c[0], c[1])
		}
	}
}

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
	for what, how := range map[string]auth.UsernameConfig{
		"neither": {}, "case": {FoldCase: true}, "address": {Email: true}, "both": {FoldCase: true, Email: true},
	} {
		t.Run(what, func(t *testing.T) {
			g := newGate(t, func(g *gate) { g.username = how })
			add := func(name, email string) {
				t.Helper()
				hash, err := g.hasher.Hash(t.Context(), alicesPassword)
				if err == nil {
					err = g.database.Add(t.Context(), auth.Account{Name: name, Email: email, PasswordHash: hash})
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

// Accounts of the file are found as well as those of the database.
func TestAliasesOfTheFile(t *testing.T) {
	file, err := auth.FileAccounts([]auth.UserConfig{{Name: "Bob", Email: "bob@example.com", PasswordHash: secret.New(someHash)}})
	if err != nil {
		t.Fatal(err)
	}
	d, _ := openDB(t, filepath.Join(t.TempDir(), "a.db"))
	both := auth.InOrder(file, d)
	for text, email := range map[string]bool{"bOB": false, "Bob@Example.com": true} {
		if err := auth.FindAlias(t.Context(), both, email, text, "Bob"); err != nil {
			t.Error(err)
		}
	}
}

// All spellings of a name are one to the throttle (CVE-2025-24806).
func TestSpellingsShareABucket(t *testing.T) {
	g := newGate(t, theDefaults, func(g *gate) { g.username = auth.UsernameConfig{FoldCase: true, Email: true} })
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

// An account whose name is refused now can still be deleted.
func TestDeleteANameThatIsRefused(t *testing.T) {
	d, _ := openDB(t, filepath.Join(t.TempDir(), "a.db"))
	name := "ali\u2800ce"
	if err := d.AddAnyName(t.Context(), name, someHash); err != nil {
		t.Fatal(err)
	}
	if err := d.Delete(t.Context(), name); err != nil {
		t.Error(err)
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
		var c auth.LoginConfig
		c.SetDefaults()
		c.PasswordMin = n
		var found problem.List
		c.Check(&found)
		if got := strings.Repeat("bad", len(found.Errors)) + strings.Repeat("warn", len(found.Warnings)); got != wants {
			t.Errorf("password_min %d: %q, want %q", n, got, wants)
		}
	}
}
