package proxy

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/access"
	"gatehouse/auth"
	"gatehouse/internal/web"
	"gatehouse/sessions"
)

// spellings of a name that some reader takes for the same.
func spellings(name string) []string {
	out := []string{name, strings.ToLower(name), strings.ToUpper(name)}
	for _, c := range []string{"_", ".", "~", "!", "|", "+"} {
		out = append(out, strings.ReplaceAll(name, "-", c), strings.Replace(name, "-", c, 1))
	}
	return out
}

// CVE-2025-64484, CVE-2026-54763, CVE-2026-33433, CVE-2026-30851 and others:
// who asks is never what a client says, however it is spelled, whoever it is,
// and whether or not we have a value of our own.
func TestIdentityCannotBeSpoofed(t *testing.T) {
	t.Parallel()
	up := record(t, okAnswer)
	for _, mode := range []string{strictNames, anyNames} {
		c := fixture(up.url())
		c.HeaderNames = mode
		other := fixture(up.url())
		other.Host, other.Identity = "other.example.test", &IdentityConfig{Headers: map[string]string{"x_role": "groups", "X-SSO-Name": "username"}}
		h := open(t, setting{}, c, other)
		names := slices.Concat(reserved, []string{"X-Auth-Request-User", "X-Auth-Request-Anything", "X-Role", "X_Role", "X-Sso-Name", "Proxy", "Proxy-Authorization"})
		for _, name := range names {
			for _, spelling := range spellings(name) {
				for _, path := range []string{"/public/x", "/private/x"} {
					up.forget()
					cookie := ""
					if path == "/private/x" {
						cookie = "Cookie: " + ourCookie + "=bare\r\n"
					}
					answer := h.get(t, path, cookie, spelling+": evil\r\n", spelling+": evil\r\n")
					if status(answer) != "200" {
						t.Fatalf("%s: %s", spelling, answer)
					}
					request := up.one(t)
					if strings.Contains(request, "evil") {
						t.Errorf("header_names %s: %q reached the upstream: %q", mode, spelling, request)
					}
					if cookie == "" {
						anonymous(t, request)
					} else {
						signed(t, request, "bare")
					}
				}
			}
		}
	}
}

// CVE-2024-45410, CVE-2026-29054, CVE-2021-33197: Connection takes away what
// the client sent, never what we say.
func TestConnectionCannotStripOurs(t *testing.T) {
	up := record(t, okAnswer)
	h := open(t, setting{}, fixture(up.url()))
	for _, lines := range []string{
		"Connection: X-Forwarded-User, close\r\n",
		"Connection: x-forwarded-user\r\n",
		"Connection:\r\n" + "Connection: X-Forwarded-User, X-Forwarded-For, X-Real-IP, Host, X-Request-Id\r\n",
		"Connection: close\r\nConnection: X-FORWARDED-USER\r\n",
	} {
		up.forget()
		h.raw(t, "GET /private/x HTTP/1.1\r\nHost: "+host+"\r\n"+aliceLine+"X-Mine: 1\r\n"+lines+"\r\n")
		request := up.one(t)
		signed(t, request, "alice")
		for _, name := range []string{"X-Forwarded-For", "X-Real-Ip", "Host", "X-Request-Id"} {
			if got := linesNamed(request, name); len(got) != 1 {
				t.Errorf("%q: %s lines %q, want one", lines, name, got)
			}
		}
	}
	up.forget()
	h.get(t, "/public/x", "Connection: X-Mine\r\n", "X-Mine: 1\r\n", "Keep-Alive: 5\r\n", "Proxy-Connection: x\r\n", "TE: gzip\r\n", "X-Kept: 1\r\n")
	request := up.one(t)
	for _, gone := range []string{"X-Mine", "Keep-Alive", "Proxy-Connection", "Te"} {
		if got := linesNamed(request, gone); len(got) > 0 {
			t.Errorf("hop-by-hop %q passed", got)
		}
	}
	if len(linesNamed(request, "X-Kept")) != 1 {
		t.Errorf("X-Kept is missing: %q", request)
	}
}

