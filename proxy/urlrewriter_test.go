package proxy

import (
	"net/url"
	"strings"
	"testing"

	"gatehouse/internal/httpfield"
	"gatehouse/internal/web"
)

// a legacy application that knows nothing of the world outside: another host,
// another path, no https.
func legacy(upstream string) RouteConfig {
	c := fixture(upstream)
	c.Path, c.StripPrefix, c.HostHeader = "/app", true, "wiki.internal"
	c.Access = nil
	c.Rewrite = RewriteConfig{URLs: true, Cookies: true}
	return c
}

// exchangeOf is one request to a route, without a proxy around it.
func exchangeOf(tb testing.TB, c RouteConfig, scheme, visitor string) *exchange {
	tb.Helper()
	r, err := newRoute(&c, IdentityConfig{}, nil)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(r.upstream.Close)
	h, err := httpfield.ParseHost(visitor, scheme)
	if err != nil {
		tb.Fatal(err)
	}
	return &exchange{route: r, incoming: incoming{host: h, info: &web.Info{Scheme: scheme, Host: visitor}}}
}

func rewriterOf(tb testing.TB, c RouteConfig, scheme, visitor string) *urlRewriter {
	tb.Helper()
	s := exchangeOf(tb, c, scheme, visitor)
	return newURLRewriter(s.route, &s.incoming)
}

func TestLocationIsTranslated(t *testing.T) {
	for _, group := range []struct {
		name            string
		change          func(c *RouteConfig)
		scheme, visitor string
		cases           map[string]string
	}{
		{"another host and path", func(*RouteConfig) {}, "https", "app.example.test:8443", map[string]string{
			"http://127.0.0.1:3000/x?y#z":          "https://app.example.test:8443/app/x?y#z",
			"HTTP://127.0.0.1:3000/x":              "https://app.example.test:8443/app/x",
			"http://127.0.0.1:3000":                "https://app.example.test:8443/app",
			"http://127.0.0.1:3000?x":              "https://app.example.test:8443/app?x",
			"http://127.0.0.1:3000//evil.test":     "https://app.example.test:8443/app//evil.test",
			"http://wiki.internal/x":               "https://app.example.test:8443/app/x",
			"http://WIKI.internal.:80/x":           "https://app.example.test:8443/app/x",
			"http://wiki.internal:/x":              "https://app.example.test:8443/app/x",
			"https://wiki.internal/x":              "https://app.example.test:8443/app/x",
			"https://wiki.internal:443/x":          "https://app.example.test:8443/app/x",
			"//wiki.internal/x":                    "//app.example.test:8443/app/x",
			"//127.0.0.1:3000/x":                   "//app.example.test:8443/app/x",
			"/x":                                   "/app/x",
			"/":                                    "/app/",
			"/app/x":                               "/app/app/x", // one that knows its prefix needs no translation
			"/x?next=http://wiki.internal/":        "/app/x?next=http://wiki.internal/",
			"/x?a=/../b":                           "/app/x?a=/../b",
			"http://127.0.0.1:3000/a%2Fb?http://x": "https://app.example.test:8443/app/a%2Fb?http://x",
		}},
		{"only the host", func(c *RouteConfig) { c.Path, c.StripPrefix, c.HostHeader = "/", false, upstreamHost }, "http", "app.example.test", map[string]string{
			"http://127.0.0.1:3000/x":    "http://app.example.test/x",
			"http://127.0.0.1:3000/../x": "http://app.example.test/../x",
			"/x":                         "/x",
			"/../x":                      "/../x",
			"//127.0.0.1:3000":           "//app.example.test",
			"https://127.0.0.1:3000/x":   "https://127.0.0.1:3000/x", // nobody said so: neither we nor the visitor speak https
		}},
		{"only the path", func(c *RouteConfig) { c.HostHeader = keepHost }, "https", "app.example.test", map[string]string{
			"http://app.example.test/x":  "https://app.example.test/app/x",
			"https://app.example.test/x": "https://app.example.test/app/x",
			"http://127.0.0.1:3000/x":    "https://app.example.test/app/x",
			"/x":                         "/app/x",
		}},
		{"only the scheme", func(c *RouteConfig) { c.Path, c.StripPrefix, c.HostHeader = "/", false, keepHost }, "https", "app.example.test", map[string]string{
			"http://app.example.test/x":      "https://app.example.test/x",
			"http://app.example.test:8080/x": "http://app.example.test:8080/x",
		}},
		{"to https, by the application", func(c *RouteConfig) { c.Path, c.StripPrefix, c.HostHeader = "/", false, keepHost }, "http", "app.example.test", map[string]string{
			"https://app.example.test/x": "https://app.example.test/x", // or it would go round in circles
		}},
		{"a socket", func(c *RouteConfig) { c.Upstream, c.HostHeader = "unix:/run/app.sock", keepHost }, "http", "app.example.test", map[string]string{
			"http://localhost/x":        "http://localhost/x",
			"http://app.example.test/x": "http://app.example.test/app/x",
		}},
		{"IPv6", func(c *RouteConfig) { c.Upstream = "http://[::1]:3000" }, "http", "[2001:db8::1]:8080", map[string]string{
			"http://[::1]:3000/x":   "http://[2001:db8::1]:8080/app/x",
			"http://[0:0::1]:3000/": "http://[2001:db8::1]:8080/app/",
			"http://[::2]:3000/x":   "http://[::2]:3000/x",
		}},
	} {
		t.Run(group.name, func(t *testing.T) {
			c := legacy("http://127.0.0.1:3000")
			group.change(&c)
			m := rewriterOf(t, c, group.scheme, group.visitor)
			for ref, want := range group.cases {
				if got := m.toVisitor(ref); got != want {
					t.Errorf("%q becomes %q, want %q", ref, got, want)
				}
			}
		})
	}
}

