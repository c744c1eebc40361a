package proxy

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"gatehouse/access"
	"gatehouse/auth"
	"gatehouse/internal/httpfield"
)

func TestDecisions(t *testing.T) {
	up := record(t, okAnswer)
	h := open(t, setting{}, fixture(up.url()))
	for _, tt := range []struct {
		name, method, path, who string
		status                  string
		identity                string // "": none
		vary                    bool
	}{
		{"public", "GET", "/public/x", "", "200", "", false},
		{"public, signed in", "GET", "/public/x", "alice", "200", "", false},
		{"public to exactly this", "GET", "/healthz", "", "200", "", false},
		{"nobody", "GET", "/x", "", "302", "", true},
		{"nobody posts", "POST", "/x", "", "303", "", true},
		{"signed in", "GET", "/x", "alice", "200", "alice", true},
		{"not in the group", "GET", "/admin/x", "alice", "403", "", true},
		{"in the group", "GET", "/admin/x", "root", "200", "root", true},
		{"the group, other letter case", "GET", "/ADMIN/x", "alice", "403", "", true},
		{"unknown session", "GET", "/x", "mallory", "302", "", true},
		{"our own page", "GET", "/_gate/login", "", "200", "", false},
		{"our own, bare", "GET", "/_gate", "", "404", "", false},
		{"our own, unknown", "GET", "/_gate/x", "alice", "404", "", false},
		{"like our own", "GET", "/_GATE/login", "alice", "404", "", false},
		{"like our own, escaped", "GET", "/_gate%2flogin", "alice", "400", "", false},
		{"like our own, in the end", "GET", "/public/..%2f_gate/login", "alice", "400", "", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			up.forget()
			cookie := ""
			if tt.who != "" {
				cookie = "Cookie: " + ourCookie + "=" + tt.who + "\r\n"
			}
			asked := h.gate.looked()
			answer := h.raw(t, tt.method+" "+tt.path+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n"+cookie+"\r\n")
			if status(answer) != tt.status {
				t.Errorf("answer %s, want %s", answer, tt.status)
			}
			if got := strings.Contains(answer, "Vary: Cookie"); got != tt.vary {
				t.Errorf("Vary: Cookie is %v, want %v", got, tt.vary)
			}
			switch {
			case tt.status != "200" || strings.HasPrefix(tt.path, "/_gate"):
				up.empty(t)
			case tt.identity == "":
				anonymous(t, up.one(t))
				if h.gate.looked() != asked {
					t.Error("a public request was looked up")
				}
			default:
				signed(t, up.one(t), tt.identity)
			}
		})
	}
	if log := h.log.String(); !strings.Contains(log, "msg=access.denied") || !strings.Contains(log, "user=alice") {
		t.Errorf("denials are not in the audit log: %s", log)
	}
	if got := h.gate.active; len(got) != 2 {
		t.Errorf("Active was called for %q, want for both that passed as somebody", got)
	}
}

// Any failure to find out who asks refuses: it neither passes nor logs out.
func TestCouldNotTell(t *testing.T) {
	up := record(t, okAnswer)
	h := open(t, setting{gate: &gate{identify: func(*http.Request) (*auth.Identity, error) { return nil, errors.New("the store is away") }}}, fixture(up.url()))
	answer := h.get(t, "/x", aliceLine)
	if status(answer) != "503" || strings.Contains(answer, "the store") || strings.Contains(answer, "Set-Cookie") {
		t.Errorf("answer %q, want a plain 503", answer)
	}
	if !strings.Contains(h.log.String(), "the store is away") {
		t.Errorf("the log does not say why: %s", h.log)
	}
	up.empty(t)
	if answer := h.get(t, "/public/x", aliceLine); status(answer) != "200" {
		t.Errorf("public: %q", answer)
	}
}

