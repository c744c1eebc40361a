//go:build e2e

package gate_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/cgi" //nolint:gosec // Go has cured httpoxy, and the gate lets no Proxy header through
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"gatehouse/internal/e2e"
)

// keeping is a route whose application may keep values in the session.
func keeping(upstream string) string {
	return fmt.Sprintf("routes:\n  - {upstream: %q, session_data: true}\n  - {path: /other, upstream: %q, session_data: true}\n", upstream, upstream)
}

// notebook is an application without a store: /set?KEY=VALUE keeps, /delete?KEY
// forgets, and every page tells what it got. /big keeps as much as is allowed.
func notebook(w http.ResponseWriter, r *http.Request) {
	_, action, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/other"), "/")
	switch action {
	case "set":
		w.Header().Set("X-Session-Set", r.URL.RawQuery)
	case "delete":
		w.Header().Set("X-Session-Delete", r.URL.RawQuery)
	case "big":
		w.Header().Set("X-Session-Set", "big="+strings.Repeat("b", 4092))
	}
	_, _ = fmt.Fprint(w, strings.Join(r.Header["X-Session-Data"], "|")) //nolint:gosec // a test reads it, no browser
}

// TestSessionData: what an application keeps comes back to it, outlives a
// restart, a reload and a new password, and ends with the session; small
// values, and as many as are allowed.
func TestSessionData(t *testing.T) {
	protocols(t, func(t *testing.T, m e2e.Mode) {
		t.Helper()
		app := httptest.NewServer(http.HandlerFunc(notebook))
		t.Cleanup(app.Close)
		gate := e2e.Start(t, m, keeping(app.URL))
		gate.Must(t, e2e.Password+"\n", "user", "add", "dave", "--password-stdin")
		dave, elsewhere := gate.Browser(t), gate.Browser(t)
		dave.Login("dave", e2e.Password)
		elsewhere.Login("dave", e2e.Password)
		want := func(when, path, data string) {
			t.Helper()
			if a := dave.Fetch(path); a.Status != http.StatusOK || a.Body != data || strings.Contains(fmt.Sprint(a.Header), "Session-") {
				t.Errorf("%s: %d, the application got %.80q, want %.80q; the visitor got %v", when, a.Status, a.Body, data, a.Header)
			}
		}
		dave.Fetch("/set?note=hidden%20words%0A%3B")
		dave.Fetch("/other/set?note=others")
		want("first", "/", "note=hidden%20words%0A%3B")
		want("the other route", "/other", "note=others")
		if a := elsewhere.Fetch("/"); a.Body != "" {
			t.Errorf("another session of the same person got %q", a.Body)
		}
		if a := elsewhere.Fetch("/", "X-Session-Data: note=forged", "x_session_data: note=forged"); a.Body != "" {
			t.Errorf("what the visitor says was passed on: %q", a.Body)
		}

		gate.Configure(t, "session: {idle_timeout: 20m}\n"+keeping(app.URL))
		gate.Must(t, "", "reload")
		want("after a reload", "/", "note=hidden%20words%0A%3B")
		if code := gate.Stop(t); code != 0 {
			t.Fatalf("exit status %d", code)
		}
		gate.Run(t)
		want("after a restart", "/", "note=hidden%20words%0A%3B")
		stored, err := os.ReadFile(filepath.Join(gate.Dir, "data", "gatehouse.db"))
		if err != nil || strings.Contains(string(stored), "hidden") {
			t.Errorf("the database shows what was kept, %v", err)
		}

		const second = "a wholly new pass phrase"
		before := dave.Cookie()
		dave.Submit("/_gate/password", url.Values{
			"csrf_token": {dave.Token(dave.Visit("/_gate/"))}, "old_password": {e2e.Password}, "new_password": {second}, "new_password_again": {second},
		})
		if dave.Cookie() == before {
			t.Error("the session has no new id")
		}
		want("after a new password", "/", "note=hidden%20words%0A%3B")
		dave.Fetch("/delete?note")
		want("after it was deleted", "/", "")
		want("the other route still", "/other", "note=others")
		dave.Fetch("/big")
		want("as much as is allowed", "/", "big="+strings.Repeat("b", 4092))
		dave.Fetch("/set?more=1")
		gate.AwaitLog(t, "session data refused")
		want("more than is allowed", "/", "big="+strings.Repeat("b", 4092))

		dave.Logout()
		dave.Login("dave", second)
		want("after a logout", "/", "")
	})
}