func TestIdentityHeaders(t *testing.T) {
	up := record(t, okAnswer)
	c := fixture(up.url())
	c.Identity = &IdentityConfig{Headers: map[string]string{
		"X-User": "username", "X-Mail": "email", "X-Name": "display_name", "X-Groups": "groups", "X-Session": "session_id", "X_Time": "auth_time",
	}}
	h := open(t, setting{}, c)
	h.get(t, "/x", aliceLine)
	request := up.one(t)
	for _, want := range []string{
		"X-User: alice", "X-Mail: alice@example.test", "X-Name: Älice", "X-Groups: staff,wiki",
		"X-Session: 0123456789abcdef", "X_time: 2026-01-02T02:04:05Z",
	} {
		if n := strings.Count(request, "\r\n"+want+"\r\n"); n != 1 {
			t.Errorf("%q is there %d times in %q", want, n, request)
		}
	}
	up.forget()
	h.get(t, "/x", "Cookie: "+ourCookie+"=bare\r\n")
	for _, name := range []string{"X-Mail", "X-Name", "X-Groups", "X-Session", "X_Time"} {
		if got := linesNamed(up.one(t), name); len(got) > 0 {
			t.Errorf("%q is sent for somebody who has none", got)
		}
	}
}

// CVE-2023-27493: a name that would end its line, or turn into another name,
// never reaches a header.
func TestIdentityThatCannotBeSent(t *testing.T) {
	up := record(t, okAnswer)
	for name, id := range map[string]*auth.Identity{
		"CR LF":            {Name: "a\r\nX-Forwarded-Groups: admins"},
		"LF":               {Name: "a\nb"},
		"NUL":              {Name: "a\x00b"},
		"control":          {Name: "a\x1bb"},
		"spaces around":    {Name: "admin "},
		"not UTF-8":        {Name: "a\xff"},
		"comma in a group": {Name: "a", Groups: []string{"staff,admins"}},
		"line in an email": {Name: "a", Email: "a@b\nc"},
	} {
		t.Run(name, func(t *testing.T) {
			h := open(t, setting{gate: &gate{identify: func(*http.Request) (*auth.Identity, error) { return id, nil }}}, fixture(up.url()))
			answer := h.get(t, "/x")
			if status(answer) != "500" {
				t.Errorf("answer %q, want 500", answer)
			}
			up.empty(t)
			if !strings.Contains(h.log.String(), "identity header") {
				t.Errorf("log %q says nothing of it", h.log)
			}
		})
	}
}

func TestForwardedHeaders(t *testing.T) {
	spoof := []string{
		"X-Forwarded-For: 203.0.113.77\r\n", "X-Real-IP: 203.0.113.77\r\n", "Forwarded: for=203.0.113.77\r\n", "X_Forwarded_For: 203.0.113.77\r\n",
		"X-Forwarded-Host: evil.test\r\n", "X-Forwarded-Proto: javascript\r\n", "X-Forwarded-Port: 443@evil.test\r\n", "X-Forwarded-Prefix: /evil\r\n",
		"True-Client-IP: 203.0.113.77\r\n", "X-Original-URL: /evil\r\n", "X-Request-Id: evil\r\n", "X-Forwarded-Uri: /evil\r\n", "X-Envoy-Original-Path: /evil\r\n",
	}
	t.Run("untrusted", func(t *testing.T) {
		up := record(t, okAnswer)
		h := open(t, setting{}, fixture(up.url()))
		h.get(t, "/x", append(spoof, aliceLine)...)
		request := up.one(t)
		if strings.Contains(request, "203.0.113.77") || strings.Contains(request, "evil") || strings.Contains(request, "javascript") {
			t.Errorf("a client's word passed: %q", request)
		}
		for _, want := range []string{
			"X-Forwarded-For: 127.0.0.1", "X-Real-Ip: 127.0.0.1", "X-Forwarded-Host: " + host, "X-Forwarded-Proto: http", "X-Forwarded-Port: 80",
			"Forwarded: for=127.0.0.1;host=" + host + ";proto=http",
		} {
			if !strings.Contains(request, "\r\n"+want+"\r\n") {
				t.Errorf("%q is missing in %q", want, request)
			}
		}
	})
	t.Run("trusted", func(t *testing.T) {
		up := record(t, okAnswer)
		h := open(t, setting{trusted: web.Networks{netip.MustParsePrefix("127.0.0.0/8")}}, fixture(up.url()))
		h.raw(t, "GET /x HTTP/1.1\r\nHost: inner\r\nConnection: close\r\n"+aliceLine+
			"X-Forwarded-For: 192.0.2.1, 2001:db8::1\r\nX-Forwarded-Host: "+host+":8443\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Prefix: /p\r\nX-Request-Id: abc\r\nX-Original-URL: /evil\r\n\r\n")
		request := up.one(t)
		for _, want := range []string{
			"X-Forwarded-For: 192.0.2.1, 2001:db8::1, 127.0.0.1", "X-Real-Ip: 2001:db8::1", "X-Forwarded-Host: " + host + ":8443",
			"X-Forwarded-Proto: https", "X-Forwarded-Port: 8443", "X-Forwarded-Prefix: /p", "X-Request-Id: abc", "Host: " + host + ":8443",
			`Forwarded: for="[2001:db8::1]";host="` + host + `:8443";proto=https`,
		} {
			if !strings.Contains(request, "\r\n"+want+"\r\n") {
				t.Errorf("%q is missing in %q", want, request)
			}
		}
		if strings.Contains(request, "evil") {
			t.Errorf("X-Original-URL passed: %q", request)
		}
	})
}

