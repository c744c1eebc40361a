//go:build e2e

package gate_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/demo"
	"gatehouse/internal/e2e"
)

// endless is an application with answers and bodies that have no end, and how
// many of them it is at.
type endless struct {
	url  string
	open atomic.Int64
}

func newEndless(t *testing.T) *endless {
	t.Helper()
	a := &endless{}
	s := httptest.NewServer(a)
	t.Cleanup(s.Close) // it waits until nothing is under way
	a.url = s.URL
	return a
}

func (a *endless) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.open.Add(1)
	defer a.open.Add(-1)
	switch r.URL.Path {
	case "/events":
		w.Header().Set("Content-Type", "text/event-stream")
		_ = every(10*time.Millisecond, func() error {
			_, err := io.WriteString(w, "data: x\n\n")
			return errors.Join(err, http.NewResponseController(w).Flush(), r.Context().Err())
		})
	case "/download":
		w.Header().Set("Content-Length", strconv.Itoa(1<<40))
		_ = every(10*time.Millisecond, func() error {
			_, err := io.CopyN(w, letters{}, 32<<10)
			return errors.Join(err, http.NewResponseController(w).Flush())
		})
	case "/upload":
		_, _ = io.Copy(io.Discard, r.Body)
	case "/echo":
		demo.New().ServeHTTP(w, r)
	}
}

// every calls f again and again until it fails.
func every(d time.Duration, f func() error) error {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		if err := f(); err != nil {
			return err
		}
		<-tick.C
	}
}

// underWay is something of a visitor's that has no end.
type underWay struct {
	name  string
	ended chan struct{}
}

// openAll opens one stream of each kind, and returns when all are under way.
func openAll(t *testing.T, gate *e2e.Gate, b *e2e.Browser, app *endless) []underWay {
	t.Helper()
	before := app.open.Load()
	list := []underWay{openSocket(t, gate, b), openUpload(t, b)}
	for _, path := range []string{"/events", "/download"} {
		body := b.Stream(b.Request("GET", path, nil, "Accept: */*"))
		if _, err := io.ReadFull(body, make([]byte, 5)); err != nil {
			t.Fatalf("%s: %v", path, err)
		}
		s := underWay{path, make(chan struct{})}
		go func() {
			defer close(s.ended)
			_, _ = io.Copy(io.Discard, body)
		}()
		list = append(list, s)
	}
	e2e.Eventually(t, func() error {
		if n := app.open.Load() - before; n < int64(len(list)) {
			return fmt.Errorf("%d of %d streams have reached the application", n, len(list))
		}
		return nil
	})
	return list
}

func openSocket(t *testing.T, gate *e2e.Gate, b *e2e.Browser) underWay {
	t.Helper()
	conn := gate.Dial(t)
	_, _ = fmt.Fprintf(conn, "GET /echo HTTP/1.1\r\nHost: %s\r\nCookie: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", e2e.Host, b.CookieLine())
	in := bufio.NewReader(conn)
	if line, err := in.ReadString('\n'); !strings.HasPrefix(line, "HTTP/1.1 101 ") {
		t.Fatalf("WebSocket: %q, %v", line, err)
	}
	s := underWay{"WebSocket", make(chan struct{})}
	go func() {
		defer close(s.ended)
		_, _ = io.Copy(io.Discard, in)
	}()
	return s
}

func openUpload(t *testing.T, b *e2e.Browser) underWay {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(cancel)
	body, writer := io.Pipe()
	go func() {
		err := every(10*time.Millisecond, func() error {
			_, err := io.CopyN(writer, letters{}, 1<<10)
			return err
		})
		_ = writer.CloseWithError(err)
	}()
	s := underWay{"upload", make(chan struct{})}
	go func() {
		defer close(s.ended)
		a, err := b.Try(b.Request("POST", "/upload", body).WithContext(ctx))
		_ = body.Close()
		if err == nil && a.Status == http.StatusOK {
			t.Errorf("half an upload was answered with %d", a.Status)
		}
	}()
	return s
}

// awaitCut waits until all of them have ended, on both sides.
func awaitCut(t *testing.T, why string, list []underWay, app *endless, left int64) {
	t.Helper()
	began := time.Now()
	for _, s := range list {
		select {
		case <-s.ended:
		case <-time.After(e2e.Patience):
			t.Errorf("%s: %s goes on", why, s.name)
		}
	}
	t.Logf("%s: cut within %s", why, time.Since(began).Round(time.Millisecond))
	e2e.Eventually(t, func() error {
		if n := app.open.Load(); n > left {
			return fmt.Errorf("%s: the application is still at %d of them", why, n-left)
		}
		return nil
	})
}

