//go:build e2e

package gate_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"gatehouse/internal/e2e"
)

// A terminal is a program at a pseudo-terminal, and who types at it.
type terminal struct {
	t      *testing.T
	master *os.File
	cmd    *exec.Cmd

	mu   sync.Mutex
	text bytes.Buffer // what was shown
	seen int          // how much of it was expected already
	done chan struct{}
}

const escape = "\x1b"

// atTerminal runs the program at a terminal of so many columns. env is added
// to the environment.
func atTerminal(t *testing.T, columns uint16, dir string, env []string, args ...string) *terminal {
	t.Helper()
	master, slave := openPTY(t, columns)
	term := &terminal{t: t, master: master, done: make(chan struct{})}
	term.cmd = exec.CommandContext(t.Context(), e2e.Program(), args...) //nolint:gosec // the program under test
	term.cmd.Dir, term.cmd.Env = dir, append(append(os.Environ(), "TERM=xterm", "NO_COLOR=", "GATEHOUSE_CONFIG="), env...)
	term.cmd.Stdin, term.cmd.Stdout, term.cmd.Stderr = slave, slave, slave
	term.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := term.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if err := slave.Close(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(term.done)
		part := make([]byte, 4096)
		for {
			n, err := master.Read(part)
			term.mu.Lock()
			term.text.Write(part[:n])
			term.mu.Unlock()
			if err != nil {
				return // EIO: the program has ended
			}
		}
	}()
	return term
}

func openPTY(t *testing.T, columns uint16) (master, slave *os.File) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		t.Fatal(err)
	}
	slave, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return master, slave
}

// expect waits until the text is shown behind what was expected before.
func (term *terminal) expect(text string) {
	term.t.Helper()
	deadline := time.Now().Add(e2e.Patience)
	for {
		term.mu.Lock()
		at := bytes.Index(term.text.Bytes()[term.seen:], []byte(text))
		if at >= 0 {
			term.seen += at + len(text)
		}
		term.mu.Unlock()
		if at >= 0 {
			return
		}
		if time.Now().After(deadline) {
			term.t.Fatalf("%q is not shown:\n%s", text, term.shown())
		}
		<-time.After(5 * time.Millisecond)
	}
}

// hidden waits until the terminal shows nothing of what is typed.
func (term *terminal) hidden() {
	term.t.Helper()
	deadline := time.Now().Add(e2e.Patience)
	for {
		mode, err := unix.IoctlGetTermios(int(term.master.Fd()), unix.TCGETS)
		if err == nil && mode.Lflag&unix.ECHO == 0 {
			return
		}
		if time.Now().After(deadline) {
			term.t.Fatalf("what is typed is shown: %v\n%s", err, term.shown())
		}
		<-time.After(5 * time.Millisecond)
	}
}

// secret types a line at a prompt, once it does not show.
func (term *terminal) secret(prompt, line string) {
	term.t.Helper()
	term.expect(prompt)
	term.hidden()
	term.typeIn(line + "\n")
}

func (term *terminal) typeIn(text string) {
	term.t.Helper()
	if _, err := term.master.WriteString(text); err != nil {
		term.t.Fatal(err)
	}
}

func (term *terminal) shown() string {
	term.mu.Lock()
	defer term.mu.Unlock()
	return strings.ReplaceAll(term.text.String(), "\r\n", "\n")
}

// end waits for the end of the e2e.Program(), and gives all that was shown.
func (term *terminal) end(code int) string {
	term.t.Helper()
	err := term.cmd.Wait()
	<-term.done
	if got := term.cmd.ProcessState.ExitCode(); got != code {
		term.t.Errorf("%v: exit status %d (%v), want %d:\n%s", term.cmd.Args[1:], got, err, code, term.shown())
	}
	return term.shown()
}

