package proxy

import (
	"io"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/web"
)

// What a route sets or removes a client cannot say in another spelling, nor
// behind the body, nor by a trusted proxy.
func TestRouteHeadersCannotBeSmuggled(t *testing.T) {
	engines(t, func(t *testing.T, s setting) {
		up := record(t, okAnswer)
		for _, mode := range []string{strictNames, anyNames} {
			c := fixture(up.url())
			c.HeaderNames = mode
			c.RequestHeaders = HeaderConfig{
				Set:    map[string]string{"X-Script-Name": "/wiki", "authorization": "Basic b3VyczpvdXJz", "X-Forwarded-Prefix": "/wiki"},
				Remove: []string{"x-debug", "X-Http-Method-Override"},
			}
			s.trusted = web.Networks{netip.MustParsePrefix("127.0.0.0/8")}
			h := open(t, s, c)
			for _, name := range []string{"X-Script-Name", "Authorization", "X-Forwarded-Prefix", "X-Debug", "X-HTTP-Method-Override"} {
				for _, spelling := range spellings(name) {
					up.forget()
					answer := h.raw(t, "POST /public/x HTTP/1.1\r\nHost: "+host+"\r\nConnection: close, X-Script-Name\r\n"+spelling+": evil\r\n"+
						"Trailer: "+spelling+"\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n"+spelling+": evil\r\n\r\n")
					if status(answer) != "200" {
						t.Fatalf("%s: %s", spelling, answer)
					}
					request := up.one(t)
					if strings.Contains(request, "evil") || strings.Contains(strings.ToLower(request), "trailer:") {
						t.Errorf("header_names %s: %q reached the upstream: %q", mode, spelling, request)
					}
					for _, want := range []string{"X-Script-Name: /wiki", "Authorization: Basic b3VyczpvdXJz", "X-Forwarded-Prefix: /wiki"} {
						if got := linesNamed(request, want[:strings.Index(want, ":")]); !slices.Equal(got, []string{want}) {
							t.Errorf("%s: got %q, want %q", spelling, got, want)
						}
					}
				}
			}
		}
	})
}

// A final answer has what the route sets; an interim one has neither ours nor
// theirs.
func TestResponseHeaders(t *testing.T) {
	up := record(t, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nServer: theirs\r\nX-Frame-Options: ALLOW\r\nX-Powered-By: PHP\r\n\r\n"+
		"HTTP/1.1 200 OK\r\nX_Frame_Options: ALLOW\r\nx-frame-options: ALLOW\r\nX-Frame-Options: ALLOW\r\nServer: theirs\r\nX-Powered-By: PHP\r\n"+
		"Cache-Control: public\r\nVary: Accept\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n1\r\na\r\n0\r\nX-Powered-By: PHP\r\nX-Sum: 1\r\n\r\n")
	engines(t, func(t *testing.T, s setting) {
		c := fixture(up.url())
		c.ResponseHeaders = HeaderConfig{
			Set:    map[string]string{"x-frame-options": "DENY", "Server": "ours"},
			Remove: []string{"X-Powered-By", "cache-control", "Vary"},
		}
		h := open(t, s, c)
		conn := h.dial(t)
		_, _ = io.WriteString(conn, "GET /x HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\nTE: trailers\r\n"+aliceLine+"\r\n")
		b, err := io.ReadAll(conn)
		if err != nil {
			t.Fatal(err)
		}
		interim, rest, _ := strings.Cut(string(b), "\r\n\r\n")
		final, body, _ := strings.Cut(rest, "\r\n\r\n")
		if !strings.HasPrefix(interim, "HTTP/1.1 103 ") || !strings.Contains(interim, "Link: </a.css>") {
			t.Errorf("interim answer %q", interim)
		}
		for _, not := range []string{"theirs", "ours", "DENY", "ALLOW", "PHP"} {
			if strings.Contains(interim, not) {
				t.Errorf("interim answer %q has %s", interim, not)
			}
		}
		for _, not := range []string{"theirs", "ALLOW", "PHP", "public", "Accept"} {
			if strings.Contains(final+body, not) {
				t.Errorf("final answer %q has %s", rest, not)
			}
		}
		for _, want := range []string{"X-Frame-Options: DENY", "Server: ours", "Cache-Control: private", "Vary: Cookie"} {
			if strings.Count(final, "\r\n"+want) != 1 {
				t.Errorf("final answer %q has not one %q", final, want)
			}
		}
		if !strings.Contains(body, "X-Sum: 1") {
			t.Errorf("the other trailer is lost: %q", body)
		}
	})
}

