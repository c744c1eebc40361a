package main_test

import (
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/e2e"
)

func TestMain(m *testing.M) { os.Exit(e2e.Main(m)) }

// TestIdentityIsOurs: a header that only we may set is dropped, however it is
// spelled, whoever sends it, on public pages too.
//
// Django 143.
func TestIdentityIsOurs(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		app := e2e.Record(t)
		gate := e2e.Start(t, m, e2e.Standard(app.URL))
		nobody, alice := gate.Browser(t), gate.Browser(t)
		alice.Login("alice", e2e.Password)
		spoofs := []string{
			"X-Forwarded-User: root", "x-forwarded-user: root", "X_Forwarded_User: root", "X-Forwarded_User: root", "x_forwarded-user: root",
			"X-Forwarded-Email: root@example.com", "X-Forwarded-Groups: admins", "X_FORWARDED_GROUPS: admins", "X-Forwarded-Preferred-Username: root",
			"Remote-User: root", "REMOTE_USER: root", "Remote-Name: root", "Remote-Email: root", "Remote-Groups: admins",
			"X-Remote-User: root", "X-Remote-Groups: admins", "X-Auth-Request-User: root", "X-Auth-Request-Access-Token: root", "X_Auth_Request_Email: root", "X-WebAuth-User: root",
			"Proxy: http://evil.test", "Proxy-Authorization: Basic cm9vdA==",
		}
		want := []string{
			"X-Forwarded-User: alice", "X-Forwarded-Email: alice@example.com",
			"X-Forwarded-Groups: staff", "X-Forwarded-Preferred-Username: Alice",
		}
		slices.Sort(want)
		for _, spoof := range spoofs {
			t.Run(spoof, func(t *testing.T) {
				app.Reset()
				headers := []string{spoof}
				if m.HTTP2 {
					name, value, _ := strings.Cut(spoof, ": ")
					headers = []string{strings.ToLower(name) + ": " + value}
				}
				nobody.Fetch("/public/x", headers...)
				q := app.One(t)
				if got := q.Identity(); len(got) > 0 || strings.Contains(q.Head, "root") || strings.Contains(q.Head, "evil") {
					t.Errorf("anonymous, the application saw %q", got)
				}
				app.Reset()
				alice.Fetch("/private/x", headers...)
				q = app.One(t)
				got := q.Identity()
				slices.Sort(got)
				if !slices.Equal(got, want) || strings.Contains(q.Head, "root") || strings.Contains(q.Head, "evil") {
					t.Errorf("alice, the application saw %q, want %q", got, want)
				}
			})
		}
	})
}

// TestEmptyIdentityIsAbsent: bob is in no group.
//
// Django 140.
func TestEmptyIdentityIsAbsent(t *testing.T) {
	app := e2e.Record(t)
	bob := e2e.Start(t, e2e.HTTP1, e2e.Standard(app.URL)).Browser(t)
	bob.Login("bob", e2e.Password)
	bob.Fetch("/", "X-Forwarded-Groups: admins")
	if got := app.One(t).Lines("X-Forwarded-Groups"); len(got) != 0 {
		t.Errorf("X-Forwarded-Groups: %q, want none", got)
	}
}

// TestRenamedIdentity: a route's own identity section replaces the general
// one, and the names that another route uses are dropped on this one too.
//
// Django 142.
func TestRenamedIdentity(t *testing.T) {
	app := e2e.Record(t)
	gate := e2e.Start(t, e2e.HTTP1, `
routes:
  - {upstream: `+app.URL+`}
  - path: /legacy
    upstream: `+app.URL+`
    identity: {headers: {X-SSO-Login: username, X-SSO-Session: session_id}}
`)
	alice := gate.Browser(t)
	alice.Login("alice", e2e.Password)
	alice.Fetch("/legacy/x", "X-SSO-Login: root", "x_sso_login: root", "X-Forwarded-User: root")
	q := app.One(t)
	if got := q.Lines("X-SSO-Login"); !slices.Equal(got, []string{"alice"}) || len(q.Lines("X-Forwarded-User")) > 0 || strings.Contains(q.Head, "root") {
		t.Errorf("the application saw:\n%s", q.Head)
	}
	id := strings.Join(q.Lines("X-SSO-Session"), ",")
	if id == "" || strings.Contains(alice.Cookie(), id) || !strings.Contains(gate.Must(t, "", "session", "list"), id) {
		t.Errorf("session id %q is not the public handle", id)
	}
	app.Reset()
	alice.Fetch("/other", "X-SSO-Login: root", "X_SSO_Login: root")
	if q := app.One(t); strings.Contains(q.Head, "root") {
		t.Errorf("another route's identity header came through:\n%s", q.Head)
	}
}

