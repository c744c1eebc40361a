//go:build e2e

package gate_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/demo"
	"gatehouse/internal/e2e"
)

// listen serves raw connections.
func listen(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	ln, err := new(net.ListenConfig).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer func() { _ = conn.Close() }()
				serve(conn)
			}()
		}
	}()
	return "http://" + ln.Addr().String()
}

// TestBrokenAnswer: an upstream that goes away in the middle is seen as a
// broken transfer, never as a short answer that looks whole.
func TestBrokenAnswer(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		for name, answer := range map[string]string{
			"with a length": "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat("x", 50_000),
			"in chunks":     "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
		} {
			t.Run(name, func(t *testing.T) {
				url := listen(t, func(conn net.Conn) {
					_, _ = http.ReadRequest(bufio.NewReader(conn))
					_, _ = io.WriteString(conn, answer)
				})
				alice := e2e.Start(t, m, e2e.Standard(url)).Browser(t)
				alice.Login("alice", e2e.Password)
				if a := alice.Fetch("/private"); a.Err == nil {
					t.Errorf("status %d and %d bytes, without an error", a.Status, len(a.Body))
				}
			})
		}
	})
}

// TestNoAnswer: an upstream that closes without a word is 502, one that says
// nothing in time 504, and the request is not sent twice.
func TestNoAnswer(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		var closed, silent atomic.Int32
		closing := listen(t, func(conn net.Conn) {
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				closed.Add(1)
			}
		})
		mute := listen(t, func(conn net.Conn) {
			in := bufio.NewReader(conn)
			if _, err := http.ReadRequest(in); err == nil {
				silent.Add(1)
			}
			_, _ = in.ReadByte() // until the gate gives up
		})
		gate := e2e.Start(t, m, `
routes:
  - {path: /closing, upstream: `+closing+`}
  - {path: /mute, upstream: `+mute+`, timeouts: {response: 300ms}}
`)
		alice := gate.Browser(t)
		alice.Login("alice", e2e.Password)
		if a := alice.Do("POST", "/closing", strings.NewReader("x")); a.Status != http.StatusBadGateway || closed.Load() != 1 {
			t.Errorf("closes: %d after %d requests, want 502 after 1", a.Status, closed.Load())
		}
		begin := time.Now()
		if a := alice.Do("GET", "/mute", nil); a.Status != http.StatusGatewayTimeout || silent.Load() != 1 {
			t.Errorf("says nothing: %d after %d requests, want 504 after 1", a.Status, silent.Load())
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("504 after %s, want 300 ms", took)
		}
	})
}

// TestStaleConnection: an upstream may close a kept connection at any time; a
// request that meets this is sent again on a new one, and nobody notices.
func TestStaleConnection(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		url := listen(t, func(conn net.Conn) {
			if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok") // and closes, which it did not announce
			}
		})
		alice := e2e.Start(t, m, e2e.Standard(url)).Browser(t)
		alice.Login("alice", e2e.Password)
		for i := range 50 {
			if a := alice.Fetch("/private"); a.Status != http.StatusOK || a.Body != "ok" {
				t.Fatalf("request %d: %d %q", i, a.Status, a.Body)
			}
		}
	})
}

// TestEarlyAnswer: an upstream that answers before it has read the body, and
// closes, is heard.
func TestEarlyAnswer(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		url := listen(t, func(conn net.Conn) {
			in := bufio.NewReader(conn)
			if _, err := http.ReadRequest(in); err != nil {
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 413 Request Entity Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n")
			_, _ = io.CopyN(io.Discard, in, 100_000) // some of it, so that the answer is not lost to a reset
		})
		alice := e2e.Start(t, m, e2e.Standard(url)).Browser(t)
		alice.Login("alice", e2e.Password)
		body, writer := io.Pipe()
		go func() {
			_, _ = io.WriteString(writer, strings.Repeat("x", 50_000))
			// and no end: the answer has to come without it
		}()
		defer func() { _ = writer.Close() }()
		if a := alice.Send(alice.Request("POST", "/private", body)); a.Status != http.StatusRequestEntityTooLarge {
			t.Errorf("status %d, want 413", a.Status)
		}
	})
}

// TestSlowVisitors: who sends a header or a form of ours drop by drop is cut
// off after 10 s, whatever is dripping.
func TestSlowVisitors(t *testing.T) {
	t.Parallel()
	gate := e2e.Start(t, e2e.HTTP1, e2e.Standard(e2e.Record(t).URL))
	for name, begin := range map[string]string{
		"header": "GET / HTTP/1.1\r\nHost: " + e2e.Host + "\r\n",
		"form":   "POST /_gate/login HTTP/1.1\r\nHost: " + e2e.Host + "\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			conn := gate.Dial(t)
			_, _ = io.WriteString(conn, begin)
			stop := make(chan struct{})
			defer close(stop)
			go func() {
				for tick := time.NewTicker(500 * time.Millisecond); ; {
					select {
					case <-tick.C:
						_, _ = io.WriteString(conn, "a")
					case <-stop:
						tick.Stop()
						return
					}
				}
			}()
			if got, ended := e2e.ReadFor(conn, 20*time.Second); !ended {
				t.Errorf("still open after 20 s, read %q", got)
			}
		})
	}
}

// TestDemoApplication: what `gatehouse demo` shows is true.
func TestDemoApplication(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		_, alice := behind(t, m, demo.New().ServeHTTP)
		if a := alice.Visit("/headers", "X-Forwarded-User: root"); !strings.Contains(a.Body, `"user": "alice"`) || strings.Contains(a.Body, "root") {
			t.Errorf("/headers:\n%s", a.Body)
		}
		if a := alice.Visit("/admin"); a.Status != http.StatusForbidden {
			t.Errorf("/admin: %d, want 403", a.Status)
		}
		if a := alice.Visit("/broken"); a.Err == nil {
			t.Errorf("/broken: %d and %d bytes, without an error", a.Status, len(a.Body))
		}
	})
}
