//go:build e2e

package gate_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/e2e"
)

// load sends requests from several connections until stop is called, which
// gives how many were answered.
func load(t *testing.T, gate *e2e.Gate, from *e2e.Browser) (stop func() int) {
	t.Helper()
	var done atomic.Bool
	var answered atomic.Int64
	var all sync.WaitGroup
	cookie := "Cookie: " + from.CookieLine()
	for range 4 {
		b := gate.Browser(t)
		all.Go(func() {
			for !done.Load() {
				a, err := b.Try(b.Request("GET", "/private", nil, cookie))
				if err != nil || a.Err != nil || a.Status != http.StatusOK {
					t.Errorf("under load: status %d, error %v %v", a.Status, err, a.Err)
					return
				}
				answered.Add(1)
			}
		})
	}
	return func() int {
		done.Store(true)
		all.Wait()
		return int(answered.Load())
	}
}

// TestReloadUnderLoad: by signal and over the control socket, again and
// again, and no request is dropped, no session lost.
func TestReloadUnderLoad(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		one, two := e2e.Serve(t, "one"), e2e.Serve(t, "two")
		gate := e2e.Start(t, m, e2e.Standard(one))
		alice := gate.Browser(t)
		alice.Login("alice", e2e.Password)
		stop := load(t, gate, alice)
		for i := range 6 {
			url, name := two, "two"
			if i%2 == 1 {
				url, name = one, "one"
			}
			gate.Configure(t, e2e.Standard(url))
			if i < 3 {
				gate.Signal(t, syscall.SIGHUP)
			} else {
				gate.Must(t, "", "reload")
			}
			e2e.Eventually(t, func() error {
				if a := alice.Fetch("/private"); a.Body != name {
					return fmt.Errorf("reload %d: %d %q, want %q", i, a.Status, a.Body, name)
				}
				return nil
			})
		}
		if n := stop(); n == 0 {
			t.Error("no request was answered")
		} else {
			t.Logf("%d requests during 6 reloads", n)
		}
		gate.AwaitLog(t, "config.reloaded")
	})
}

// TestReloadKeepsRequestsInFlight: a request that began before goes on by the
// old configuration.
func TestReloadKeepsRequestsInFlight(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		reached, release := make(chan struct{}), make(chan struct{})
		slow := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/slow" {
				_, _ = io.WriteString(w, "begun ")
				_ = http.NewResponseController(w).Flush()
				close(reached)
				<-release
			}
			_, _ = io.WriteString(w, "done")
		}))
		t.Cleanup(slow.Close)
		gate := e2e.Start(t, m, e2e.Standard(slow.URL))
		alice := gate.Browser(t)
		alice.Login("alice", e2e.Password)
		got := make(chan e2e.Answer)
		go func() {
			a, _ := alice.Try(alice.Request("GET", "/slow", nil))
			got <- a
		}()
		await(t, reached, "the slow request")
		gate.Configure(t, e2e.Standard(e2e.Serve(t, "new")))
		gate.Must(t, "", "reload")
		if a := alice.Fetch("/private"); a.Body != "new" {
			t.Errorf("after the reload: %q", a.Body)
		}
		close(release)
		if a := <-got; a.Body != "begun done" || a.Err != nil {
			t.Errorf("the request in flight: %d %q %v", a.Status, a.Body, a.Err)
		}
	})
}