// TestCookieStaysAtTheGate: the session's cookie never reaches an application;
// others do, on one line, as they came.
//
// Django 18.
func TestCookieStaysAtTheGate(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		app := e2e.Record(t)
		gate := e2e.Start(t, m, e2e.Standard(app.URL))
		alice := gate.Browser(t)
		alice.Login("alice", e2e.Password)
		for _, path := range []string{"/private", "/public/x"} {
			app.Reset()
			req := alice.Request("GET", path, nil)
			alice.Client.Jar = nil
			req.Header["Cookie"] = []string{`app="1 2"; ` + alice.CookieLine() + "; b=%20;c", "d=4"}
			alice.Send(req)
			alice.Client.Jar = alice.Jar
			q := app.One(t)
			if strings.Contains(q.Head, alice.Cookie()) || strings.Contains(q.Head, m.Cookie) {
				t.Errorf("%s: our cookie came through:\n%s", path, q.Head)
			}
			if got := q.Lines("Cookie"); len(got) != 1 || strings.ReplaceAll(got[0], " ", "") != `app="12";b=%20;c;d=4` {
				t.Errorf("%s: Cookie %q", path, got)
			}
		}
		app.Reset()
		alice.Fetch("/private")
		if got := app.One(t).Lines("Cookie"); len(got) != 0 {
			t.Errorf("no other cookie: Cookie %q, want none", got)
		}
	})
}

// TestTwoSessionCookies: the one that opens a session counts; of two that open
// different sessions, neither does.
//
// Django 15.
func TestTwoSessionCookies(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		app := e2e.Record(t)
		gate := e2e.Start(t, m, e2e.Standard(app.URL))
		alice, bob := gate.Browser(t), gate.Browser(t)
		alice.Login("alice", e2e.Password)
		bob.Login("bob", e2e.Password)
		for _, line := range []string{alice.CookieLine() + "; " + bob.CookieLine(), bob.CookieLine() + "; " + alice.CookieLine(), m.Cookie + "=x; " + m.Cookie + "=y"} {
			if a := gate.Browser(t).Fetch("/private", "Cookie: "+line); a.Status != http.StatusUnauthorized {
				t.Errorf("two cookies: %d, want 401", a.Status)
			}
		}
		app.None(t)
		for _, line := range []string{m.Cookie + "=x; " + alice.CookieLine(), alice.CookieLine() + "; " + m.Cookie + "=x", alice.CookieLine() + "; " + alice.CookieLine()} {
			app.Reset()
			gate.Browser(t).Fetch("/private", "Cookie: "+line)
			if got := app.One(t).Lines("X-Forwarded-User"); len(got) != 1 || got[0] != "alice" {
				t.Errorf("one cookie opens a session: the application sees %q, want alice", got)
			}
		}
	})
}

// TestPublic: what is public is open to all, and nothing beside it is.
func TestPublic(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		app := e2e.Record(t)
		nobody := e2e.Start(t, m, e2e.Standard(app.URL)).Browser(t)
		for path, status := range map[string]int{
			"/public": 200, "/public/": 200, "/public/x/y": 200, "/healthz": 200, "/healthz?a": 200,
			"/publicity": 401, "/healthz/x": 401, "/": 401, "/PUBLIC/x": 401, "/admin": 401,
		} {
			a := nobody.Fetch(path)
			if refused := a.Status == 400 || a.Status == 401; a.Status != status && (status != 401 || !refused) {
				t.Errorf("%s: %d, want %d", path, a.Status, status)
			}
		}
	})
}

// TestTargetByteForByte: what is forwarded is what came.
func TestTargetByteForByte(t *testing.T) {
	for _, m := range []e2e.Mode{e2e.HTTP1, e2e.HTTPS1} {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			app := e2e.Record(t)
			gate := e2e.Start(t, m, e2e.Standard(app.URL))
			alice := gate.Browser(t)
			alice.Login("alice", e2e.Password)
			for _, target := range []string{
				"/a%2Fb", "/%61", "/a//b", "/a;jsessionid=1/b", "/a%20b", "/ü", "/a?", "/a??b", "/a?x=%zz;y=1&&", "/@scope%2fpkg", "/a?next=//evil.test", "/a/./b", "/[x]|{y}",
			} {
				app.Reset()
				conn := gate.Dial(t)
				_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nCookie: %s\r\nConnection: close\r\n\r\n", target, e2e.Host, alice.CookieLine())
				got, _ := e2e.ReadFor(conn, e2e.Patience)
				if !strings.HasPrefix(got, "HTTP/1.1 200") {
					t.Errorf("%s: %q", target, got)
					continue
				}
				if q := app.One(t); q.Target() != target {
					t.Errorf("the application got %q, want %q", q.Target(), target)
				}
			}
		})
	}
}

