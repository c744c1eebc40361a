//go:build e2e

package gate_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"gatehouse/internal/e2e"
)

// ours writes the constructs of the cases, whose keys are placeholders, with
// the keys of this program.
var ours = []struct{ theirs, ours string }{
	{`(?m)^session: \{idle: ([^,}]*), absolute: ([^}]*)\}`, `session: {idle_timeout: $1, max_age: $2}`},
	{`(?m)^session: \{idle: ([^}]*)\}`, `session: {idle_timeout: $1}`},
	{`(?m)^session: \{absolute: ([^}]*)\}`, `session: {max_age: $1}`},
	{`(?m)^session: \{key: ([^}]*)\}`, `session: {secrets: [$1]}`},
	{`(?m)^password: \{bcrypt_cost: (\d+)\}`, `users: [{name: alice, password_hash: "$$2b$$$1$$......................................................"}]`},
	{`(?m)^password: \{argon2_memory_kib: (\d+)\}`, `users: [{name: alice, password_hash: "$$argon2id$$v=19$$m=$1,t=1,p=1$$c29tZXNhbHRzb21lc2FsdA$$c29tZWtleXNvbWVrZXlzb21la2V5c29tZWtleXNvbWU"}]`},
	{`(?m)^users: \{alice: \{(?:password|hash): ([^}]*)\}\}`, `users: [{name: alice, password_hash: $1}]`},
	{`(?m)^rules: \[\{path: ([^,]*), access: public\}\]`, `routes: [{upstream: "http://127.0.0.1:1", access: [{path: $1, public: true}]}]`},
	{`(?m)^upstream: (.*)$`, `routes: [{upstream: $1}]`},
	{`(?m)^user_header: (.*)$`, `identity: {headers: {$1: username}}`},
	{`(?m)^hosts: \[([^\]]*)\]`, `routes: [{host: $1, upstream: "http://127.0.0.1:1"}]`},
	{`(?m)^  (\S+): \{hash: x\}`, `  - {name: $1, password_hash: "HASH"}`},
}

// translated is a case as this program would be given it, and complete but
// for the mistake that the case is about.
func translated(text, hash string) string {
	if strings.TrimSpace(text) == "" {
		return text
	}
	for _, o := range ours {
		text = regexp.MustCompile(o.theirs).ReplaceAllString(text, o.ours)
	}
	text = strings.ReplaceAll(text, "HASH", hash)
	for _, section := range []string{"version: 1", "routes: [{upstream: \"http://127.0.0.1:2\"}]"} {
		key, _, _ := strings.Cut(section, ":")
		if !regexp.MustCompile(`(?m)^(\x{feff})?` + key + ":").MatchString(text) {
			text = strings.TrimRight(text, "\n") + "\n" + section + "\n"
		}
	}
	return text
}

// TestConfigCases checks each file, and lets a running gate reload it.
func TestConfigCases(t *testing.T) {
	t.Parallel()
	gate := e2e.Start(t, e2e.HTTP1, e2e.Standard(e2e.Serve(t, "good")))
	alice := gate.Browser(t)
	alice.Login("alice", e2e.Password)
	hash := strings.TrimSpace(gate.Must(t, e2e.Password+"\n", "hash"))
	for _, r := range table(t, filepath.Join("config", "INDEX.tsv")) {
		t.Run(filepath.Base(r["file"]), func(t *testing.T) {
			raw, err := os.ReadFile(filepath.Join(e2e.CasesDir(), r["file"]))
			if err != nil {
				t.Fatal(err)
			}
			text := translated(string(raw), hash)
			file := filepath.Join(t.TempDir(), "case.yaml")
			if err := os.WriteFile(file, []byte(text), 0o600); err != nil { //nolint:gosec // a file of the test's own
				t.Fatal(err)
			}
			out, code := check(t, file)
			if err := meets(r["expected"], string(raw), out, code); err != nil {
				t.Errorf("%s: want %s\n%v\nexit status %d\n%.1000s", r["tries"], r["expected"], err, code, out)
			}
			if code == 0 {
				return
			}
			if err := os.WriteFile(gate.ConfigFile(), []byte(text), 0o600); err != nil { //nolint:gosec // a file of the test's own
				t.Fatal(err)
			}
			before := len(gate.Log())
			gate.Signal(t, syscall.SIGHUP)
			e2e.Eventually(t, func() error {
				if len(gate.Log()) == before {
					return errors.New("the running gate says nothing about the reload")
				}
				return nil
			})
			if a := alice.Fetch("/private"); a.Status != http.StatusOK || a.Body != "good" {
				t.Errorf("the running gate: %d %q", a.Status, a.Body)
			}
			if strings.Contains(gate.Log(), "user:pw") {
				t.Error("a password is in the log")
			}
		})
	}
}

