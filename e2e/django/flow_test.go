//go:build e2e

package django_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"gatehouse/internal/e2e"
)

// login-flow.tsv says what Django answers, step by step, to people who sign
// in and out and use a session meanwhile. Each row is played over HTTP against
// one of three sites:
//
//   - the gate: the built e2e.Program(), with an application behind it;
//   - the views: an application made of the packages sessions and auth, for rows
//     that read and write data of the session (/session/...), which the gate
//     has no page for;
//   - Django behind the gate, for rows about the user in a header (LEGACY_AUTH).
//
// Names are translated (flow_translate_test.go). Where Gatehouse answers
// otherwise on purpose, a rule says what it answers (flow_rules_test.go), and
// that is checked instead.

// A flowRow is one line of the file.
type flowRow struct {
	id              string
	settings        map[string]any
	steps, expected []string
	older           string // the version of Django before which it held
}

// TestLoginFlow plays every row. GATEHOUSE_CASES names a folder with other
// rows; ours, which the file leaves out, run in any case. Which behaviours the
// rows belong to stands in django-rows.tsv.
func TestLoginFlow(t *testing.T) {
	t.Parallel()
	rows := append(readFlow(t, filepath.Join(e2e.CasesDir(), "login-flow.tsv")), readFlow(t, filepath.Join("testdata", "login-flow-more.tsv"))...)
	shared, used := newFlowGates(t, rows), new(sync.Map)
	t.Cleanup(func() { checkRules(t, used) })
	for _, row := range rows {
		t.Run(row.id, func(t *testing.T) {
			t.Parallel()
			if row.older != "" {
				t.Logf("of Django before %s alone", row.older)
				return
			}
			switch {
			case row.settings["LEGACY_AUTH"] == "remote", row.settings["LEGACY_AUTH"] == "persistent":
				play(t, row, used, shared.withDjango(t, row))
			case row.wantsViews():
				synctest.Test(t, func(t *testing.T) { play(t, row, used, newFlowViews(t, row)) })
			default:
				play(t, row, used, shared.plain(t, row))
			}
		})
	}
}

// changesAccounts says whether the row needs accounts in the database.
func (r *flowRow) changesAccounts() bool {
	text := strings.Join(r.steps, " ; ")
	for _, step := range []string{"SETPW", "ACTIVATE", "DELUSER", "/password/"} { // DEACTIVATE as well
		if strings.Contains(text, step) {
			return true
		}
	}
	return false
}

