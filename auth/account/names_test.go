package account_test

import (
	"path/filepath"
	"testing"

	"gatehouse/auth/account"
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
			if got, err := account.NormalizeName(name); err == nil {
				t.Errorf("%s: %q is taken as %q", what, name, got)
			}
		}
	}
	for _, name := range []string{"zoë", "김철수", "आलिया", "أليس", "alice smith"} {
		if _, err := account.NormalizeName(name); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
}

func TestTwinsLookAlike(t *testing.T) {
	for _, c := range [][2]string{
		{"alice", "Alice"}, {"alice", "аlice"}, {"alice", "aIice"}, {"zoe", "zoë"}, {"bob", "b0b"}, {"bernd", "bemd"}, {"ΑΝΝΑ", "anna"}, {"ibrahim", "İbrahım"},
	} {
		if account.Look(c[0]) != account.Look(c[1]) {
			t.Errorf("%q and %q are no twins: %q, %q", c[0], c[1], account.Look(c[0]), account.Look(c[1]))
		}
	}
	for _, c := range [][2]string{{"alice", "alicia"}, {"bob", "rob"}, {"anna", "hanna"}, {"김철수", "김철호"}} {
		if account.Look(c[0]) == account.Look(c[1]) {
			t.Errorf("%q and %q are twins", c[0], c[1])
		}
	}
}

// Accounts of the file are found as well as those of the database.
func TestAliasesOfTheFile(t *testing.T) {
	file, err := account.FileSource(cheap, []account.UserConfig{{Name: "Bob", Email: "bob@example.com", PasswordHash: secret.New(someHash)}})
	if err != nil {
		t.Fatal(err)
	}
	d, _ := openDB(t, filepath.Join(t.TempDir(), "a.db"))
	both := account.InOrder(cheap, file, d.Source(cheap, nil))
	for text, email := range map[string]bool{"bOB": false, "Bob@Example.com": true} {
		if err := account.FindAlias(t.Context(), both, email, text, "Bob"); err != nil {
			t.Error(err)
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