// TestSessionDataOfManyAnswers: what a page's many requests set at the same
// moment is all kept, and survives a power cut: it was on disk before it was
// answered.
func TestSessionDataOfManyAnswers(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(notebook))
	t.Cleanup(app.Close)
	gate := e2e.Start(t, e2e.HTTP1, keeping(app.URL))
	alice := gate.Browser(t)
	alice.Login("alice", e2e.Password)
	var all sync.WaitGroup
	for n := range 16 {
		all.Go(func() {
			if a, err := alice.Try(alice.Request("GET", fmt.Sprintf("/set?k%02d=v", n), nil)); err != nil || a.Status != http.StatusOK {
				t.Errorf("%d, %v", a.Status, err)
			}
		})
	}
	all.Wait()
	gate.Kill(t)
	gate.Run(t)
	got := alice.Fetch("/").Body
	for n := range 16 {
		if !strings.Contains(got+";", fmt.Sprintf("k%02d=v;", n)) {
			t.Errorf("k%02d was lost: %q", n, got)
		}
	}
}

// TestSessionDataExamples runs the programs of the manual: those in Python and
// for the shell as CGI programs, that in PHP under PHP's own server.
func TestSessionDataExamples(t *testing.T) {
	t.Parallel()
	manual, err := os.ReadFile(filepath.Join("docs", "session-data.md"))
	if err != nil {
		t.Fatal(err)
	}
	program := func(language string) string {
		found := regexp.MustCompile("(?s)```" + language + "\n(.*?)```").FindSubmatch(manual)
		if found == nil {
			t.Fatalf("no example in %s", language)
		}
		return string(found[1])
	}
	dir := t.TempDir()
	const asCGI = "\nfrom wsgiref.handlers import CGIHandler\nCGIHandler().run(application)\n"
	for name, c := range map[string]struct{ interpreter, text string }{
		"counter.sh":  {"/bin/sh", program("sh")},
		"counter.py":  {"/usr/bin/python3", program("python") + asCGI},
		"counter.php": {"/usr/bin/php", program("php")},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join(dir, name)
			if err := os.WriteFile(file, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			var url string
			if name == "counter.php" {
				url = servePHP(t, c.interpreter, file)
			} else {
				app := httptest.NewServer(&cgi.Handler{Path: c.interpreter, Args: []string{file}, Dir: dir})
				t.Cleanup(app.Close)
				url = app.URL
			}
			gate := e2e.Start(t, e2e.HTTP2, keeping(url))
			alice := gate.Browser(t)
			alice.Login("alice", e2e.Password)
			for n := range 3 {
				if a := alice.Visit("/"); strings.TrimSpace(a.Body) != fmt.Sprintf("You were here %d times.", n+1) {
					t.Fatalf("visit %d: %d %q", n+1, a.Status, a.Body)
				}
			}
		})
	}
}

// servePHP answers every request with the program in file.
func servePHP(t *testing.T, php, file string) (url string) {
	t.Helper()
	addr := e2e.FreeAddr(t)
	cmd := exec.CommandContext(context.Background(), php, "-S", addr, file) //nolint:gosec // an example of ours
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	e2e.Eventually(t, func() error {
		conn, err := new(net.Dialer).DialContext(t.Context(), "tcp", addr)
		if err == nil {
			_ = conn.Close()
		}
		return err
	})
	return "http://" + addr
}
