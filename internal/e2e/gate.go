// Package e2e drives the built program from outside, as a black box: it starts
// it with a configuration, speaks to it over real sockets as browsers and
// attackers do, and looks at the bytes that reach the application behind it.
//
//	gate := e2e.Start(t, e2e.HTTP2, "routes:\n  - upstream: "+app.URL)
//	alice := gate.Browser(t)
//	alice.Login("alice", e2e.Password)
//	page := alice.Visit("/private")
//
// What holds for every test is checked when it ends: the program stops
// cleanly on SIGTERM, saw no data race, did not panic, and wrote no password
// and no cookie into its log or its database.
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

// Host is the site's name in every test. Nothing resolves it: browsers of
// this package connect to the gate's address whatever the name is.
const Host = "app.example.test"

// RaceOptions is GORACE for programs under test. Where they are built with the
// race detector, each would sleep for a second before it ends.
const RaceOptions = "halt_on_error=1 atexit_sleep_ms=20"

// A Mode is how visitors speak to the gate.
type Mode struct {
	Name   string
	TLS    bool
	HTTP2  bool
	Cookie string // name of the session's cookie
}

// The ways in which every test runs that can be expressed in them.
var (
	HTTP1  = Mode{"http1", false, false, "gatehouse"}
	HTTPS1 = Mode{"https1", true, false, "__Host-gatehouse"}
	HTTP2  = Mode{"http2", true, true, "__Host-gatehouse"}
	Modes  = []Mode{HTTP1, HTTPS1, HTTP2}
)

// Scheme is http or https.
func (m Mode) Scheme() string {
	if m.TLS {
		return "https"
	}
	return "http"
}

// A Gate is a running program with its configuration.
type Gate struct {
	Mode Mode
	Addr string // host:port it listens on
	Dir  string // holds gatehouse.yaml, data and the certificate; short, since a socket lies below it
	CA   *CA

	// Stderr takes what the process writes there. nil: Log has it.
	Stderr *os.File

	// Program is what is run: the built gatehouse, unless it is changed before Run.
	Program string

	base  string // what stands in every configuration
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process has ended

	mu      sync.Mutex
	log     bytes.Buffer
	secrets []string // that must not be written anywhere
}

// New makes a Gate that is not running yet. The configuration begins with
// version, listen, data_dir, tls and users; config is what follows. A section
// that config has itself is left out of the beginning.
func New(tb testing.TB, m Mode, config string) *Gate {
	tb.Helper()
	dir, err := os.MkdirTemp("", "gate") //nolint:usetesting // a test's folder has too long a name for the socket in it
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	g := &Gate{Mode: m, Addr: FreeAddr(tb), Dir: dir, Program: Program(), CA: NewCA(tb, dir), secrets: []string{Password}}
	g.base = fmt.Sprintf("version: 1\nlisten: %s\ndata_dir: %s\n", g.Addr, filepath.Join(dir, "data"))
	if m.TLS {
		g.CA.Issue(tb, Host, "wiki.example.test", "127.0.0.1")
		g.base += fmt.Sprintf("tls: {cert_file: %s, key_file: %s}\n", g.CA.CertFile, g.CA.KeyFile)
	}
	g.Configure(tb, config)
	return g
}

// Start makes a Gate and waits until it answers.
func Start(tb testing.TB, m Mode, config string) *Gate {
	tb.Helper()
	g := New(tb, m, config)
	g.Run(tb)
	tb.Cleanup(func() { g.end(tb) })
	return g
}

// ConfigFile is where the configuration lies.
func (g *Gate) ConfigFile() string { return filepath.Join(g.Dir, "gatehouse.yaml") }

// Configure replaces the configuration on disk. A running gate does not know
// until it is told to reload.
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

// Run starts the process and waits until it answers. Start calls it; it is
// for starting again after Stop or Kill.
func (g *Gate) Run(tb testing.TB) {
	tb.Helper()
	g.Exec(tb)
	g.Wait(tb)
}

// Exec starts the process and does not wait.
func (g *Gate) Exec(tb testing.TB) {
	tb.Helper()
	g.cmd = exec.CommandContext(context.Background(), g.Program, "serve", "--config", g.ConfigFile()) //nolint:gosec // the program under test
	g.cmd.Stderr = g
	if g.Stderr != nil {
		g.cmd.Stderr = g.Stderr
	}
	g.cmd.Env = append(os.Environ(), "GORACE="+RaceOptions)
	if err := g.cmd.Start(); err != nil {
		tb.Fatal(err)
	}
	ended := make(chan struct{})
	g.ended = ended
	cmd := g.cmd
	go func() { _ = cmd.Wait(); close(ended) }()
}

// Wait polls until the gate answers.
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

// Write takes the process's standard error.
func (g *Gate) Write(p []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.log.Write(p)
}

// Log is what the process wrote to standard error until now.
func (g *Gate) Log() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.log.String()
}

// AwaitLog waits until the log holds text.
func (g *Gate) AwaitLog(tb testing.TB, text string) {
	tb.Helper()
	Eventually(tb, func() error {
		if !strings.Contains(g.Log(), text) {
			return fmt.Errorf("the log does not hold %q:\n%s", text, g.Log())
		}
		return nil
	})
}

// keepOut names a secret that must not be written anywhere.
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

// PID is the process's number.
func (g *Gate) PID() int { return g.cmd.Process.Pid }

// Stop ends the process with SIGTERM, waits, and gives its exit status.
func (g *Gate) Stop(tb testing.TB) int {
	tb.Helper()
	g.Signal(tb, syscall.SIGTERM)
	return g.Ended(tb)
}

// Done is closed when the process has ended.
func (g *Gate) Done() <-chan struct{} { return g.ended }

// Ended waits for the end of the process and gives its exit status.
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

// Kill ends the process as a power cut would.
func (g *Gate) Kill(tb testing.TB) {
	tb.Helper()
	g.Signal(tb, syscall.SIGKILL)
	g.Ended(tb)
}

// end stops the gate if it still runs and looks for what must never happen.
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

// Command runs the program with the gate's configuration and gives what it
// printed and its exit status.
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

// Must runs the program as Command does; it has to succeed.
func (g *Gate) Must(tb testing.TB, stdin string, args ...string) string {
	tb.Helper()
	out, code := g.Command(tb, stdin, args...)
	if code != 0 {
		tb.Fatalf("gatehouse %v: exit status %d\n%s", args, code, out)
	}
	return out
}

// Config is the configuration as it lies on disk.
func (g *Gate) Config(tb testing.TB) string {
	tb.Helper()
	text, err := os.ReadFile(g.ConfigFile())
	if err != nil {
		tb.Fatal(err)
	}
	return string(text)
}
