package proxy

import (
	"errors"
	"net/http"
	"strings"
	"testing"

	"gatehouse/access"
	"gatehouse/auth"
)

func optional(upstream string) RouteConfig {
	c := fixture(upstream)
	c.Access = []access.RuleConfig{{Path: "/catalogue", Optional: true}, {Path: "/static", Public: true}, {}}
	return c
}

// Anybody may see an optional path, and the application is told who is signed
// in: by this session, and never by what a client says.
func TestOptionalIdentity(t *testing.T) {
	engines(t, func(t *testing.T, s setting) {
		up := record(t, okAnswer)
		h := open(t, s, optional(up.url()))
		for _, tt := range []struct{ name, path, who, want string }{
			{"nobody", "/catalogue", "", ""},
			{"signed in", "/catalogue/7", "alice", "alice"},
			{"a session that has ended", "/catalogue", "mallory", ""},
			{"an odd spelling", "/catalogue/a%2Fb", "alice", "alice"},
		} {
			up.forget()
			cookie := ""
			if tt.who != "" {
				cookie = "Cookie: " + ourCookie + "=" + tt.who + "\r\n"
			}
			answer := h.get(t, tt.path, cookie, "X-Forwarded-User: mallory\r\n")
			if status(answer) != "200" || !strings.Contains(answer, "Vary: Cookie") || strings.Contains(answer, "Set-Cookie") {
				t.Errorf("%s: answer %q, want 200 that varies by the cookie and sets none", tt.name, answer)
			}
			if tt.want == "" {
				anonymous(t, up.one(t))
			} else {
				signed(t, up.one(t), tt.want)
			}
			if private := strings.Contains(answer, "Cache-Control: private"); private != (tt.want != "") {
				t.Errorf("%s: answer %q; private is %v", tt.name, answer, private)
			}
		}
		if got := h.gate.active; len(got) != 2 {
			t.Errorf("Active was called for %q, want for the two requests of alice", got)
		}
		up.forget()
		if answer := h.get(t, "/Catalogue"); status(answer) != "302" {
			t.Errorf("another letter case opened the path: %q", answer)
		}
		up.empty(t)
	})
}

// An answer without the identity would sign somebody out who is signed in:
// Django's RemoteUserMiddleware ends its own session then.
func TestOptionalIdentityThatCannotBeTold(t *testing.T) {
	up := record(t, okAnswer)
	h := open(t, setting{gate: &gate{identify: func(*http.Request) (*auth.Identity, error) { return nil, errors.New("the store is away") }}}, optional(up.url()))
	if answer := h.get(t, "/catalogue", aliceLine); status(answer) != "503" || strings.Contains(answer, "Set-Cookie") {
		t.Errorf("answer %q, want a plain 503", answer)
	}
	up.empty(t)
	if answer := h.get(t, "/static", aliceLine); status(answer) != "200" {
		t.Errorf("public: %q", answer)
	}
}

// The shared cache that has the page of one visitor must ask again for
// another, whatever the status.
func TestOptionalAnswersVary(t *testing.T) {
	for _, head := range []string{"304 Not Modified\r\n", "404 Not Found\r\nContent-Length: 0\r\n", "200 OK\r\nVary: Accept\r\nContent-Length: 0\r\n"} {
		up := record(t, "HTTP/1.1 "+head+"Connection: close\r\n\r\n")
		h := open(t, setting{}, optional(up.url()))
		if answer := h.get(t, "/catalogue"); !strings.Contains(answer, "Cookie\r\n") || !strings.Contains(answer, "Vary: ") {
			t.Errorf("answer %q does not vary by the cookie", answer)
		}
	}
	up := record(t, "")
	_ = up.Close() // nobody listens
	h := open(t, setting{}, optional(up.url()))
	if answer := h.get(t, "/catalogue"); status(answer) != "502" || !strings.Contains(answer, "Vary: Cookie") {
		t.Errorf("answer %q, want a 502 that varies by the cookie", answer)
	}
}
