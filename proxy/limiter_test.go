package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/metrics"
)

// One request more than the route allows is turned away before the upstream
// hears of it; when one ends, the next may come.
func TestMaxRequests(t *testing.T) {
	entered, leave := make(chan bool, 3), make(chan bool)
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		entered <- true
		<-leave
		_, _ = io.WriteString(w, "ok")
	}))
	t.Cleanup(up.Close)
	m := metrics.New("test")
	c := fixture(up.URL)
	c.MaxRequests = 2
	other := fixture(up.URL)
	other.Path = "/other"
	h := open(t, setting{options: func(o *Options) { o.Metrics = m }}, c, other)

	done := make(chan string, 3)
	go func() { done <- h.get(t, "/a", aliceLine) }()
	go func() { done <- h.get(t, "/public/b") }()
	<-entered
	<-entered
	answer := h.get(t, "/c", aliceLine)
	if status(answer) != "503" || !strings.Contains(answer, "Retry-After: 1\r\n") || !strings.Contains(answer, "Vary: Cookie") {
		t.Errorf("one too many: %s", answer)
	}
	if answer := h.get(t, "/c"); status(answer) != "302" {
		t.Errorf("who is not signed in is not counted: %s", answer)
	}
	go func() { done <- h.get(t, "/other/c", aliceLine) }()
	<-entered // another route has its own
	leave <- true
	leave <- true
	leave <- true
	for range 3 {
		if answer := <-done; status(answer) != "200" {
			t.Errorf("within the limit: %s", answer)
		}
	}
	waitFree(t, h)
	go func() { leave <- true }()
	if answer := h.get(t, "/d", aliceLine); status(answer) != "200" {
		t.Errorf("afterwards: %s", answer)
	}
	if log := h.log.String(); strings.Count(log, "max_requests of the route are under way") != 1 {
		t.Errorf("log: %s", log)
	}
	scrape := httptest.NewRecorder()
	m.Handler().ServeHTTP(scrape, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil))
	if want := `gatehouse_upstream_errors_total{kind="busy",route="` + c.label() + `"} 1`; !strings.Contains(scrape.Body.String(), want) {
		t.Errorf("%s is not in %s", want, scrape.Body)
	}
}

// waitFree waits until no slot is taken: an answer is there before its handler
// has returned.
func waitFree(t *testing.T, h *house) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(5 * time.Second); h.proxy.routes[0].limiter.taken.Load() != 0; <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("%d slots are still taken", h.proxy.routes[0].limiter.taken.Load())
		}
	}
}

// A connection that was handed over counts until it ends; so does a request
// whose upstream fails, and no longer.
func TestMaxRequestsUpgraded(t *testing.T) {
	engines(t, func(t *testing.T, s setting) {
		up := record(t, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
		c := fixture(up.url())
		c.MaxRequests = 1
		h := open(t, s, c)
		conn := h.dial(t)
		_, _ = io.WriteString(conn, "GET /x HTTP/1.1\r\nHost: "+host+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"+aliceLine+"\r\n")
		res, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != http.StatusSwitchingProtocols {
			t.Fatalf("status %d", res.StatusCode)
		}
		up.forget()
		if answer := h.get(t, "/y", aliceLine); status(answer) != "503" {
			t.Errorf("beside the open connection: %s", answer)
		}
		up.empty(t)
		_ = conn.Close()
		waitFree(t, h)

		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		_ = l.Close() // nobody listens there any more
		c.Upstream = "http://" + l.Addr().String()
		h = open(t, s, c)
		for range 3 {
			if answer := h.get(t, "/y", aliceLine); status(answer) != "502" {
				t.Errorf("upstream is down: %s", answer)
			}
			waitFree(t, h)
		}
	})
}

func TestBoundsCheck(t *testing.T) {
	for _, tt := range []struct {
		name               string
		change             func(c *RouteConfig)
		problems, warnings int
	}{
		{"defaults", func(*RouteConfig) {}, 0, 0},
		{"usual", func(c *RouteConfig) { c.BufferBody, c.MaxRequests = 1<<20, 100 }, 0, 0},
		{"negative", func(c *RouteConfig) { c.MaxRequests = -1 }, 1, 0},
		{"much memory", func(c *RouteConfig) { c.BufferBody = 17 << 20 }, 0, 1},
		{"much memory, bounded", func(c *RouteConfig) { c.BufferBody, c.MaxRequests = 17<<20, 10 }, 0, 0},
		{"too much memory", func(c *RouteConfig) { c.BufferBody, c.MaxRequests = 2<<30, 10 }, 1, 0},
		{"same_site", func(c *RouteConfig) { c.Cookies.SameSite = "Lax" }, 1, 0},
		{"none in the clear", func(c *RouteConfig) { c.Cookies.SameSite = "none" }, 1, 0},
		{"none", func(c *RouteConfig) { c.Cookies = CookieConfig{SameSite: "none", Secure: true} }, 0, 0},
		{"except without http_only", func(c *RouteConfig) { c.Cookies.Except = []string{"a"} }, 0, 1},
		{"no cookie", func(c *RouteConfig) { c.Cookies = CookieConfig{HTTPOnly: true, Except: []string{"a", "a=b"}} }, 1, 0},
	} {
		c := fixture("http://127.0.0.1:1")
		tt.change(&c)
		if problems, warnings := said(c.Check); len(problems) != tt.problems || len(warnings) != tt.warnings {
			t.Errorf("%s: problems %q, warnings %q", tt.name, problems, warnings)
		}
	}
}