// checkRules fails for a rule that no row needed, and for one whose reason is
// not in the manual.
func checkRules(t *testing.T, used *sync.Map) {
	t.Helper()
	manual, err := os.ReadFile(filepath.Join("docs", "sessions.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := !strings.Contains(flag.Lookup("test.run").Value.String(), "/") && os.Getenv("GATEHOUSE_CASES") == ""
	for _, r := range flowRules {
		if _, ok := used.Load(r.name); !ok && all {
			t.Errorf("no row needs the rule %s", r.name)
		}
		if !strings.Contains(string(manual), "| `"+r.name+"` |") {
			t.Errorf("docs/sessions.md gives no reason for %s", r.name)
		}
	}
}

// wantsViews says whether the row uses the data of a session, or an account as
// it cannot be made at the command line.
func (r *flowRow) wantsViews() bool {
	text := strings.Join(r.steps, " ; ")
	return strings.Contains(text, " /session/") || strings.Contains(text, " /counter") || strings.Contains(text, "PASSWORD_HASHERS") || r.settings["PASSWORD_HASHERS"] != nil
}

// users are the accounts that the row speaks of.
func (r *flowRow) users() (names []string) {
	text := strings.Join(r.steps, " ") + " " + strings.Join(r.expected, " ")
	for _, name := range []string{"alice", "bob"} {
		if strings.Contains(text, name) || strings.Contains(text, "ａ"+name[1:]) || strings.Contains(strings.ToLower(text), name) {
			names = append(names, name)
		}
	}
	return names
}

func readFlow(t *testing.T, file string) (rows []flowRow) {
	t.Helper()
	text, err := os.ReadFile(file) //nolint:gosec // the folder is the tester's choice
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimRight(string(text), "\n"), "\n") {
		f := strings.Split(strings.TrimSuffix(line, "\r"), "\t")
		if i == 0 || line == "" {
			continue
		}
		if len(f) < 4 {
			t.Fatalf("%s:%d: %d columns", file, i+1, len(f))
		}
		row := flowRow{id: f[0], settings: map[string]any{}, steps: strings.Split(f[2], " ; "), expected: strings.Split(f[3], " ; ")}
		if len(f) > 5 {
			row.older, _ = strings.CutPrefix(f[5], "-")
			if row.older == f[5] {
				row.older = ""
			}
		}
		if err := change(row.settings, f[1]); err != nil {
			t.Fatalf("%s:%d: %v", file, i+1, err)
		}
		if len(row.steps) != len(row.expected) {
			t.Fatalf("%s:%d: %d steps, %d values", file, i+1, len(row.steps), len(row.expected))
		}
		rows = append(rows, row)
	}
	if len(rows) == 0 {
		t.Fatalf("%s has no rows", file)
	}
	return rows
}

var settingName = regexp.MustCompile(`(?:^| )([A-Z][A-Z_]+)=`)

// change puts NAME=value pairs, separated by spaces, into the settings. The
// values are JSON, - removes one, and what is no JSON is a word.
func change(settings map[string]any, text string) error {
	text = strings.TrimSpace(text)
	at := settingName.FindAllStringSubmatchIndex(text, -1)
	if len(at) == 0 && text != "" {
		return fmt.Errorf("%q is no setting", text)
	}
	for i, m := range at {
		end := len(text)
		if i+1 < len(at) {
			end = at[i+1][0]
		}
		name, value := text[m[2]:m[3]], strings.TrimSpace(text[m[1]:end])
		if value == "-" {
			delete(settings, name)
			continue
		}
		var v any
		if json.Unmarshal([]byte(value), &v) != nil {
			v = value
		}
		settings[name] = v
	}
	return nil
}

// known are the settings that mean something here; a row with another one
// must not pass by chance.
var known = []string{
	"AUTHENTICATION_BACKENDS", "LEGACY_AUTH", "LOGIN_REDIRECT_URL", "LOGIN_URL", "LOGOUT_REDIRECT_URL", "PASSWORD_HASHERS",
	"SECRET_KEY", "SECRET_KEY_FALLBACKS", "SESSION_COOKIE_AGE", "SESSION_COOKIE_DOMAIN", "SESSION_COOKIE_HTTPONLY", "SESSION_COOKIE_NAME",
	"SESSION_COOKIE_PATH", "SESSION_COOKIE_SAMESITE", "SESSION_COOKIE_SECURE", "SESSION_ENGINE", "SESSION_EXPIRE_AT_BROWSER_CLOSE", "SESSION_SAVE_EVERY_REQUEST",
}

func checkKnown(t *testing.T, settings map[string]any) {
	t.Helper()
	for name := range settings {
		if !slices.Contains(known, name) {
			t.Fatalf("the setting %s is not known", name)
		}
	}
}

// A setting as it is, or the zero value of what it should be.
func settingOf[T any](settings map[string]any, name string) T {
	v, _ := settings[name].(T)
	return v
}

// seconds of a setting; 0: not set.
func seconds(settings map[string]any, name string) int {
	return int(settingOf[float64](settings, name))
}

// secretsOf are the keys of SECRET_KEY and SECRET_KEY_FALLBACKS: text of 40
// bytes that the words lead to.
func secretsOf(settings map[string]any) []string {
	words := []string{"legacy-app-test-key-not-a-secret"}
	if s := settingOf[string](settings, "SECRET_KEY"); s != "" {
		words[0] = s
	}
	for _, s := range settingOf[[]any](settings, "SECRET_KEY_FALLBACKS") {
		words = append(words, fmt.Sprint(s))
	}
	for i, w := range words {
		words[i] = flowSecret(w)
	}
	return words
}