// CVE-2026-47360: our cookies stay here; the others pass byte for byte.
func TestCookies(t *testing.T) {
	up := record(t, okAnswer)
	h := open(t, setting{}, fixture(up.url()))
	for _, tt := range []struct{ name, lines, want string }{
		{"ours alone", aliceLine, ""},
		{"ours among others", "Cookie: a=b; " + ourCookie + "=alice; c=\"d e\";f\r\n", `a=b; c="d e"; f`},
		{"no space", "Cookie: a=b;" + ourCookie + "=alice;c=d\r\n", "a=b; c=d"},
		{"two lines", "Cookie: a=b\r\n" + aliceLine + "Cookie: c=d;e=f\r\n", "a=b; c=d;e=f"},
		{"all of ours", "Cookie: gatehouse=1; __Host-gatehouse_csrf=2; " + ourCookie + "=alice; x=y\r\n", "x=y"},
		{"letter case", "Cookie: " + ourCookie + "=alice; __host-GATEHOUSE=secret; x=y\r\n", "x=y"},
		{"names that only look alike", "Cookie: " + ourCookie + "=alice; xgatehouse=1; gatehousex=2; lang=gatehouse; my-gatehouse=3\r\n", "xgatehouse=1; gatehousex=2; lang=gatehouse; my-gatehouse=3"},
		{"quoted, spaced", "Cookie: " + ourCookie + "=alice; \"gatehouse\"=secret; gatehouse =secret; x=y\r\n", "x=y"},
		{"behind a comma", "Cookie: " + ourCookie + "=alice; a=1, gatehouse=secret; x=y\r\n", "x=y"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			up.forget()
			h.get(t, "/x", tt.lines)
			request := up.one(t)
			signed(t, request, "alice")
			got := linesNamed(request, "Cookie")
			if tt.want == "" && len(got) > 0 || tt.want != "" && !slices.Equal(got, []string{"Cookie: " + tt.want}) {
				t.Errorf("Cookie lines %q, want %q", got, tt.want)
			}
		})
	}
}