// protocols runs f over HTTP/1.1 and HTTP/2.
func protocols(t *testing.T, f func(t *testing.T, m e2e.Mode)) {
	t.Helper()
	t.Parallel()
	for _, m := range []e2e.Mode{e2e.HTTP1, e2e.HTTP2} {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			f(t, m)
		})
	}
}

// endings does so with an application that never ends.
func endings(t *testing.T, f func(t *testing.T, m e2e.Mode, app *endless)) {
	t.Helper()
	protocols(t, func(t *testing.T, m e2e.Mode) {
		t.Helper()
		f(t, m, newEndless(t))
	})
}

// TestWhoeverEndsASessionCutsItsStreams: of each kind, by each hand.
func TestWhoeverEndsASessionCutsItsStreams(t *testing.T) {
	endings(t, func(t *testing.T, m e2e.Mode, app *endless) {
		t.Helper()
		gate := e2e.Start(t, m, e2e.Standard(app.url))
		password := e2e.Password
		gate.Must(t, password+"\n", "user", "add", "dave", "--password-stdin")
		newPassword := func(b *e2e.Browser) {
			old := password
			password = "no longer " + old
			a := b.Submit("/_gate/password", url.Values{
				"csrf_token": {b.Token(b.Visit("/_gate/"))}, "old_password": {old}, "new_password": {password}, "new_password_again": {password},
			})
			if a.Status != http.StatusSeeOther {
				t.Fatalf("change of the password: %d\n%s", a.Status, a.Body)
			}
		}
		for _, c := range []struct {
			why string
			end func(here, there *e2e.Browser) // the streams are here
		}{
			{"logout", func(here, _ *e2e.Browser) { here.Logout() }},
			{"sessions/end-others", func(_, there *e2e.Browser) {
				there.Submit("/_gate/sessions/end-others", url.Values{"csrf_token": {there.Token(there.Visit("/_gate/"))}})
			}},
			{"a new password here", func(here, _ *e2e.Browser) { newPassword(here) }},
			{"a new password there", func(_, there *e2e.Browser) { newPassword(there) }},
			{"session revoke ID", func(*e2e.Browser, *e2e.Browser) {
				for _, line := range strings.Split(strings.TrimSpace(gate.Must(t, "", "session", "list", "--user", "dave")), "\n")[1:] {
					gate.Must(t, "", "session", "revoke", strings.Fields(line)[0])
				}
			}},
			{"session revoke --user", func(*e2e.Browser, *e2e.Browser) { gate.Must(t, "", "session", "revoke", "--user", "dave") }},
			{"user passwd", func(*e2e.Browser, *e2e.Browser) {
				password = "wholly " + password
				gate.Must(t, password+"\n", "user", "passwd", "dave", "--password-stdin")
			}},
			{"user disable", func(*e2e.Browser, *e2e.Browser) { gate.Must(t, "", "user", "disable", "dave") }},
			{"user delete", func(*e2e.Browser, *e2e.Browser) {
				gate.Must(t, "", "user", "enable", "dave") // nothing of before comes back to life
				gate.Must(t, "", "user", "delete", "dave")
			}},
		} {
			if c.why == "user delete" {
				gate.Must(t, "", "user", "enable", "dave")
			}
			here, there := gate.Browser(t), gate.Browser(t)
			here.Login("dave", password)
			if strings.Contains(c.why, "other") || strings.Contains(c.why, "there") {
				there.Login("dave", password)
			}
			list := openAll(t, gate, here, app)
			c.end(here, there)
			awaitCut(t, c.why, list, app, 0)
		}
	})
}