// TestForwardedHeaders: what an untrusted visitor says about where they come
// from is dropped and replaced.
func TestForwardedHeaders(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		app := e2e.Record(t)
		alice := e2e.Start(t, m, e2e.Standard(app.URL)).Browser(t)
		alice.Login("alice", e2e.Password)
		alice.Fetch("/private", "X-Forwarded-For: 203.0.113.77", "X-Real-Ip: 203.0.113.77", "Forwarded: for=203.0.113.77;host=evil.test",
			"X-Forwarded-Host: evil.test", "X-Forwarded-Proto: gopher", "X-Forwarded-Port: 70", "X-Request-Id: mine")
		q := app.One(t)
		if strings.Contains(q.Head, "203.0.113.77") || strings.Contains(q.Head, "evil.test") || strings.Contains(q.Head, "gopher") {
			t.Errorf("forged facts came through:\n%s", q.Head)
		}
		port := map[bool]string{false: "80", true: "443"}[m.TLS]
		for name, want := range map[string]string{
			"X-Forwarded-For": "127.0.0.1", "X-Real-IP": "127.0.0.1", "X-Forwarded-Host": e2e.Host,
			"X-Forwarded-Proto": m.Scheme(), "X-Forwarded-Port": port, "Host": e2e.Host,
		} {
			if got := q.Lines(name); !slices.Equal(got, []string{want}) {
				t.Errorf("%s: %q, want %q", name, got, want)
			}
		}
		if got := q.Lines("X-Request-Id"); len(got) != 1 || got[0] == "mine" || got[0] == "" {
			t.Errorf("X-Request-Id: %q, want one of ours", got)
		}
	})
}

// TestBehindATrustedProxy: what it says is believed, and nothing before it.
func TestBehindATrustedProxy(t *testing.T) {
	app := e2e.Record(t)
	gate := e2e.Start(t, e2e.HTTP1, "trusted_proxies: [127.0.0.0/8]\n"+e2e.Standard(app.URL))
	nobody := gate.Browser(t)
	nobody.Fetch("/public/x", "X-Forwarded-For: 192.0.2.1, 198.51.100.7", "X-Forwarded-Proto: https", "X-Request-Id: from-the-balancer")
	q := app.One(t)
	if got := strings.Join(q.Lines("X-Real-IP"), "|"); got != "198.51.100.7" {
		t.Errorf("X-Real-IP %q, want the rightmost untrusted address", got)
	}
	if got := strings.Join(q.Lines("X-Forwarded-Proto"), "|"); got != "https" {
		t.Errorf("X-Forwarded-Proto %q", got)
	}
	if got := strings.Join(q.Lines("X-Request-Id"), "|"); got != "from-the-balancer" {
		t.Errorf("X-Request-Id %q", got)
	}
}