func TestHosts(t *testing.T) {
	up := record(t, okAnswer)
	route := func(hostName, path string) RouteConfig {
		c := fixture(up.url())
		c.Host, c.Path, c.Access = hostName, path, []access.RuleConfig{{Path: "/", Public: true}}
		return c
	}
	h := open(t, setting{},
		route(host, "/"), route("a.example.test", "/only"), route("*.wild.test", "/"), route("*.deep.wild.test", "/deep"),
		route("ported.test", "/"), route("ported.test:8443", "/other"), route("[::1]", "/"))
	for _, tt := range []struct{ host, path, want string }{
		{host, "/", "200"},
		{strings.ToUpper(host), "/", "200"},
		{host + ".", "/", "200"},
		{host + ":80", "/", "200"},
		{host + ":", "/", "200"},
		{host + ":1234", "/", "200"},
		{"a.example.test", "/", "404"},
		{"a.example.test", "/only/x", "200"},
		{"x.wild.test", "/", "200"},
		{"x.y.wild.test", "/", "200"},
		{"wild.test", "/", "421"},
		{"x.deep.wild.test", "/", "404"},
		{"x.deep.wild.test", "/deep", "200"},
		{"deep.wild.test", "/", "200"},
		{"ported.test:8443", "/", "404"},
		{"ported.test:8443", "/other", "200"},
		{"ported.test:8444", "/", "200"},
		{"[::1]", "/", "200"},
		{"[0:0:0:0:0:0:0:1]:8080", "/", "200"},
		{"evil.test", "/", "421"},
		{"xapp.example.test", "/", "421"},
		{host + "x", "/", "421"},
	} {
		if answer := h.raw(t, "GET "+tt.path+" HTTP/1.1\r\nHost: "+tt.host+"\r\nConnection: close\r\n\r\n"); status(answer) != tt.want {
			t.Errorf("Host %s, %s: %s, want %s", tt.host, tt.path, status(answer), tt.want)
		}
	}
	up.forget()
	for _, bad := range []string{
		"", "a:evil", host + ":evil", host + "::", ":", host + ":0", host + ":65536", host + ":80:80", "[::1]evil", "[::1", "[::1%25evil.test]", "[127.0.0.1]",
		host + "/x", "admin@" + host, host + ",evil.test", host + "..", ".", "-\tx", "a b", host + "\\", "%61pp.example.test", "äpp.example.test", host + "?x", host + "#x",
	} {
		if answer := h.raw(t, "GET / HTTP/1.1\r\nHost: "+bad+"\r\nConnection: close\r\n\r\n"); status(answer) != "400" {
			t.Errorf("Host %q: %s, want 400", bad, status(answer))
		}
	}
	up.empty(t)
}