// Our own pages and refusals keep the headers that protect them.
func TestResponseHeadersAreTheUpstreams(t *testing.T) {
	up := record(t, okAnswer)
	c := fixture(up.url())
	c.ResponseHeaders = HeaderConfig{Set: map[string]string{"Content-Security-Policy": "default-src *"}, Remove: []string{"X-Frame-Options"}}
	h := open(t, setting{}, c)
	if answer := h.get(t, "/admin/x", aliceLine); status(answer) != "403" || strings.Contains(answer, "default-src *") || !strings.Contains(answer, "X-Frame-Options: DENY") {
		t.Errorf("refusal: %s", answer)
	}
	if answer := h.get(t, "/x", aliceLine); !strings.Contains(answer, "default-src *") {
		t.Errorf("answer: %s", answer)
	}
}

func TestHeaderCheck(t *testing.T) {
	set := func(name, value string) HeaderConfig { return HeaderConfig{Set: map[string]string{name: value}} }
	for _, tt := range []struct {
		name     string
		in, out  HeaderConfig
		problems int
	}{
		{"nothing", HeaderConfig{}, HeaderConfig{}, 0},
		{"what applications want", HeaderConfig{
			Set:    map[string]string{"X-Script-Name": "/a", "Authorization": "Basic eA==", "X-Forwarded-Prefix": "/a", "X-Forwarded-Ssl": "on", "Accept-Encoding": "identity"},
			Remove: []string{"Expect", "Sec-WebSocket-Extensions", "X-HTTP-Method-Override", "Accept-Language"},
		}, HeaderConfig{
			Set:    map[string]string{"X-Frame-Options": "DENY", "Strict-Transport-Security": "max-age=1", "Cache-Control": "private", "Vary": "Accept"},
			Remove: []string{"Server", "Set-Cookie", "Location", "X-Powered-By"},
		}, 0},
		{"two spellings", HeaderConfig{Set: map[string]string{"X-A": "1", "x_a": "2"}}, HeaderConfig{}, 1},
		{"set and removed", HeaderConfig{Set: map[string]string{"X-A": "1"}, Remove: []string{"x-a"}}, HeaderConfig{}, 1},
		{"removed twice", HeaderConfig{Remove: []string{"X-A", "x-a"}}, HeaderConfig{Remove: []string{"X-A", "x-a"}}, 2},
		{"no name", set("", "x"), set("a b", "x"), 2},
		{"colon", set("X-A:", "x"), HeaderConfig{Remove: []string{"X-A: b"}}, 2},
		{"empty value", set("X-A", ""), set("X-A", ""), 2},
		{"line break", set("X-A", "a\r\nX-Forwarded-User: root"), set("X-A", "a\nSet-Cookie: a=b"), 2},
		{"NUL", set("X-A", "a\x00"), set("X-A", "\x7f"), 2},
		{"spaces at the ends", set("X-A", " a"), set("X-A", "a "), 2},
		{"of the route's identity", set("x.sso_user", "root"), HeaderConfig{Remove: []string{"X-SSO-User"}}, 2},
	} {
		c := fixture("http://127.0.0.1:1")
		c.Identity = &IdentityConfig{Headers: map[string]string{"X-SSO-User": "username"}}
		c.RequestHeaders, c.ResponseHeaders = tt.in, tt.out
		problems, warnings := said(c.Check)
		if len(problems) != tt.problems || len(warnings) != 0 {
			t.Errorf("%s: problems %q, warnings %q; want %d and 0", tt.name, problems, warnings, tt.problems)
		}
		if all := strings.Join(problems, ""); strings.Contains(all, "root") || strings.Contains(all, "a=b") {
			t.Errorf("%s: a value is told: %q", tt.name, problems)
		}
	}
}