// doubtful is what stays as it is: other hosts, and what readers may disagree
// about.
var doubtful = []string{
	"", "x", "x/y", "?x", "#x", ".", "../x", "./x", "mailto:a@b", "javascript:alert(1)", "data:text/html,x",
	"http://evil.test/", "https://evil.test/x", "//evil.test", "//evil.test/x", "///evil.test", "////x", "http:///x", "http://",
	"http:/x", "http:x", "http:127.0.0.1:3000/x", "ftp://127.0.0.1:3000/", "ws://127.0.0.1:3000/",
	"http://127.0.0.1:3001/", "http://127.0.0.1/", "http://127.0.0.1:3000.evil.test/", "http://127.0.0.1:3000@evil.test/",
	"http://user@127.0.0.1:3000/", "http://user:pw@wiki.internal/", "http://wiki.internal@evil.test/", "http://wiki.internal:@evil.test/",
	"http://wiki.internal:x/", "http://wiki.internal.evil.test/", "http://xwiki.internal/", "http://wiki.internal%2eevil.test/",
	`http://wiki.internal\@evil.test/`, `/\evil.test`, `\\evil.test`, `/\/evil.test`, "/\t/evil.test", "\t/x", " /x", "/x ", "/a b", "/x\x00", "/\x7f",
	"/x\r\nSet-Cookie: a=b", "/../x", "/a/../x", "/..", "/.", "/a/./b", "/%2e%2e/x", "/%2E./x", "http://wiki.internal/../x",
}

func TestDoubtfulReferencesStay(t *testing.T) {
	s := exchangeOf(t, legacy("http://127.0.0.1:3000"), "https", "app.example.test")
	for _, ref := range doubtful {
		if got := newURLRewriter(s.route, &s.incoming).toVisitor(ref); got != ref {
			t.Errorf("%q becomes %q", ref, got)
		}
	}
}

func TestRefreshIsTranslated(t *testing.T) {
	m := rewriterOf(t, legacy("http://127.0.0.1:3000"), "https", "app.example.test")
	for v, want := range map[string]string{
		"5; url=http://wiki.internal/x":     "5; url=https://app.example.test/app/x",
		"0;URL='/x'":                        "0;URL='/app/x'",
		`5 , url = "/x"; more`:              `5 , url = "/app/x"; more`,
		"1.5;url=/x":                        "1.5;url=/app/x",
		"5":                                 "5",
		"5;":                                "5;",
		"5; url":                            "5; url",
		"5; url=":                           "5; url=",
		"5; url='/x":                        "5; url='/x",
		"5; /x":                             "5; /x",
		"5; url=//evil.test":                "5; url=//evil.test",
		"5; url=/x ":                        "5; url=/x ",
		"5; curl=/x":                        "5; curl=/x",
		"url=/x":                            "url=/x",
		"5; url='http://wiki.internal/'x'y": "5; url='https://app.example.test/app/'x'y",
	} {
		if got := m.refresh(v); got != want {
			t.Errorf("%q becomes %q, want %q", v, got, want)
		}
	}
}

func TestDestinationIsTranslated(t *testing.T) {
	m := rewriterOf(t, legacy("http://127.0.0.1:3000"), "https", "app.example.test")
	for ref, want := range map[string]string{
		"https://app.example.test/app/x%20y":    "http://wiki.internal/x%20y",
		"https://APP.example.test:443/app/":     "http://wiki.internal/",
		"https://app.example.test/app":          "http://wiki.internal/",
		"https://app.example.test/app//x":       "http://wiki.internal//x",
		"/app/x":                                "/x",
		"/app":                                  "/",
		"/app/x?y":                              "/x?y",
		"https://app.example.test/other/x":      "https://app.example.test/other/x",
		"https://app.example.test/application":  "https://app.example.test/application",
		"https://app.example.test":              "https://app.example.test",
		"http://app.example.test/app/x":         "http://app.example.test/app/x",
		"https://app.example.test:8443/app/x":   "https://app.example.test:8443/app/x",
		"https://evil.test/app/x":               "https://evil.test/app/x",
		"https://u@app.example.test/app/x":      "https://u@app.example.test/app/x",
		"https://app.example.test/app/../x":     "https://app.example.test/app/../x",
		"https://app.example.test/app/%2e%2e/x": "https://app.example.test/app/%2e%2e/x",
		"https://app.example.test/app/%zz":      "https://app.example.test/app/%zz",
		"//app.example.test/app/x":              "//app.example.test/app/x",
		"/app//evil.test/x":                     "/app//evil.test/x",
		"/other":                                "/other",
		"x":                                     "x",
		"":                                      "",
	} {
		if got := m.toUpstream(ref); got != want {
			t.Errorf("%q becomes %q, want %q", ref, got, want)
		}
	}
}