// CVE-2026-71324 and others: nothing that opens a tunnel, and no target that
// is not ours.
func TestRequestLines(t *testing.T) {
	up := record(t, okAnswer)
	anyHost := fixture(up.url())
	anyHost.Host = ""
	for name, c := range map[string]RouteConfig{"named host": fixture(up.url()), "any host": anyHost} {
		h := open(t, setting{}, c)
		for _, tt := range []struct{ line, want string }{
			{"CONNECT 127.0.0.1:1 HTTP/1.1", "405"},
			{"CONNECT /private/x HTTP/1.1", "405 400"},
			{"TRACE / HTTP/1.1", "405"},
			{"TRACK / HTTP/1.1", "405"},
			{"get /public/x HTTP/1.1", "405"},
			{"DELETE\x01 / HTTP/1.1", "400"},
			{"OPTIONS * HTTP/1.1", "400"},
			{"GET http://evil.test/public/x HTTP/1.1", "421"},
			{"GET http://127.0.0.1:1/private/x HTTP/1.1", "421"},
			{"GET http:///private/x HTTP/1.1", "400"},
			{"GET gopher://" + host + "/private/x HTTP/1.1", "400"},
			{"GET javascript:alert(1) HTTP/1.1", "400"},
			{"GET http://admin:x@" + host + "/public/x HTTP/1.1", "400"},
			{"GET " + host + " HTTP/1.1", "400"},
			{"GET /public/\\..\\x HTTP/1.1", "400"},
			{"GET /public/x#/../private HTTP/1.1", "400"},
			{"GET /public/\x7fx HTTP/1.1", "400"},
			{"GET /public/%zz HTTP/1.1", "400"},
			{"GET /public/% HTTP/1.1", "400"},
			{"GET /public/x HTTP/1.0", "200"},
			{"PROPFIND /public/x HTTP/1.1", "200"},
		} {
			up.forget()
			cl := ""
			if strings.HasPrefix(tt.line, "CONNECT") {
				cl = "Transfer-Encoding: chunked\r\n"
			}
			answer := h.raw(t, tt.line+"\r\nHost: "+host+"\r\nConnection: close\r\n"+aliceLine+cl+"\r\n"+strings.Repeat("0\r\n\r\n", min(len(cl), 1)))
			if !strings.Contains(tt.want, status(answer)) || status(answer) == "" {
				t.Errorf("%s: %q: %s, want %s", name, tt.line, status(answer), tt.want)
			}
			if tt.want != "200" {
				up.empty(t)
			}
		}
		up.forget()
		if answer := h.raw(t, "GET /public/x HTTP/1.0\r\n\r\n"); status(answer) != "200" {
			t.Errorf("%s: no Host over HTTP/1.0: %s, want 200", name, status(answer))
		}
		up.forget()
		if answer := h.raw(t, "GET /public/x HTTP/1.1\r\n\r\n"); status(answer) != "400" {
			t.Errorf("%s: no Host over HTTP/1.1: %s, want 400", name, status(answer))
		}
		up.empty(t)
	}
}

func TestNewRefuses(t *testing.T) {
	good := RouteConfig{Upstream: "http://127.0.0.1:1"}
	for name, o := range map[string]Options{
		"no gate":       {Routes: []RouteConfig{good}},
		"no upstream":   {Auth: &gate{}, Pages: &gate{}, Routes: []RouteConfig{{}}},
		"bad rule":      {Auth: &gate{}, Pages: &gate{}, Routes: []RouteConfig{{Upstream: good.Upstream, Access: []access.RuleConfig{{Path: "x"}}}}},
		"twice":         {Auth: &gate{}, Pages: &gate{}, Routes: []RouteConfig{{Upstream: good.Upstream, Path: "/a"}, {Upstream: good.Upstream, Path: "/a/"}}},
		"bad identity":  {Auth: &gate{}, Pages: &gate{}, Routes: []RouteConfig{good}, Identity: IdentityConfig{Headers: map[string]string{"Cookie": "username"}}},
		"bad own names": {Auth: &gate{}, Pages: &gate{}, Routes: []RouteConfig{{Upstream: good.Upstream, Identity: &IdentityConfig{Headers: map[string]string{"X-A": "x"}}}}},
	} {
		if p, err := New(o); err == nil {
			p.Close()
			t.Errorf("%s: New is content", name)
		}
	}
}

// A thousand routes cost no more than one.
func BenchmarkRouting(b *testing.B) {
	for _, n := range []int{1, 1000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			var tb routeTable
			for i := range n {
				c := &RouteConfig{Host: fmt.Sprintf("h%d.example.test", i%100), Path: fmt.Sprintf("/app%d", i/100)}
				rules, err := access.New(nil)
				if err != nil {
					b.Fatal(err)
				}
				if err := tb.add(&route{conf: c, prefix: c.Path, rules: rules}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				h, err := httpfield.ParseHost("h0.example.test", "https")
				if err != nil {
					b.Fatal(err)
				}
				q, err := newDecisionInput(tb.find(h), "/app0/some/page.html", access.Facts{Method: "GET"})
				if err != nil {
					b.Fatal(err)
				}
				if _, err := q.decide(nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
