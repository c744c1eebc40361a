//go:build e2e

package docs_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/e2e"
)

// elsewhere are the commands that pages show and that are not run here: what
// other tests run, what installs, and what belongs to a whole machine.
var elsewhere = strings.Fields(`
	go git make                                   TestStranger, and whoever builds
	apt-get systemctl kill install mkdir chown chmod sudo ssh
	docker podman crontab logrotate
	gunicorn php puma node                        TestApplications
	openssl redis-cli psql pg_dump sed curl       of others
`)

// long are the commands that do not end, which other tests run. Here only
// their flags are looked at.
var long = []string{"gatehouse serve", "gatehouse demo"}

// TestShownCommands runs what the pages show of the command line, in order, beside
// a running gate with the account alice: every line of a block of sh that
// begins with gatehouse. In a block with prompts ("$ ") the output must be what
// the page shows, as that of a curl to the gate; there, ... stands for
// anything, and the number of spaces means nothing.
func TestShownCommands(t *testing.T) {
	t.Parallel()
	for _, page := range pages(t) {
		var shown []shownCommand
		for _, b := range blocks(t, page) {
			shown = append(shown, shownCommands(t, b)...)
		}
		if len(shown) == 0 {
			continue
		}
		t.Run(page, func(t *testing.T) {
			t.Parallel()
			s := newSandbox(t)
			for _, c := range shown {
				s.run(t, c)
			}
		})
	}
}

// A shownCommand is a line of a page that can be typed.
type shownCommand struct {
	at     string
	line   string
	output string // what is to come; "": anything, but it must succeed
}

func shownCommands(t *testing.T, b block) (all []shownCommand) {
	t.Helper()
	if b.lang != "sh" && b.lang != "console" || strings.HasPrefix(b.text, "#!") {
		return nil
	}
	console := strings.Contains("\n"+b.text, "\n$ ")
	var last *shownCommand // whose output comes next; nil: of one that is run elsewhere
	for i, line := range strings.Split(strings.ReplaceAll(b.text, "\\\n", " "), "\n") {
		command, prompt := strings.CutPrefix(line, "$ ")
		at := fmt.Sprintf("%s:%d", b.page, b.line+i+1)
		word, _, _ := strings.Cut(command, " ")
		switch {
		case console && !prompt:
			if last != nil {
				last.output += line + "\n"
			}
		case word == "gatehouse", strings.Contains(command, "| gatehouse "), word == "curl" && prompt && strings.Contains(command, addressOfPages):
			all = append(all, shownCommand{at: at, line: command})
			last = &all[len(all)-1]
		case word == "" || word[0] == '#' || slices.Contains(elsewhere, word):
			last = nil
		default:
			t.Errorf("%s: %q is run by no test; add %q to the list of commands that are run elsewhere", at, line, word)
		}
	}
	return all
}

// A sandbox is a folder in which commands of a page find what they need.
type sandbox struct {
	gate *e2e.Gate
	bin  string // comes first in PATH
}

const addressOfPages = "127.0.0.1:8080"

func newSandbox(t *testing.T) *sandbox {
	t.Helper()
	s := &sandbox{bin: t.TempDir()}
	s.gate = e2e.Start(t, e2e.HTTP1, `users: []
routes:
  - upstream: http://127.0.0.1:3000
    access:
      - {path: /static, public: true}
      - {path: /admin, groups: [admins]}
      - {}
  - host: wiki.example.com
    upstream: http://127.0.0.1:3000
    access:
      - {path: /admin, groups: [admins]}
      - {}
`)
	// Nobody types here: where a person is asked for a password, it is piped.
	shim := fmt.Sprintf(`#!/bin/bash
case "$1 $2 $*" in
*--password-stdin*|*--help*) ;;
"user add "*|"user passwd "*) exec %[1]s "$@" --password-stdin <<<%[2]q ;;
"hash "*) exec %[1]s "$@" <<<%[2]q ;;
esac
exec %[1]s "$@"
`, e2e.Program(), e2e.Password)
	e2e.WriteFile(t, filepath.Join(s.bin, "gatehouse"), shim, 0o700)
	e2e.WriteFile(t, filepath.Join(s.bin, "age"), "#!/bin/sh\ncat\n", 0o700) // encrypts backups, where it is installed
	for _, name := range []string{"password.txt", "new-password"} {
		e2e.WriteFile(t, filepath.Join(s.gate.Dir, name), e2e.Password+"\n", 0o600)
	}
	return s
}