// TestRoutes: host, prefix, host_header, max_body.
func TestRoutes(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		wiki, files, rest := e2e.Record(t), e2e.Record(t), e2e.Record(t)
		gate := e2e.Start(t, m, `
routes:
  - {host: wiki.example.test, upstream: `+wiki.URL+`, host_header: upstream}
  - {host: app.example.test, path: /files, upstream: `+files.URL+`, strip_prefix: true, max_body: 1KiB}
  - {host: app.example.test, upstream: `+rest.URL+`}
`)
		alice := gate.Browser(t)
		alice.Login("alice", e2e.Password)
		alice.Do("GET", "/x", nil, "Host: wiki.example.test", "Cookie: "+alice.CookieLine())
		alice.Client.Jar = nil
		cookie := "Cookie: " + alice.CookieLine()
		wiki.Reset()
		alice.Do("GET", "/x", nil, "Host: wiki.example.test", cookie)
		if q := wiki.One(t); "http://"+strings.Join(q.Lines("Host"), "") != wiki.URL {
			t.Errorf("host_header: upstream: Host %q", q.Lines("Host"))
		}
		alice.Do("GET", "/files/a%2Fb?c", nil, cookie)
		if q := files.One(t); q.Target() != "/a%2Fb?c" {
			t.Errorf("strip_prefix: %q", q.Target())
		}
		alice.Do("GET", "/filesystem", nil, cookie)
		if q := rest.One(t); q.Target() != "/filesystem" {
			t.Errorf("the rest: %q", q.Target())
		}
		files.Reset()
		if a := alice.Do("POST", "/files/x", strings.NewReader(strings.Repeat("x", 1025)), cookie); a.Status != http.StatusRequestEntityTooLarge {
			t.Errorf("1025 bytes: %d, want 413", a.Status)
		}
		files.None(t)
		if a := alice.Do("GET", "/", nil, "Host: evil.test", cookie); a.Status != http.StatusMisdirectedRequest {
			t.Errorf("unknown host: %d, want 421", a.Status)
		}
		for _, method := range []string{"TRACE", "CONNECT"} {
			if method == "CONNECT" && m.HTTP2 {
				continue // Go's client sends another kind of request; see the cases
			}
			if a := alice.Do(method, "/", nil, cookie); a.Status != http.StatusMethodNotAllowed {
				t.Errorf("%s: %d, want 405", method, a.Status)
			}
		}
	})
}

// TestAnswerHeaders: what an upstream may not say to the browser, and what we
// add.
func TestAnswerHeaders(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		app := e2e.Record(t)
		app.Answer = func(q e2e.Request) string {
			policy := ""
			if strings.Contains(q.Target(), "cached") {
				policy = "Cache-Control: max-age=60\r\n"
			}
			return "HTTP/1.1 200 OK\r\nSet-Cookie: app=1; Path=/\r\nSet-Cookie: gatehouse=evil; Path=/\r\nset-cookie: __Host-gatehouse=evil; Path=/; Secure\r\n" +
				"Clear-Site-Data: \"cookies\"\r\nX-Forwarded-User: alice\r\nKeep-Alive: timeout=5\r\nX-Custom: a\r\nX-Custom: b\r\n" + policy + "Content-Length: 2\r\n\r\nok"
		}
		alice := e2e.Start(t, m, e2e.Standard(app.URL)).Browser(t)
		alice.Login("alice", e2e.Password)
		a := alice.Fetch("/private")
		if got := a.Header["Set-Cookie"]; !slices.Equal(got, []string{"app=1; Path=/"}) {
			t.Errorf("Set-Cookie %q", got)
		}
		for _, name := range []string{"Clear-Site-Data", "X-Forwarded-User", "Keep-Alive"} {
			if got := a.Header.Get(name); got != "" {
				t.Errorf("%s: %q came through", name, got)
			}
		}
		if got := a.Header["X-Custom"]; !slices.Equal(got, []string{"a", "b"}) {
			t.Errorf("X-Custom %q", got)
		}
		if got := a.Header.Get("Cache-Control"); got != "private, no-cache" {
			t.Errorf("Cache-Control %q, want ours", got)
		}
		if got := alice.Fetch("/private/cached").Header.Get("Cache-Control"); got != "private, max-age=60" {
			t.Errorf("Cache-Control %q, want the application's, for one visitor", got)
		}
		if got := alice.Fetch("/public/x").Header.Get("Cache-Control"); got != "" {
			t.Errorf("public: Cache-Control %q, want none", got)
		}
		if alice.SignedInAs() != "alice" {
			t.Errorf("the application signed alice out")
		}
	})
}

// TestOwnPrefixIsOurs: no request below /_gate/ reaches an application, and
// what is not there is 404.
func TestOwnPrefixIsOurs(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		app := e2e.Record(t)
		alice := e2e.Start(t, m, e2e.Standard(app.URL)).Browser(t)
		alice.Login("alice", e2e.Password)
		if a := alice.Visit("/_gate/unknown"); a.Status != http.StatusNotFound {
			t.Errorf("/_gate/unknown: %d, want 404", a.Status)
		}
		if a := alice.Do("PUT", "/_gate/login", strings.NewReader("x")); a.Status != http.StatusMethodNotAllowed {
			t.Errorf("PUT /_gate/login: %d, want 405", a.Status)
		}
		for _, path := range []string{"/_gate/../_gate/x", "/_gate%2Flogin", "//_gate/login", "/_gate/login;x"} {
			if a := alice.Visit(path); a.Status < 300 {
				t.Errorf("%s: %d", path, a.Status)
			}
		}
		app.None(t)
	})
}
