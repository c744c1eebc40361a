package proxy

import (
	"net/http"
	"strings"
	"testing"

	"gatehouse/internal/web"
)

// Adding a filter is a function and one line in its list. A request filter
// that refuses answers in place of the upstream; an answer filter that refuses
// turns the answer away.
func TestAddedFilters(t *testing.T) {
	up := record(t, okAnswer)
	h := open(t, setting{}, fixture(up.url()))
	r := h.proxy.routes[0]
	r.requestFilters = append(r.requestFilters, func(s *exchange, out *outgoing) error {
		if s.in.Header.Get("X-Toy") == "refuse" {
			return web.Refuse(http.StatusTeapot, "")
		}
		out.set("X-Toy-Request", s.route.label)
		return nil
	})
	r.answerFilters = append(r.answerFilters, func(s *exchange, status int, h http.Header) error {
		if s.in.Header.Get("X-Toy") == "refuse the answer" {
			return http.ErrNotSupported
		}
		h.Set("X-Toy-Answer", http.StatusText(status))
		return nil
	})
	if answer := h.get(t, "/x", aliceLine); status(answer) != "200" || !strings.Contains(answer, "X-Toy-Answer: OK\r\n") {
		t.Errorf("answer %s", answer)
	}
	if seen := up.one(t); !strings.Contains(seen, "X-Toy-Request: "+host+"/\r\n") {
		t.Errorf("the upstream saw %s", seen)
	}
	up.forget()
	if answer := h.get(t, "/x", aliceLine+"X-Toy: refuse\r\n"); status(answer) != "418" {
		t.Errorf("refused: %s", answer)
	}
	up.empty(t)
	if answer := h.get(t, "/x", aliceLine+"X-Toy: refuse the answer\r\n"); status(answer) != "502" || strings.Contains(answer, "\r\n\r\nok") {
		t.Errorf("refused answer: %s", answer)
	}
}

// A route pays for no filter that it does not use.
func TestFiltersOfARoute(t *testing.T) {
	plain := fixture("http://127.0.0.1:1")
	full := plain
	full.Path, full.StripPrefix, full.Sticky, full.SessionData = "/app", true, "member", true
	full.Rewrite = RewriteConfig{URLs: true, Cookies: true}
	full.ResponseHeaders.Set = map[string]string{"X-A": "b"}
	full.RequestHeaders.Set = map[string]string{"X-A": "b"}
	var request, answer []int
	for _, c := range []RouteConfig{plain, full} {
		r, err := newRoute(&c, IdentityConfig{}, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(r.upstream.Close)
		request, answer = append(request, len(r.requestFilters)), append(answer, len(r.answerFilters))
	}
	if request[1]-request[0] != 5 || answer[1]-answer[0] != 5 {
		t.Errorf("%v filters of requests and %v of answers", request, answer)
	}
}

// What depends on the session says so in Vary, whoever answers; what does not
// can be shared by caches.
func TestVaryBySession(t *testing.T) {
	up := record(t, okAnswer)
	c := fixture(up.url())
	c.Upgrade = []string{"websocket"}
	h := open(t, setting{}, c)
	webSocket := "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: x\r\nOrigin: https://evil.test\r\n"
	for _, tt := range []struct {
		name, request, status string
		want                  bool
	}{
		{"forwarded", "GET /x", "200", true},
		{"public", "GET /public/x", "200", false},
		{"denied", "GET /admin/x", "403", true},
		{"another site's WebSocket", "GET /x", "403", true},
		{"destination", "COPY /x", "403", true},
		{"bad path", "GET /x%00/../_gate/login", "400", false},
		{"bad method", "TRACE /x", "405", false},
	} {
		lines := aliceLine
		switch tt.name {
		case "another site's WebSocket":
			lines += webSocket
		case "destination":
			lines += "Destination: /admin/x\r\n"
		}
		answer := h.raw(t, tt.request+" HTTP/1.1\r\nHost: "+host+"\r\n"+lines+"\r\n")
		if got := strings.Contains(answer, "Vary: Cookie"); status(answer) != tt.status || got != tt.want {
			t.Errorf("%s: Vary is %v, want %v, in %s", tt.name, got, tt.want, answer)
		}
	}
}