var (
	aHandle   = regexp.MustCompile(`\b[0-9a-f]{16}\b`)
	userVerb  = regexp.MustCompile(`gatehouse user (\w+) +([a-z]+)\b`)
	namedUser = regexp.MustCompile(`--user[ =]([a-z]+)`)
)

func (s *sandbox) run(t *testing.T, c shownCommand) {
	t.Helper()
	line := strings.ReplaceAll(c.line, addressOfPages, s.gate.Addr)
	line = strings.ReplaceAll(line, "/etc/gatehouse/config.yaml", s.gate.ConfigFile())
	for _, begin := range long {
		if strings.HasPrefix(line, begin) {
			line, _, _ = strings.Cut(line, " #")
			line += " --help"
		}
	}
	s.prepare(t, line)
	if aHandle.MatchString(line) {
		line = aHandle.ReplaceAllString(line, s.session(t))
	}
	out, err := s.bash(t, line)
	out = strings.ReplaceAll(out, s.gate.Addr, addressOfPages)
	var exit *exec.ExitError
	switch {
	case err != nil && !errors.As(err, &exit):
		t.Fatalf("%s: %v", c.at, err)
	case err != nil && c.output == "":
		t.Errorf("%s: %s\n%v\n%s", c.at, c.line, err, out)
	case c.output != "" && !like(c.output).MatchString(out):
		t.Errorf("%s: %s\nthe page shows\n%s\nthe program says\n%s", c.at, c.line, c.output, out)
	}
}

func (s *sandbox) bash(t *testing.T, line string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), e2e.Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-o", "pipefail", "-c", line) //nolint:gosec // a line of our own pages
	cmd.Dir = s.gate.Dir
	cmd.Env = append(os.Environ(), "PATH="+s.bin+string(os.PathListSeparator)+os.Getenv("PATH"), "COLUMNS=120")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// prepare makes the accounts that a command speaks of, or takes away the one
// that it adds.
func (s *sandbox) prepare(t *testing.T, line string) {
	t.Helper()
	for _, m := range userVerb.FindAllStringSubmatch(line, -1) {
		switch {
		case m[1] == "add":
			_, _ = s.gate.Command(t, "", "user", "delete", m[2]) // nobody, as a rule
		case m[1] != "list":
			s.account(t, m[2])
		}
	}
	for _, m := range namedUser.FindAllStringSubmatch(line, -1) {
		s.account(t, m[1])
	}
}

func (s *sandbox) account(t *testing.T, name string) {
	t.Helper()
	if _, code := s.gate.Command(t, "", "user", "show", name); code != 0 {
		s.gate.Must(t, e2e.Password+"\n", "user", "add", name, "--password-stdin")
	}
}

// session gives the handle of a session that exists.
func (s *sandbox) session(t *testing.T) string {
	t.Helper()
	s.account(t, "alice")
	_, _ = s.gate.Command(t, "", "user", "enable", "alice")
	s.gate.Must(t, e2e.Password+"\n", "user", "passwd", "alice", "--password-stdin")
	s.gate.Browser(t).Login("alice", e2e.Password)
	list := s.gate.Must(t, "", "session", "list", "--json")
	var first struct{ ID string }
	if err := json.NewDecoder(bytes.NewReader([]byte(list))).Decode(&first); err != nil || first.ID == "" {
		t.Fatalf("session list: %v\n%s", err, list)
	}
	return first.ID
}

// like makes a pattern of what a page shows.
func like(shown string) *regexp.Regexp {
	var pattern strings.Builder
	pattern.WriteString(`(?s)^\s*`)
	for i, part := range strings.Split(strings.TrimSpace(shown), "...") {
		if i > 0 {
			pattern.WriteString(`.*?`)
		}
		for j, word := range regexp.MustCompile(`\s+`).Split(part, -1) {
			if j > 0 {
				pattern.WriteString(`\s*`)
			}
			pattern.WriteString(regexp.QuoteMeta(word))
		}
	}
	pattern.WriteString(`\s*$`)
	return regexp.MustCompile(pattern.String())
}