// terminalDir makes a folder with a configuration that has one account.
func terminalDir(t *testing.T, more string) string {
	t.Helper()
	dir := t.TempDir()
	text := "listen: 127.0.0.1:0\ndata_dir: ./data\n" + more
	if err := os.WriteFile(filepath.Join(dir, "gatehouse.yaml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTerminalAsksForPasswordsTwice(t *testing.T) {
	t.Parallel()
	dir := terminalDir(t, "")
	const good = "correct horse battery staple"
	term := atTerminal(t, 80, dir, nil, "user", "add", "alice")
	term.secret("New password: ", "hunter2")
	term.expect("very weak")
	term.expect("at least 15")
	term.secret("New password: ", good)
	term.expect("strong")
	term.secret("Once more: ", "another one altogether")
	term.expect("differ")
	term.secret("New password: ", good)
	term.secret("Once more: ", good)
	text := term.end(0)
	if !strings.Contains(text, "added alice") || strings.Contains(text, "horse") || strings.Contains(text, "hunter2") {
		t.Errorf("%s", text)
	}

	term = atTerminal(t, 80, dir, nil, "user", "passwd", "alice")
	for range 3 {
		term.secret("New password: ", "alicealicealicealice")
	}
	if text := term.end(1); !strings.Contains(text, "nothing was changed") {
		t.Errorf("%s", text)
	}
}

// Ctrl-C at a prompt ends the e2e.Program(), and the terminal shows again what is
// typed.
func TestTerminalInterruptedPrompt(t *testing.T) {
	t.Parallel()
	term := atTerminal(t, 80, terminalDir(t, ""), nil, "hash")
	term.expect("New password: ")
	term.hidden()
	mode, err := unix.IoctlGetTermios(int(term.master.Fd()), unix.TCGETS)
	if err != nil || mode.Lflag&unix.ECHO != 0 {
		t.Fatalf("%+v, %v", mode, err)
	}
	term.typeIn("\x03")
	if text := term.end(1); !strings.Contains(text, "interrupted") {
		t.Errorf("%s", text)
	}
	if mode, err = unix.IoctlGetTermios(int(term.master.Fd()), unix.TCGETS); err != nil || mode.Lflag&unix.ECHO == 0 {
		t.Errorf("the terminal is left without echo: %+v, %v", mode, err)
	}
}

func TestTerminalAsksBeforeAllIsEnded(t *testing.T) {
	t.Parallel()
	dir := terminalDir(t, "")
	for _, c := range []struct{ answer, want string }{
		{"n\n", "nothing was ended"}, {"\n", "nothing was ended"}, {"perhaps\n", "nothing was ended"}, {"y\n", "ended 0 sessions"},
	} {
		term := atTerminal(t, 80, dir, nil, "session", "revoke", "--all")
		term.expect("[y/N]")
		term.typeIn(c.answer)
		if text := term.end(0); !strings.Contains(text, c.want) {
			t.Errorf("%q: %s", c.answer, text)
		}
	}
	if text := atTerminal(t, 80, dir, nil, "session", "revoke", "--all", "--yes").end(0); strings.Contains(text, "[y/N]") {
		t.Errorf("%s", text)
	}
}

// Tables fit; colours are not needed; what a program reads is whole.
func TestTerminalTables(t *testing.T) {
	t.Parallel()
	const address = "a.very.long.address.indeed@mail.internal.example.com"
	dir := terminalDir(t, `users:
  - {name: alice, email: `+address+`, groups: [staff, admins, 日本語のグループ], password_hash: "$2b$10$BSn5DQyTWFoUmRJEwCN9nuFs/BHPQzyDfOUwz73CZTSUJ1QGdV0Ry"}
`)
	for _, c := range []struct {
		name     string
		env      []string
		coloured bool
	}{
		{"colours", nil, true},
		{"NO_COLOR", []string{"NO_COLOR=1"}, false},
		{"a dumb terminal", []string{"TERM=dumb"}, false},
	} {
		text := atTerminal(t, 60, dir, c.env, "user", "list").end(0)
		if strings.Contains(text, escape) != c.coloured {
			t.Errorf("%s: %q", c.name, text)
		}
		for line := range strings.Lines(text) {
			line = strings.TrimRight(line, "\n")
			if wide := strings.Count(line, "日") + strings.Count(line, "本") + strings.Count(line, "語"); !strings.Contains(line, escape) && utf8.RuneCountInString(line)+wide > 60 {
				t.Errorf("%s: a line is too long: %q", c.name, line)
			}
		}
		if !strings.Contains(text, "alice") || !strings.Contains(text, "…") || strings.Contains(text, address) {
			t.Errorf("%s: %q", c.name, text)
		}
	}
	cmd := exec.CommandContext(t.Context(), e2e.Program(), "user", "list") //nolint:gosec // the program under test
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil || !strings.Contains(string(out), address) || strings.Contains(string(out), escape) {
		t.Errorf("%s, %v", out, err)
	}
}

func TestTerminalServe(t *testing.T) {
	t.Parallel()
	dir := terminalDir(t, "trusted_proxies: [\"0.0.0.0/0\"]\nroutes:\n  - {host: wiki.example.test, upstream: \"http://127.0.0.1:1\"}\n")
	term := atTerminal(t, 80, dir, nil, "serve")
	term.expect("http://127.0.0.1:")
	term.expect("wiki.example.test/  ->  http://127.0.0.1:1")
	term.expect("gatehouse user add alice")
	term.expect("Careful")
	term.expect("Ctrl-C")
	term.typeIn("\x03")
	if text := term.end(0); strings.Contains(text, "msg=listening") {
		t.Errorf("it is said twice: %s", text)
	}
}

func TestTerminalDemo(t *testing.T) {
	t.Parallel()
	term := atTerminal(t, 80, t.TempDir(), nil, "demo", "--listen", "127.0.0.1:0")
	for _, text := range []string{"Open", "http://127.0.0.1:", "Name", "demo", "Password", "Ctrl-C"} {
		term.expect(text)
	}
	term.typeIn("\x03")
	term.end(0)
}