// The whole way, over both engines; and not a byte of it without being asked.
func TestRewriteURLs(t *testing.T) {
	engines(t, func(t *testing.T, s setting) {
		up := record(t, "")
		up.answer = "HTTP/1.1 201 Created\r\nLocation: http://wiki.internal/x\r\nContent-Location: /y\r\nRefresh: 5; url=" + up.url() +
			"/z\r\nX-Other: http://wiki.internal/x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
		ask := func(c RouteConfig, method string) (answer, request string) {
			h := open(t, s, c)
			up.forget()
			answer = h.raw(t, method+" /app/a HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\nDestination: http://"+host+"/app/b\r\n"+aliceLine+"\r\n")
			return answer, up.one(t)
		}
		holds := func(what, text string, lines ...string) {
			t.Helper()
			for _, l := range lines {
				if !strings.Contains(strings.ReplaceAll(text, "\r", ""), "\n"+l+"\n") {
					t.Errorf("%s: %q is not in %q", what, l, text)
				}
			}
		}
		c := legacy(up.url())
		answer, request := ask(c, "MOVE")
		holds("answer", answer, "Location: http://"+host+"/app/x", "Content-Location: /app/y", "Refresh: 5; url=http://"+host+"/app/z", "X-Other: http://wiki.internal/x")
		holds("request", request, "Destination: http://wiki.internal/b")
		_, request = ask(c, "PUT")
		holds("another method", request, "Destination: http://"+host+"/app/b")

		c.Rewrite = RewriteConfig{}
		answer, request = ask(c, "MOVE")
		holds("off: answer", answer, "Location: http://wiki.internal/x", "Content-Location: /y", "Refresh: 5; url="+up.url()+"/z")
		holds("off: request", request, "Destination: http://"+host+"/app/b")
	})
}

// However a reference is spelled, a browser ends at the visitor's host or
// where it would have ended without us, and never on another line.
func FuzzLocation(f *testing.F) {
	for _, ref := range doubtful {
		f.Add(ref)
	}
	for _, ref := range []string{"http://wiki.internal/x", "/x", "//127.0.0.1:3000/x?y", "https://wiki.internal:443#x", "5; url='/x'"} {
		f.Add(ref)
	}
	s := exchangeOf(f, legacy("http://127.0.0.1:3000"), "https", "app.example.test:8443")
	m := newURLRewriter(s.route, &s.incoming)
	f.Fuzz(func(t *testing.T, ref string) {
		_ = m.refresh(ref)
		for name, got := range map[string]string{"toVisitor": m.toVisitor(ref), "toUpstream": m.toUpstream(ref)} {
			if got == ref {
				continue
			}
			if strings.ContainsAny(got, "\r\n\x00") {
				t.Fatalf("%s: %q becomes %q", name, ref, got)
			}
			u, err := url.Parse(got)
			if err != nil {
				if _, before := url.Parse(ref); before == nil {
					t.Fatalf("%s: %q becomes %q: %v", name, ref, got, err)
				}
				continue
			}
			if u.User != nil {
				t.Fatalf("%s: %q becomes %q", name, ref, got)
			}
			switch {
			case u.Host == "" && strings.HasPrefix(got, "/") && !strings.HasPrefix(got, "//"):
			case name == "toVisitor" && u.Host == "app.example.test:8443" && strings.HasPrefix(u.Path, "/app"):
			case name == "toUpstream" && u.Host == "wiki.internal" && u.Scheme == "http":
			default:
				t.Fatalf("%s: %q becomes %q, of another host", name, ref, got)
			}
		}
	})
}

func FuzzRefresh(f *testing.F) {
	for _, v := range []string{"5; url=/x", "0;URL='http://wiki.internal/'", `1,url="x`, "url=", "5;url"} {
		f.Add(v)
	}
	m := rewriterOf(f, legacy("http://127.0.0.1:3000"), "https", "app.example.test:8443")
	f.Fuzz(func(t *testing.T, v string) {
		got := m.refresh(v)
		if !strings.ContainsAny(v, "\r\n") && strings.ContainsAny(got, "\r\n") {
			t.Fatalf("%q becomes %q", v, got)
		}
		if got != v && !strings.Contains(got, "/app") {
			t.Fatalf("%q becomes %q, which is not below the route", v, got)
		}
	})
}