// TestReloadOfABadFile: the old configuration goes on, and the problem is told.
func TestReloadOfABadFile(t *testing.T) {
	t.Parallel()
	gate := e2e.Start(t, e2e.HTTP1, e2e.Standard(e2e.Serve(t, "good")))
	alice := gate.Browser(t)
	alice.Login("alice", e2e.Password)
	for name, bad := range map[string]string{
		"unknown key": "lissten: 1\n",
		"not YAML":    "routes: [\n",
		"bad route":   "routes:\n  - {upstream: gopher://x}\n",
		"bad hash":    "users: [{name: alice, password_hash: plain}]\n" + e2e.Standard("http://127.0.0.1:1"),
	} {
		gate.Configure(t, bad)
		if out, code := gate.Command(t, "", "reload"); code == 0 || !strings.Contains(out, "gatehouse.yaml:") {
			t.Errorf("%s: exit status %d\n%s", name, code, out)
		}
		before := len(gate.Log())
		gate.Signal(t, syscall.SIGHUP)
		e2e.Eventually(t, func() error {
			if len(gate.Log()) == before {
				return fmt.Errorf("%s: nothing in the log", name)
			}
			return nil
		})
		if a := alice.Fetch("/private"); a.Body != "good" {
			t.Errorf("%s: %d %q", name, a.Status, a.Body)
		}
	}
	gate.Configure(t, e2e.Standard(e2e.Serve(t, "mended")))
	gate.Must(t, "", "reload")
	if a := alice.Fetch("/private"); a.Body != "mended" {
		t.Errorf("mended: %d %q", a.Status, a.Body)
	}
}

// TestReloadSaysWhatNeedsARestart and goes on with the old configuration.
func TestReloadSaysWhatNeedsARestart(t *testing.T) {
	t.Parallel()
	gate := e2e.Start(t, e2e.HTTP1, e2e.Standard(e2e.Serve(t, "old")))
	alice := gate.Browser(t)
	alice.Login("alice", e2e.Password)
	text, err := os.ReadFile(gate.ConfigFile())
	if err != nil {
		t.Fatal(err)
	}
	other := strings.Replace(string(text), gate.Addr, e2e.FreeAddr(t), 1)
	if err := os.WriteFile(gate.ConfigFile(), []byte(other), 0o600); err != nil { //nolint:gosec // a file of the test's own
		t.Fatal(err)
	}
	if out, code := gate.Command(t, "", "reload"); code == 0 || !strings.Contains(out, "needs a restart: listen") {
		t.Errorf("exit status %d\n%s", code, out)
	}
	if a := alice.Fetch("/private"); a.Body != "old" {
		t.Errorf("%d %q", a.Status, a.Body)
	}
}

// TestReloadTakesAwayAUser: an account that is gone from the file is signed
// out at the next request, one with a new password as well.
func TestReloadTakesAwayAUser(t *testing.T) {
	t.Parallel()
	app := e2e.Standard(e2e.Serve(t, "app"))
	gate := e2e.Start(t, e2e.HTTP1, app)
	hash := strings.TrimSpace(gate.Must(t, "a wholly new pass phrase\n", "hash"))
	alice, bob := gate.Browser(t), gate.Browser(t)
	alice.Login("alice", e2e.Password)
	bob.Login("bob", e2e.Password)
	gate.Configure(t, fmt.Sprintf("users:\n  - {name: alice, password_hash: %q}\n", hash)+app)
	gate.Must(t, "", "reload")
	for name, b := range map[string]*e2e.Browser{"alice": alice, "bob": bob} {
		if a := b.Fetch("/private"); a.Status != http.StatusUnauthorized {
			t.Errorf("%s: %d, want 401", name, a.Status)
		}
	}
	gate.Browser(t).Login("alice", "a wholly new pass phrase")
}

