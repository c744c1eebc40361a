// Package e2e is the toolbox of the black-box tests. It builds Gatehouse, starts
// it with a configuration, speaks to it over real sockets as browsers and
// attackers do, and records the bytes that reach the application behind it. It
// also starts the servers that some tests need: Redis and PostgreSQL. A file
// that starts one has the build tag e2e; internal/deps checks that.
//
//	gate := e2e.Start(t, e2e.HTTP2, "routes:\n  - upstream: "+app.URL)
//	alice := gate.Browser(t)
//	alice.Login("alice", e2e.Password)
//	page := alice.Visit("/private")
//
// Every Gate is checked when its test ends: it must stop cleanly on SIGTERM, must
// not have panicked or had a data race, and must not have written a password or
// a cookie into its log or its database.
//
// A function or method with a testing.TB fails the test when it cannot do what
// it says, unless it returns an error.
package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// Host is the host name of the site in every test. It is never resolved: a
// Browser connects to the gate's address whatever the host is.
const Host = "app.example.test"

// RaceOptions is the GORACE of programs under test: the first data race ends the
// program, and at its exit it sleeps for 20 ms in place of a second.
const RaceOptions = "halt_on_error=1 atexit_sleep_ms=20"

// A Gate is the program with its configuration and data, running or stopped.
type Gate struct {
	Mode Mode
	Addr string // host:port it listens on
	Dir  string // holds gatehouse.yaml, data and the certificate; short, since a socket lies below it
	CA   *CA

	// Stderr receives the standard error of the process, when it is set before
	// Run. nil (the default): it is collected for Log.
	Stderr *os.File

	// Env is added to the environment of the process.
	Env []string

	// Program is the path of the program that Run starts: by default the built
	// gatehouse.
	Program string

	base  string // the beginning of every configuration
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has exited

	mu      sync.Mutex
	log     bytes.Buffer
	secrets []string // must not be written anywhere
}

// New returns a Gate that is not running yet. Its configuration is a beginning
// (version, listen, data_dir, tls and users) followed by config. When config has
// a section users of its own, the beginning has none.
func New(tb testing.TB, m Mode, config string) *Gate {
	tb.Helper()
	dir, err := os.MkdirTemp("", "gate") //nolint:usetesting // a test's folder has too long a name for the socket in it
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	g := &Gate{Mode: m, Addr: FreeAddr(tb), Dir: dir, Program: Program(), CA: NewCA(tb, dir), secrets: []string{Password}}
	tb.Cleanup(func() { g.mustHaveEnded(tb) })
	g.base = fmt.Sprintf("version: 1\nlisten: %s\ndata_dir: %s\n", g.Addr, filepath.Join(dir, "data"))
	if m.TLS {
		g.CA.Issue(tb, Host, "wiki.example.test", "*.example.com", "*.example.org", "*.example.net", "127.0.0.1")
		g.base += fmt.Sprintf("tls: {cert_file: %s, key_file: %s}\n", g.CA.CertFile, g.CA.KeyFile)
	}
	g.Configure(tb, config)
	return g
}

// Start returns a running Gate that answers requests. It is stopped and checked
// at the end of the test.
func Start(tb testing.TB, m Mode, config string) *Gate {
	tb.Helper()
	g := New(tb, m, config)
	g.Run(tb)
	tb.Cleanup(func() { g.end(tb) })
	return g
}

// ConfigFile returns the path of the configuration file.
func (g *Gate) ConfigFile() string { return filepath.Join(g.Dir, "gatehouse.yaml") }

// Configure replaces the configuration on disk; config is as in New. A running
// gate reads it at its next reload.
func (g *Gate) Configure(tb testing.TB, config string) {
	tb.Helper()
	text := g.base
	if !strings.Contains("\n"+config, "\nusers:") {
		text += users()
	}
	if err := os.WriteFile(g.ConfigFile(), []byte(text+config), 0o600); err != nil {
		tb.Fatal(err)
	}
}

// Config returns the configuration on disk.
func (g *Gate) Config(tb testing.TB) string {
	tb.Helper()
	text, err := os.ReadFile(g.ConfigFile())
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}

// Run starts the process and waits until it answers. Tests that use Start call
// it only to start the gate again, after Stop or Kill.
func (g *Gate) Run(tb testing.TB) {
	tb.Helper()
	g.Exec(tb)
	g.Wait(tb)
}

// Exec starts the process and does not wait until it answers.
func (g *Gate) Exec(tb testing.TB) {
	tb.Helper()
	g.cmd = exec.CommandContext(context.Background(), g.Program, "serve", "--config", g.ConfigFile()) //nolint:gosec // the program under test
	g.cmd.Stderr = g
	if g.Stderr != nil {
		g.cmd.Stderr = g.Stderr
	}
	g.cmd.Env = append(append(os.Environ(), "GORACE="+RaceOptions), g.Env...)
	if err := g.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	ended := make(chan struct{})
	g.ended = ended
	cmd := g.cmd
	go func() { _ = cmd.Wait(); close(ended) }()
}