func TestTargetIsSentByteForByte(t *testing.T) {
	engines(t, func(t *testing.T, s setting) {
		t.Helper()
		up := record(t, okAnswer)
		h := open(t, s, fixture(up.url()))
		for _, target := range []string{
			"/x?", "/x?a=1;b=2", "/x?a=%zz&b=2", "/x?%00=x", "/x??a=?b", "/x?a=b#c", "/x?q=ü", "//x//y", "//x/y?z", "/x//../y/",
			"/%7Ex/%e4", "/ü", "/a;b=c/d", "/x?next=http://evil.test/\\", "/x%2Fy", `/x?"<>`, "/" + strings.Repeat("a", 4000), "/./x", "/x|y",
		} {
			up.forget()
			if answer := h.get(t, target, aliceLine); status(answer) != "200" {
				t.Errorf("GET %s: %s", target, answer)
				continue
			}
			if line, _, _ := strings.Cut(up.one(t), "\r\n"); line != "GET "+target+" HTTP/1.1" {
				t.Errorf("upstream got %q, want %q", line, target)
			}
		}
		up.forget()
		h.raw(t, "GET HTTP://"+host+"?a=b HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n"+aliceLine+"\r\n")
		if request := up.one(t); !strings.HasPrefix(request, "GET /?a=b HTTP/1.1\r\n") {
			t.Errorf("absolute-form: upstream got %q", request)
		}
	})
}

func TestStripPrefix(t *testing.T) {
	up := record(t, okAnswer)
	c := fixture(up.url())
	c.Path, c.StripPrefix = "/app", true
	c.Access = []access.RuleConfig{{Path: "/app/admin", Groups: []string{"admins"}}, {}}
	h := open(t, setting{}, c)
	for _, tt := range []struct{ target, want string }{
		{"/app", "/"},
		{"/app/", "/"},
		{"/app?x", "/?x"},
		{"/app/x%2Fy?z", "/x%2Fy?z"},
		{"/app/x/../y", "/x/../y"},
		{"/application", "404"},
		{"/x", "404"},
		{"/%61pp/x", "400"},
		{"/app/admin/x", "403"},
		{"/app//x/admin/y", "400"},     // //x/admin/y, read as a URL, is /admin/y
		{"/app/../app/x", "/../app/x"}, // /app/app/x to an upstream that resolves dots: no other rule
		{"/app/../../admin/x", "400"},
		{"/./app/x", "400"},
	} {
		up.forget()
		answer := h.get(t, tt.target, aliceLine)
		if !strings.HasPrefix(tt.want, "/") {
			if status(answer) != tt.want {
				t.Errorf("GET %s: %s, want %s", tt.target, status(answer), tt.want)
			}
			up.empty(t)
			continue
		}
		if status(answer) != "200" {
			t.Errorf("GET %s: %s", tt.target, answer)
			continue
		}
		if line, _, _ := strings.Cut(up.one(t), "\r\n"); line != "GET "+tt.want+" HTTP/1.1" {
			t.Errorf("GET %s: upstream got %q, want %q", tt.target, line, tt.want)
		}
	}
}

func TestHostHeader(t *testing.T) {
	up := record(t, okAnswer)
	for conf, want := range map[string]string{"keep": host + ":81", "": host + ":81", "upstream": up.Addr().String(), "wiki.internal": "wiki.internal"} {
		c := fixture(up.url())
		c.HostHeader = conf
		h := open(t, setting{}, c)
		up.forget()
		h.raw(t, "GET /public/x HTTP/1.1\r\nHost: "+host+":81\r\nConnection: close\r\n\r\n")
		if got := linesNamed(up.one(t), "Host"); !slices.Equal(got, []string{"Host: " + want}) {
			t.Errorf("host_header %q: %q, want %q", conf, got, want)
		}
	}
}

// A rule about methods must not be passed by with a header that makes the
// application see another method.
func TestMethodOverride(t *testing.T) {
	up := record(t, okAnswer)
	c := fixture(up.url())
	h := open(t, setting{}, c)
	h.get(t, "/x", aliceLine, "X-HTTP-Method-Override: DELETE\r\n")
	if !strings.Contains(up.one(t), "DELETE") {
		t.Error("the header is dropped although no rule looks at methods")
	}
	c.Access = []access.RuleConfig{{Methods: []string{"DELETE"}, Deny: true}, {}}
	h = open(t, setting{}, c)
	for _, name := range []string{"X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method", "X_HTTP_Method_Override"} {
		up.forget()
		h.get(t, "/x", aliceLine, name+": DELETE\r\n")
		if strings.Contains(up.one(t), "DELETE") {
			t.Errorf("%s passed a rule about methods", name)
		}
	}
}

