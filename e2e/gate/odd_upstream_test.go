//go:build e2e

package gate_test

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	"gatehouse/internal/e2e"
)

// TestNobodyGetsAnothersNTLMLogin: an application such as IIS signs in a
// connection. Whoever signed it in keeps it, to the end of the visitor's own
// connection, and nobody else gets it.
func TestNobodyGetsAnothersNTLMLogin(t *testing.T) {
	url := listen(t, func(conn net.Conn) {
		in, who := bufio.NewReader(conn), ""
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			challenge := "NTLM"
			switch token := strings.TrimPrefix(r.Header.Get("Authorization"), "NTLM "); {
			case token == "TYPE1":
				challenge = "NTLM CHALLENGE"
			case strings.HasPrefix(token, "TYPE3-"):
				who = strings.TrimPrefix(token, "TYPE3-")
			}
			if who == "" {
				_, _ = fmt.Fprintf(conn, "HTTP/1.1 401 Access Denied\r\nWWW-Authenticate: %s\r\nContent-Length: 0\r\n\r\n", challenge)
				continue
			}
			_, _ = fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\nhello %s", len(who)+6, who)
		}
	})
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		gate := e2e.Start(t, m, e2e.Standard(url))
		alice, bob := gate.Browser(t), gate.Browser(t)
		alice.Login("alice", e2e.Password)
		bob.Login("bob", e2e.Password)
		get := func(b *e2e.Browser, authorization string) string {
			r := b.Request("GET", "/private", nil)
			if authorization != "" {
				r.Header.Set("Authorization", "NTLM "+authorization)
			}
			a, err := b.Try(r)
			if err != nil {
				t.Fatal(err)
			}
			if a.Status == http.StatusUnauthorized {
				return a.Header.Get("Www-Authenticate")
			}
			return a.Body
		}
		for _, step := range []struct {
			who       *e2e.Browser
			say, want string
		}{
			{bob, "", "NTLM"},
			{alice, "", "NTLM"},
			{alice, "TYPE1", "NTLM CHALLENGE"},
			{alice, "TYPE3-alice", "hello alice"},
			{bob, "", "NTLM"},
			{alice, "", "hello alice"},
			{bob, "TYPE1", "NTLM CHALLENGE"},
			{bob, "TYPE3-bob", "hello bob"},
			{alice, "", "hello alice"},
			{bob, "", "hello bob"},
		} {
			if got := get(step.who, step.say); got != step.want {
				t.Errorf("%q: got %q, want %q", step.say, got, step.want)
			}
		}
	})
}

// TestOddUpstreams: what an application answers that is old, odd or broken
// comes through as far as it can.
func TestOddUpstreams(t *testing.T) {
	t.Parallel()
	var conns atomic.Int32
	url := listen(t, func(conn net.Conn) {
		conns.Add(1)
		in := bufio.NewReader(conn)
		for {
			r, err := http.ReadRequest(in)
			if err != nil {
				return
			}
			switch r.URL.Path {
			case "/old":
				_, _ = io.WriteString(conn, "HTTP/1.0 200 OK\nContent-Type: text/plain\nodd line\nX-A : b\n\nhello")
				return
			case "/half":
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
				return
			}
			_, _ = io.WriteString(conn, "HTTP/1.1 200 Everything is fine\r\nContent-Length: 2\r\n\r\nok")
		}
	})
	admin := e2e.FreeAddr(t)
	gate := e2e.Start(t, e2e.Mode{}, `
admin: {listen: `+admin+`}
log: {access: false}
routes:
  - {path: /, upstream: `+url+`, access: [{public: true}]}
  - {path: /old, upstream: `+url+`, upstream_http: lenient, access: [{public: true}]}
  - {path: /each, upstream: `+url+`, upstream_reuse: false, access: [{public: true}]}
`)
	b := gate.Browser(t)
	if a := b.Fetch("/old"); a.Status != http.StatusOK || a.Body != "hello" || a.Header.Get("X-A") != "b" {
		t.Errorf("old: %d %q %v", a.Status, a.Body, a.Header)
	}
	gate.AwaitLog(t, "line of an answer's header dropped")
	conn := gate.Dial(t)
	_, _ = io.WriteString(conn, "GET /fine HTTP/1.1\r\nHost: "+e2e.Host+"\r\nConnection: close\r\n\r\n")
	if all, _ := io.ReadAll(conn); !strings.HasPrefix(string(all), "HTTP/1.1 200 Everything is fine\r\n") || !strings.HasSuffix(string(all), "ok") {
		t.Errorf("reason: %q", all)
	}
	if a := b.Fetch("/half"); a.Status != http.StatusOK || a.Err == nil || a.Body != "half" {
		t.Errorf("half: %d %q %v", a.Status, a.Body, a.Err)
	}
	gate.AwaitLog(t, "upstream broke off its answer")
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+admin+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	if metrics, _ := io.ReadAll(res.Body); !strings.Contains(string(metrics), `gatehouse_upstream_errors_total{kind="truncated",route="/"} 1`) {
		t.Error("the broken answer is not counted")
	}
	before := conns.Load()
	for range 3 {
		b.Fetch("/each")
	}
	if n := conns.Load() - before; n != 3 {
		t.Errorf("%d connections for 3 requests", n)
	}
	if log := gate.Log(); strings.Count(log, "broke off")+strings.Count(log, "request failed") != 2 {
		t.Errorf("the broken answer has more than the one line that says both:\n%s", log)
	}
}