// measure runs a command and says how much memory and processor time it took.
// The test itself cannot: the kernel counts what a process had before it
// became another e2e.Program(), which would be the memory of all tests. Time on the
// wall would be that of whatever else the machine does.
const measure = `import resource, subprocess, sys
code = subprocess.run(sys.argv[1:]).returncode
used = resource.getrusage(resource.RUSAGE_CHILDREN)
print("took", used.ru_maxrss, "KiB", int(1000 * (used.ru_utime + used.ru_stime)), "ms")
sys.exit(code)`

var took = regexp.MustCompile(`took (\d+) KiB (\d+) ms\n$`)

// check runs `gatehouse check`, which has to be quick and small whatever the
// file holds.
func check(t *testing.T, file string) (out string, code int) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "/usr/bin/python3", "-c", measure, e2e.Program(), "check", "--config", file) //nolint:gosec // the program under test
	both, _ := cmd.CombinedOutput()                                                                                      // the exit status is looked at
	size := took.FindSubmatch(both)
	if size == nil {
		t.Fatalf("python3: %s", both)
	}
	if kib, _ := strconv.Atoi(string(size[1])); kib > 64<<10*e2e.Slower() {
		t.Errorf("check took %d MiB", kib>>10)
	}
	if ms, _ := strconv.Atoi(string(size[2])); ms > 1000*e2e.Slower() {
		t.Errorf("check took %d ms", ms)
	}
	return took.ReplaceAllString(string(both), ""), cmd.ProcessState.ExitCode()
}

var place = regexp.MustCompile(`case\.yaml:\d+: `)

// meets says whether the program did what a row expects, in the row's words.
func meets(expected, raw, out string, code int) error {
	refused := code == 78 && place.MatchString(out) || code == 78 && strings.TrimSpace(raw) == "" && strings.Contains(out, "case.yaml")
	warned := code == 0 && strings.Contains(out, "warning")
	ok := code == 0
	fail := func(right bool, what string) error {
		if !right {
			return fmt.Errorf("it is not %s", what)
		}
		return nil
	}
	switch {
	case strings.Contains(expected, "names the key and the nearest"):
		key, _, _ := strings.Cut(raw, ":")
		return fail(refused && strings.Contains(out, key) && regexp.MustCompile(`"?listen"?`).MatchString(strings.ReplaceAll(out, key, "")), "refused with a suggestion")
	case strings.HasPrefix(expected, "refused with the"):
		return fail(refused && !strings.Contains(out, "user:pw"), "refused with file and line")
	case strings.HasPrefix(expected, "refused"), strings.HasPrefix(expected, "warning"):
		return fail(refused || warned || strings.Contains(raw, "mode 0644"), "refused or warned of") // TestModeOfASecretFile looks at the mode
	case strings.HasPrefix(expected, "kept"):
		return fail(refused || ok, "kept or refused") // TestNamesStayAsWritten looks at the names
	default:
		return fail(ok, "accepted")
	}
}

// TestNamesStayAsWritten: what YAML would take for something else is a name
// here.
func TestNamesStayAsWritten(t *testing.T) {
	t.Parallel()
	gate := e2e.Start(t, e2e.HTTP1, e2e.Standard(e2e.Serve(t, "app")))
	hash := strings.TrimSpace(gate.Must(t, e2e.Password+"\n", "hash"))
	names := []string{"no", "1e3", "0x10", "010", "1.50", "yes", "2024-01-01"}
	var text strings.Builder
	text.WriteString("users:\n")
	for _, name := range names {
		fmt.Fprintf(&text, "  - {name: %s, password_hash: %q}\n", name, hash)
	}
	gate.Configure(t, text.String()+e2e.Standard(e2e.Serve(t, "app")))
	gate.Must(t, "", "reload")
	for _, name := range names {
		b := gate.Browser(t)
		b.Login(name, e2e.Password)
		if got := b.SignedInAs(); got != name {
			t.Errorf("%s is signed in as %q", name, got)
		}
	}
}

// TestModeOfASecretFile: a file with secrets in it that others may read is
// warned of or refused.
func TestModeOfASecretFile(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "case.yaml")
	text := translated("session: {secrets: [\"Zt8Jq3vN1xWmB6yKc0RfHs5LdUaPgE2o\"]}\n", "")
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := check(t, file); code != 0 || strings.Contains(out, "warning") {
		t.Errorf("mode 0600: exit status %d\n%s", code, out)
	}
	if err := os.Chmod(file, 0o644); err != nil { //nolint:gosec // that it is too open is the subject
		t.Fatal(err)
	}
	if out, code := check(t, file); code == 0 && !strings.Contains(out, "warning") {
		t.Errorf("mode 0644: exit status %d\n%s", code, out)
	}
}
