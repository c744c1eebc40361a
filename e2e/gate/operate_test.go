//go:build e2e

package gate_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/coder/websocket"

	"gatehouse/internal/demo"
	"gatehouse/internal/e2e"
)

// TestAdminListener: what machines ask, on an address of its own, and not on
// the visitors'.
func TestAdminListener(t *testing.T) {
	t.Parallel()
	admin := e2e.FreeAddr(t)
	gate := e2e.Start(t, e2e.HTTP1, "admin: {listen: "+admin+"}\n"+e2e.Standard(e2e.Serve(t, "app")))
	alice := gate.Browser(t)
	alice.Login("alice", e2e.Password)
	alice.Fetch("/private/a-secret-path")
	gate.Browser(t).TryLogin("bob", "not the password", "/")
	ask := func(path string) (int, string) {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+admin+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = resp.Body.Close() }()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return resp.StatusCode, string(body)
	}
	for _, path := range []string{"/healthz", "/readyz"} {
		if status, body := ask(path); status != http.StatusOK {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	_, metrics := ask("/metrics")
	for _, name := range []string{
		"gatehouse_http_requests_total{", "gatehouse_http_request_duration_seconds", `gatehouse_logins_total{result="success"} 1`,
		"gatehouse_sessions 1", "gatehouse_live_streams", "gatehouse_config_last_reload_successful 1", "gatehouse_build_info{",
	} {
		if !strings.Contains(metrics, name) {
			t.Errorf("%s is not among the metrics", name)
		}
	}
	for _, private := range []string{"alice", "bob", "a-secret-path"} {
		if strings.Contains(metrics, private) {
			t.Errorf("%q is in the metrics", private)
		}
	}
	for _, path := range []string{"/metrics", "/readyz"} {
		if a := gate.Browser(t).Fetch(path); a.Status != http.StatusUnauthorized {
			t.Errorf("%s for visitors: %d, want the gate's 401", path, a.Status)
		}
	}
}

// TestNothingLeaks: after visitors of all kinds, also those who leave in the
// middle, the process holds hardly more connections than before.
func TestNothingLeaks(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		gate, alice := behind(t, m, demo.New().ServeHTTP)
		alice.Fetch("/")
		// Sockets alone: the pipes that net splices with are kept for reuse.
		sockets := func() (n int) {
			links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", gate.PID()))
			if err != nil {
				t.Fatal(err)
			}
			for _, link := range links {
				if to, _ := os.Readlink(link); strings.HasPrefix(to, "socket:") {
					n++
				}
			}
			return n
		}
		before := sockets()
		var gone []*e2e.Browser
		for range 20 {
			b := gate.Browser(t).With(alice)
			gone = append(gone, b)
			ctx, leave := context.WithCancel(t.Context())
			for _, path := range []string{"/events", "/slow?s=20", "/broken", "/download?n=100000000"} {
				go func() { _, _ = b.Try(b.Request("GET", path, nil).WithContext(ctx)) }()
			}
			body, writer := io.Pipe()
			go func() { _, _ = b.Try(b.Request("POST", "/upload", body).WithContext(ctx)) }()
			_, _ = io.WriteString(writer, "begun")
			if !m.HTTP2 {
				url := strings.Replace(b.Base, "http", "ws", 1) + "/echo"
				if conn, _, err := websocket.Dial(ctx, url, &websocket.DialOptions{HTTPClient: b.Client}); err == nil { //nolint:bodyclose // the library owns it
					_ = conn.CloseNow()
				}
			}
			leave()
			_ = writer.CloseWithError(context.Canceled)
		}
		e2e.Eventually(t, func() error {
			for _, b := range gone { // also what was still being dialled when its request was given up
				b.Client.CloseIdleConnections()
			}
			// A few connections to the application are kept for the next visitor.
			if now := sockets(); now > before+20 {
				return fmt.Errorf("%d sockets, %d at first", now, before)
			}
			return nil
		})
	})
}