// TestUserIsPutBack: whoever left the configuration and is put back must sign in
// again, also where nobody looked meanwhile, and where no server ran.
func TestUserIsPutBack(t *testing.T) {
	t.Parallel()
	app := e2e.Standard(e2e.Serve(t, "app"))
	gate := e2e.Start(t, e2e.HTTP1, app)
	hash := strings.TrimSpace(gate.Must(t, "a wholly new pass phrase\n", "hash"))
	here := fmt.Sprintf("users:\n  - {name: carol, password_hash: %q}\n", hash) + app
	disabled := fmt.Sprintf("users:\n  - {name: carol, password_hash: %q, disabled: true}\n", hash) + app
	reload := func(config string) {
		gate.Configure(t, config)
		gate.Must(t, "", "reload")
	}
	restart := func(config string) {
		gate.Stop(t)
		gate.Configure(t, config)
		gate.Run(t)
	}
	reload(here)
	for name, change := range map[string]func(){
		"reload":             func() { reload(app); reload(here) },
		"disabled by reload": func() { reload(disabled); reload(here) },
		"restart":            func() { restart(app); restart(here) },
		"reload and restart": func() { reload(app); restart(here) },
	} {
		carol := gate.Browser(t)
		carol.Login("carol", "a wholly new pass phrase")
		if a := carol.Fetch("/private"); a.Status != http.StatusOK {
			t.Fatalf("%s: not signed in: %d", name, a.Status)
		}
		change()
		if a := carol.Fetch("/private"); a.Status != http.StatusUnauthorized {
			t.Errorf("%s: %d, want 401", name, a.Status)
		}
	}
	restart(here)
	carol := gate.Browser(t)
	carol.Login("carol", "a wholly new pass phrase")
	restart(here)
	if a := carol.Fetch("/private"); a.Status != http.StatusOK {
		t.Errorf("after a restart that changed nothing: %d", a.Status)
	}
}

// TestCertificateReload: new connections get the new one, without a restart.
func TestCertificateReload(t *testing.T) {
	t.Parallel()
	gate := e2e.Start(t, e2e.HTTPS1, e2e.Standard(e2e.Serve(t, "app")))
	serial := gate.CA.Issue(t, e2e.Host)
	gate.Signal(t, syscall.SIGHUP)
	e2e.Eventually(t, func() error {
		d := tls.Dialer{Config: gate.CA.Client()}
		conn, err := d.DialContext(t.Context(), "tcp", gate.Addr)
		if err != nil {
			return err
		}
		defer func() { _ = conn.Close() }()
		if got := conn.(*tls.Conn).ConnectionState().PeerCertificates[0].SerialNumber; got.Cmp(serial) != 0 {
			return fmt.Errorf("serial %s, want %s", got, serial)
		}
		return nil
	})
	// A broken one is refused, and the last good one goes on.
	if err := os.WriteFile(gate.CA.CertFile, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, code := gate.Command(t, "", "reload"); code == 0 {
		t.Error("a broken certificate was taken")
	}
	if a := gate.Browser(t).Visit("/_gate/login"); a.Status != http.StatusOK {
		t.Errorf("after the broken certificate: %d", a.Status)
	}
}

// TestDrain: after SIGTERM every request that the application has seen is
// answered whole, and the process ends by itself with 0.
func TestDrain(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		var reached, whole atomic.Int64
		gate, alice := behind(t, m, func(w http.ResponseWriter, _ *http.Request) {
			reached.Add(1)
			_, _ = io.WriteString(w, "begun ")
			_ = http.NewResponseController(w).Flush()
			time.Sleep(200 * time.Millisecond) // an application takes its time
			_, _ = io.WriteString(w, "done")
		})
		cookie := "Cookie: " + alice.CookieLine()
		var all sync.WaitGroup
		for range 20 {
			b := gate.Browser(t)
			all.Go(func() {
				for {
					ctx, cancel := context.WithTimeout(t.Context(), e2e.Patience)
					a, err := b.Try(b.Request("GET", "/private", nil, cookie).WithContext(ctx))
					cancel()
					if err != nil {
						return // not accepted any more
					}
					if a.Err != nil || a.Body != "begun done" {
						t.Errorf("an accepted request was dropped: %d %q %v", a.Status, a.Body, a.Err)
						return
					}
					whole.Add(1)
				}
			})
		}
		e2e.Eventually(t, func() error {
			if reached.Load() < 40 {
				return fmt.Errorf("%d requests", reached.Load())
			}
			return nil
		})
		if code := gate.Stop(t); code != 0 {
			t.Errorf("exit status %d", code)
		}
		all.Wait()
		if reached.Load() != whole.Load() {
			t.Errorf("the application saw %d requests, %d were answered whole", reached.Load(), whole.Load())
		}
	})
}