// Identity never travels in trailers, announced or not.
func TestTrailersOfRequests(t *testing.T) {
	engines(t, func(t *testing.T, s setting) {
		t.Helper()
		up := record(t, okAnswer)
		h := open(t, s, fixture(up.url()))
		for _, path := range []string{"/public/x", "/private/x"} {
			for _, announced := range []string{"Trailer: X-Forwarded-User, X_Forwarded_User, X-Sum\r\n", "Trailer: X-Sum\r\n", ""} {
				up.forget()
				h.raw(t, "POST "+path+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n"+aliceLine+announced+
					"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\nX-Forwarded-User: admin\r\nX_Forwarded_User: admin\r\nX-Sum: 1\r\n\r\n")
				request := up.one(t)
				if strings.Contains(request, "admin") || strings.Contains(strings.ToLower(request), "trailer: x-forwarded") {
					t.Errorf("%s %q: upstream saw %q", path, announced, request)
				}
				if announced != "" && !strings.HasSuffix(request, "\r\nX-Sum: 1\r\n\r\n") {
					t.Errorf("%s %q: X-Sum is missing: %q", path, announced, request)
				}
			}
		}
	})
}

// A session's end breaks off what is under way for it, and nothing else.
func TestLive(t *testing.T) {
	live := new(ActiveRequests)
	silent := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	h := open(t, setting{options: func(o *Options) { o.Live = live }}, fixture(silent.URL))
	answered := make(chan string, 1)
	go func() { answered <- h.get(t, "/x", aliceLine) }()
	cutAll(t, live)
	if answer := <-answered; status(answer) == "200" || status(answer) == "504" {
		t.Errorf("a request whose session has ended was answered: %q", answer)
	}
	if keys := live.Sessions(); len(keys) != 0 {
		t.Errorf("left behind: %v", keys)
	}
}

// cutAll waits until something is under way, and breaks it off.
func cutAll(t *testing.T, live *ActiveRequests) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); len(live.Sessions()) == 0; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("nothing is under way")
		}
	}
	for _, i := range live.Sessions() {
		live.Cut(i)
	}
}

// Whoever leaves one host goes on with what is under way on the others; the end of the
// session ends it all.
func TestEndOfAHostCutsItsRequestsAlone(t *testing.T) {
	live := new(ActiveRequests)
	wiki, wikiToo, shop := of("k"), of("k"), of("k")
	wiki.session.Host, wikiToo.session.Host, shop.session.Host = "wiki", "wiki", "shop"
	for _, a := range []*activeRequest{wiki, shop, wikiToo} {
		live.add(a)
	}
	if n := len(live.Sessions()); n != 2 {
		t.Errorf("%d sessions are asked about, want one for each host", n)
	}
	live.Cut(*wiki.session)
	if !wiki.breaker.Broken() || !wikiToo.breaker.Broken() || shop.breaker.Broken() {
		t.Errorf("broken: %v %v %v, want the first two", wiki.breaker.Broken(), wikiToo.breaker.Broken(), shop.breaker.Broken())
	}
	live.Cut(sessions.Info{Key: "k"})
	if !shop.breaker.Broken() {
		t.Error("the end of the session does not cut what is under way on a host")
	}
}

func TestLiveKeepsItsLists(t *testing.T) {
	live := new(ActiveRequests)
	a, b, c := of("k"), of("k"), of("other")
	for _, s := range []*activeRequest{a, b, c} {
		live.add(s)
	}
	live.remove(b)
	live.Cut(sessions.Info{Key: "k"})
	if !a.breaker.Broken() || b.breaker.Broken() || c.breaker.Broken() {
		t.Errorf("broken: %v %v %v, want only the first", a.breaker.Broken(), b.breaker.Broken(), c.breaker.Broken())
	}
	live.add(b)
	live.remove(a)
	live.remove(b)
	live.remove(c)
	if keys := live.Sessions(); len(keys) != 0 {
		t.Errorf("left behind: %v", keys)
	}
}

func of(key string) *activeRequest { return &activeRequest{session: &sessions.Info{Key: key}} }