// Wait waits until the gate answers, for Patience at most.
func (g *Gate) Wait(tb testing.TB) {
	tb.Helper()
	client := &http.Client{Transport: g.transport(), Timeout: time.Second}
	defer client.CloseIdleConnections()
	for deadline := time.Now().Add(Patience); ; {
		req, err := http.NewRequestWithContext(context.Background(), http.MethodGet, g.Mode.Scheme()+"://"+Host+"/_gate/session", nil)
		if err != nil {
			tb.Fatal(err)
		}
		resp, err := client.Do(req)
		if err == nil {
			_ = resp.Body.Close()
			return
		}
		select {
		case <-g.ended:
			tb.Fatalf("the gate has ended at once (%s):\n%s", g.cmd.ProcessState, g.Log())
		case <-time.After(2 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			tb.Fatalf("the gate does not answer: %v\n%s", err, g.Log())
		}
	}
}

// Write appends to Log; the process has the Gate as its standard error.
func (g *Gate) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.log.Write(p)
}

// Log returns what the process has written to standard error so far.
func (g *Gate) Log() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.log.String()
}

// AwaitLog waits until Log contains text.
func (g *Gate) AwaitLog(tb testing.TB, text string) {
	tb.Helper()
	Eventually(tb, func() error {
		if !strings.Contains(g.Log(), text) {
			return fmt.Errorf("the log does not hold %q:\n%s", text, g.Log())
		}
		return nil
	})
}

// keepOut adds a secret that must be neither in the log nor in the database.
func (g *Gate) keepOut(secret string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.secrets = append(g.secrets, secret)
}

// Signal sends a signal to the process.
func (g *Gate) Signal(tb testing.TB, s os.Signal) {
	tb.Helper()
	if err := g.cmd.Process.Signal(s); err != nil {
		tb.Fatalf("send %s: %v", s, err)
	}
}

// PID returns the process id.
func (g *Gate) PID() int { return g.cmd.Process.Pid }

// Stop sends SIGTERM, waits for the exit, and returns the exit status.
func (g *Gate) Stop(tb testing.TB) int {
	tb.Helper()
	g.Signal(tb, syscall.SIGTERM)
	return g.Ended(tb)
}

// Done returns a channel that is closed when the process has exited.
func (g *Gate) Done() <-chan struct{} { return g.ended }

// Ended waits for the exit of the process, a minute at most, and returns the exit
// status; -1 after a signal.
func (g *Gate) Ended(tb testing.TB) int {
	tb.Helper()
	select {
	case <-g.ended:
		return g.cmd.ProcessState.ExitCode()
	case <-time.After(60 * time.Second):
		tb.Fatalf("the gate does not end:\n%s", g.Log())
		return -1
	}
}

// Kill ends the process with SIGKILL, as a power cut would, and waits for it.
func (g *Gate) Kill(tb testing.TB) {
	tb.Helper()
	g.Signal(tb, syscall.SIGKILL)
	g.Ended(tb)
}

// mustHaveEnded kills a process that the test has left running, and fails the
// test for it.
func (g *Gate) mustHaveEnded(tb testing.TB) {
	tb.Helper()
	if g.ended == nil {
		return // it was never started
	}
	select {
	case <-g.ended:
	default:
		tb.Errorf("the test has left its gate running")
		g.Kill(tb)
	}
}

// end stops the gate if it still runs, and checks what must hold for every one.
func (g *Gate) end(tb testing.TB) {
	tb.Helper()
	select {
	case <-g.ended:
	default:
		if code := g.Stop(tb); code != 0 {
			tb.Errorf("exit status %d after SIGTERM", code)
		}
	}
	log := g.Log()
	for _, sign := range []string{"WARNING: DATA RACE", "panic:", "fatal error:", "goroutine 1 ["} {
		if strings.Contains(log, sign) {
			tb.Errorf("%q in the log", sign)
		}
	}
	config := g.Config(tb)
	shared := strings.Contains(config, "store: postgres") || strings.Contains(config, "store: redis")
	stored, err := os.ReadFile(filepath.Join(g.Dir, "data", "gatehouse.db"))
	if err != nil && !shared {
		tb.Errorf("the database: %v", err)
	}
	for _, secret := range g.secrets {
		if strings.Contains(log, secret) {
			tb.Errorf("the secret %q is in the log", secret)
		}
		if bytes.Contains(stored, []byte(secret)) {
			tb.Errorf("the secret %q is in the database", secret)
		}
	}
	if tb.Failed() {
		tb.Logf("log of the gate:\n%s", tail(log, 3<<10))
	}
}

// Command runs a command of gatehouse with the gate's configuration, and returns
// what it printed on both outputs, and its exit status.
func (g *Gate) Command(tb testing.TB, stdin string, args ...string) (out string, code int) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, g.Program, append(args, "--config", g.ConfigFile())...) //nolint:gosec // the program under test
	cmd.Stdin = strings.NewReader(stdin)
	both, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		tb.Fatalf("gatehouse %v: %v", args, err)
	}
	return string(both), cmd.ProcessState.ExitCode()
}

// Must is Command for commands that have to succeed.
func (g *Gate) Must(tb testing.TB, stdin string, args ...string) string {
	tb.Helper()
	out, code := g.Command(tb, stdin, args...)
	if code != 0 {
		tb.Fatalf("gatehouse %v: exit status %d\n%s", args, code, out)
	}
	return out
}

// Standard returns the routes of most tests: one application, of which /public
// and /healthz are public, /admin is for the group admins, and the rest for
// everyone who is signed in.
func Standard(upstream string) string {
	return `
routes:
  - upstream: ` + upstream + `
    access:
      - {path: /public, public: true}
      - {exact: /healthz, public: true}
      - {path: /admin, groups: [admins]}
      - {}
`
}