// What a route must not touch, on either side, set or removed.
func TestHeadersThatRoutesMustLeaveAlone(t *testing.T) {
	check := func(in, out HeaderConfig) []string {
		c := fixture("http://127.0.0.1:1")
		c.RequestHeaders, c.ResponseHeaders = in, out
		problems, _ := said(c.Check)
		return problems
	}
	of := func(name string) HeaderConfig { return HeaderConfig{Set: map[string]string{name: "x"}} }
	without := func(name string) HeaderConfig { return HeaderConfig{Remove: []string{name}} }
	ask := func(kind, name string, in, out HeaderConfig) {
		t.Helper()
		got := check(in, out)
		if len(got) != 1 || !strings.Contains(got[0], "; ") {
			t.Errorf("%s %s: %q, want one problem with its remedy", kind, name, got)
		}
	}
	for _, name := range slices.Concat(reserved, hopFields, []string{"X-Auth-Request-User", "remote_user", "Connection", "transfer_encoding"}) {
		ask("request set", name, of(name), HeaderConfig{})
		ask("request remove", name, without(name), HeaderConfig{})
		ask("response set", name, HeaderConfig{}, of(name))
		ask("response remove", name, HeaderConfig{}, without(name))
	}
	for _, name := range slices.Concat(rebuilt, []string{"Host", "Sec-WebSocket-Key", "Content-Type", "Content-Encoding", "x_real_ip"}) {
		ask("request set", name, of(name), HeaderConfig{})
		ask("request remove", name, without(name), HeaderConfig{})
	}
	for _, name := range slices.Concat(overrides, methodOverrides, []string{"Expect", "Sec-WebSocket-Protocol"}) {
		ask("request set", name, of(name), HeaderConfig{})
	}
	for _, name := range []string{"Content-Type", "Content-Encoding", "Content-Range", "Sec-WebSocket-Accept"} {
		ask("response set", name, HeaderConfig{}, of(name))
		ask("response remove", name, HeaderConfig{}, without(name))
	}
	for _, name := range []string{"Set-Cookie", "set_cookie", "Set-Cookie2", "Clear-Site-Data", "Service-Worker-Allowed", "Location", "Content-Location", "Refresh"} {
		ask("response set", name, HeaderConfig{}, of(name))
	}
}

// The identity headers of another route, or of the general section, are no
// route's to set.
func TestHeadersOfOtherIdentities(t *testing.T) {
	for _, change := range []func(a, b *RouteConfig){
		func(a, _ *RouteConfig) { a.RequestHeaders.Set = map[string]string{"X_General": "root"} },
		func(a, b *RouteConfig) {
			b.Identity = &IdentityConfig{Headers: map[string]string{"X-Other": "username"}}
			a.ResponseHeaders.Remove = []string{"x-other"}
		},
	} {
		a, b := fixture("http://127.0.0.1:1"), fixture("http://127.0.0.1:1")
		b.Host = "other.example.test"
		change(&a, &b)
		_, err := New(Options{
			Routes: []RouteConfig{a, b}, Auth: &gate{}, Pages: &gate{},
			Identity: IdentityConfig{Headers: map[string]string{"X-General": "username"}},
		})
		if err == nil || !strings.Contains(err.Error(), "says who asks") {
			t.Errorf("%v", err)
		}
	}
}

func TestDangerousHeadersWarn(t *testing.T) {
	c := fixture("http://127.0.0.1:1")
	c.RequestHeaders = HeaderConfig{Set: map[string]string{"origin": "https://a.test"}, Remove: []string{"Referer", "Sec-Fetch-Site"}}
	c.ResponseHeaders = HeaderConfig{Set: map[string]string{"Cache-Control": "Public, max-age=5"}}
	if problems, warnings := said(c.Check); len(problems) != 0 || len(warnings) != 4 {
		t.Errorf("problems %q, warnings %q", problems, warnings)
	}
}