// TestReloadCutsStreams of people whose account in the file has gone, is
// disabled, or has another password; and nobody else's.
func TestReloadCutsStreams(t *testing.T) {
	endings(t, func(t *testing.T, m e2e.Mode, app *endless) {
		t.Helper()
		gate := e2e.Start(t, m, e2e.Standard(app.url))
		browsers, streams := map[string]*e2e.Browser{}, map[string][]underWay{}
		for _, name := range []string{"alice", "bob", "carol", "long72"} {
			password := e2e.Password
			if name == "long72" {
				password = strings.Repeat("a", 72)
			}
			browsers[name] = gate.Browser(t)
			browsers[name].Login(name, password)
			streams[name] = openAll(t, gate, browsers[name], app)
		}
		other := strings.TrimSpace(gate.Must(t, "a wholly new pass phrase\n", "hash"))
		same := strings.TrimSpace(strings.Split(strings.Split(gate.Config(t), "{name: long72, password_hash: ")[1], "}")[0])
		gate.Configure(t, fmt.Sprintf("users:\n  - {name: bob, password_hash: %[2]s, disabled: true}\n  - {name: carol, password_hash: %[1]q}\n"+
			"  - {name: long72, password_hash: %[2]s, groups: [admins]}\n", other, same)+e2e.Standard(app.url))
		gate.Must(t, "", "reload")
		awaitCut(t, "gone", streams["alice"], app, 12)
		awaitCut(t, "disabled", streams["bob"], app, 8)
		awaitCut(t, "another hash", streams["carol"], app, 4)
		for _, s := range streams["long72"] {
			select {
			case <-s.ended:
				t.Errorf("%s of somebody whom the reload does not concern was cut", s.name)
			default:
			}
		}
		if out := gate.Must(t, "", "session", "list"); strings.Count(out, "\n") != 2 || !strings.Contains(out, "long72") {
			t.Errorf("sessions after the reload:\n%s", out)
		}
		browsers["long72"].Logout()
		awaitCut(t, "logout", streams["long72"], app, 0)
	})
}

// TestExpiryCutsStreams: to be open, or to move, is no use of the session.
func TestExpiryCutsStreams(t *testing.T) {
	for why, times := range map[string]string{
		"idle time": "session: {idle_timeout: 8s, activity: {transfers: false, sockets: false}}\n",
		"max age":   "session: {idle_timeout: 0, max_age: 8s}\n",
	} {
		t.Run(why, func(t *testing.T) {
			endings(t, func(t *testing.T, m e2e.Mode, app *endless) {
				t.Helper()
				gate := e2e.Start(t, m, times+e2e.Standard(app.url))
				alice := gate.Browser(t)
				alice.Login("alice", e2e.Password)
				awaitCut(t, why, openAll(t, gate, alice, app), app, 0)
				if alice.SignedInAs() != "" {
					t.Error("the streams were cut, and the session lives")
				}
				gate.AwaitLog(t, "session.expired")
			})
		})
	}
}

// TestTransferOutlivesTheIdleTime: a download that takes longer than the idle
// time is whole, and its owner is signed in still.
func TestTransferOutlivesTheIdleTime(t *testing.T) {
	t.Parallel()
	const pieces, size = 11, 64 << 10
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", strconv.Itoa(pieces*size))
		for range pieces {
			_, _ = w.Write(make([]byte, size))
			_ = http.NewResponseController(w).Flush()
			time.Sleep(500 * time.Millisecond)
		}
	}))
	t.Cleanup(app.Close)
	alice := e2e.Start(t, e2e.HTTP1, "session: {idle_timeout: 4s}\n"+e2e.Standard(app.URL)).Browser(t)
	alice.Login("alice", e2e.Password)
	if a := alice.Fetch("/file"); a.Err != nil || len(a.Body) != pieces*size {
		t.Errorf("%d bytes of %d came, error %v", len(a.Body), pieces*size, a.Err)
	}
	if got := alice.SignedInAs(); got != "alice" {
		t.Errorf("signed in as %q after the download", got)
	}
}

// TestIgnoredPathsKeepNoSessionAlive: a poll in a forgotten tab.
func TestIgnoredPathsKeepNoSessionAlive(t *testing.T) {
	t.Parallel()
	gate := e2e.Start(t, e2e.HTTP1, "session: {idle_timeout: 6s, activity: {ignore: [/api/poll], background: false}}\n"+e2e.Standard(e2e.Serve(t, "app")))
	poller, script, person := gate.Browser(t), gate.Browser(t), gate.Browser(t)
	for _, b := range []*e2e.Browser{poller, script, person} {
		b.Login("alice", e2e.Password)
	}
	last := time.Now()
	e2e.Eventually(t, func() error {
		a := person.Submit("/", url.Values{"a": {"b"}})
		switch pause := time.Since(last); {
		case a.Status == http.StatusOK:
		case pause < 5*time.Second:
			t.Fatalf("somebody who has sent a form %s before was signed out: %d", pause, a.Status)
		default: // by a machine that is too busy
			person.Login("alice", e2e.Password)
		}
		last = time.Now()
		if a, b := poller.Visit("/api/poll"), script.Fetch("/"); a.Status == http.StatusOK || b.Status == http.StatusOK {
			return fmt.Errorf("still signed in: who polls %d, whose script asks %d", a.Status, b.Status)
		}
		return nil
	})
}
