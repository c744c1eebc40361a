package portal_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/auth/account"
	"gatehouse/auth/portal"
	"gatehouse/internal/web"
	"gatehouse/sessions"
)

// Django 108, 117.
func TestChallenge(t *testing.T) {
	g := newGate(t)
	long := "/" + strings.Repeat("a", 16<<10)
	for _, c := range []struct {
		name, method, path string
		header             [2]string
		code               int
		location           string
	}{
		{"page", "GET", "/app", [2]string{}, 302, "/_gate/login?next=/app"},
		{"page, HEAD", "HEAD", "/app", [2]string{}, 302, "/_gate/login?next=/app"},
		{"query as sent", "GET", "/a%20b/%E0%A4%9D?q=%E0%A4%9D&r=a+b", [2]string{}, 302, "/_gate/login?next=/a%2520b/%25E0%25A4%259D%3Fq%3D%25E0%25A4%259D%26r%3Da%2Bb"},
		{"markup in the query", "GET", `/?<script>"'`, [2]string{}, 302, "/_gate/login?next=/%3F%3Cscript%3E%22%27"},
		{"unsafe way back", "GET", "/;//b", [2]string{}, 302, "/_gate/login?next=/"},
		{"empty segment", "GET", "/a//b?x=1", [2]string{}, 302, "/_gate/login?next=/a//b%3Fx%3D1"},
		{"way back that is too long", "GET", long, [2]string{}, 302, "/_gate/login?next=/"},
		{"our own page", "GET", "/_gate/", [2]string{}, 302, "/_gate/login?next=/"},
		{"fetch metadata: a page", "GET", "/app", [2]string{"Sec-Fetch-Mode", "navigate"}, 302, "/_gate/login?next=/app"},
		{"post without a page", "POST", "/app", [2]string{}, 303, "/_gate/login?next=/"},
		{"put", "PUT", "/app", [2]string{}, 303, "/_gate/login?next=/"},
		{"post from a page of ours", "POST", "/app/save", [2]string{"Referer", g.URL + "/app/edit?id=1#x"}, 303, "/_gate/login?next=/app/edit%3Fid%3D1"},
		{"post from elsewhere", "POST", "/app/save", [2]string{"Referer", "http://evil.test/app"}, 303, "/_gate/login?next=/"},
		{"post from our host by https", "POST", "/app/save", [2]string{"Referer", strings.Replace(g.URL, "http", "https", 1) + "/app"}, 303, "/_gate/login?next=/"},
		{"post with a bad page", "POST", "/app/save", [2]string{"Referer", "::"}, 303, "/_gate/login?next=/"},
		{"fetch", "GET", "/app", [2]string{"Sec-Fetch-Mode", "cors"}, 401, ""},
		{"image", "GET", "/app.png", [2]string{"Sec-Fetch-Mode", "no-cors"}, 401, ""},
		{"XMLHttpRequest", "GET", "/app", [2]string{"X-Requested-With", "XMLHttpRequest"}, 401, ""},
		{"program", "GET", "/app", [2]string{"Accept", "*/*"}, 401, ""},
		{"program that posts", "POST", "/app", [2]string{"Accept", "application/json"}, 401, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := g.browser(t)
			r := b.request(c.method, c.path, nil)
			if c.header[0] != "" {
				r.Header.Set(c.header[0], c.header[1])
			}
			r.Header.Set("X-Forwarded-Prefix", "//evil.test")
			a := b.do(r).want(t, c.code, c.location)
			if a.Header.Get("Cache-Control") != "no-store" || a.Header.Get("Vary") != "Cookie" || len(a.Cookies()) > 0 {
				t.Errorf("header %v", a.Header)
			}
			if c.code != http.StatusUnauthorized {
				return
			}
			var p web.Problem
			if err := json.Unmarshal([]byte(a.body), &p); err != nil || a.Header.Get("Content-Type") != "application/problem+json" ||
				p.LoginURL != "/_gate/login" || p.Status != 401 {
				t.Errorf("%v: %s", err, a.body)
			}
		})
	}
}

// The way back of a fetch is the page that it was made on, not what it asked
// for.
func TestChallengeOfAFetchKnowsThePage(t *testing.T) {
	g := newGate(t)
	b := g.browser(t)
	r := b.request(http.MethodGet, "/api/items", nil)
	r.Header.Set("Accept", "application/json")
	r.Header.Set("Referer", g.URL+"/app?tab=2")
	if a := b.do(r); !strings.Contains(a.body, `"login_url":"/_gate/login?next=/app%3Ftab%3D2"`) {
		t.Errorf("%s", a.body)
	}
}

// Nothing that a client says of a host may come back in an answer of ours.
func TestNoAnswerRepeatsTheHost(t *testing.T) {
	g := newGate(t)
	for _, path := range []string{"/app", "/_gate/login", "/_gate/logout", "/_gate/", "/_gate/session", "/_gate/nothing"} {
		b := g.browser(t)
		r := b.request(http.MethodGet, path, nil)
		r.Host = "evil.test"
		r.Header.Set("X-Forwarded-Host", "evil.test")
		a := b.do(r)
		if strings.Contains(fmt.Sprint(a.Header)+a.body, "evil") {
			t.Errorf("%s: %v\n%s", path, a.Header, a.body)
		}
	}
}

// Django 101.
func TestHeadersOfOurPages(t *testing.T) {
	g := newGate(t)
	b := g.browser(t)
	in := g.browser(t).signIn("alice", alicesPassword)
	for _, a := range []answer{
		b.get("/_gate/login"), b.login("x", "y"), b.get("/_gate/session"), b.get("/_gate/static/style.css"), b.get("/_gate/static/favicon.svg"),
		b.get("/_gate/nothing"), b.get("/_gate/logout"), in.get("/_gate/"), in.get("/_gate/logout"), in.get("/_gate/login"), in.get("/_gate/session"),
	} {
		h := a.Header
		csp := h.Get("Content-Security-Policy")
		for _, d := range []string{"default-src 'none'", "frame-ancestors 'none'", "form-action 'self'", "base-uri 'none'"} {
			if !strings.Contains(csp, d) {
				t.Errorf("%s: no %s in %q", a.Request.URL.Path, d, csp)
			}
		}
		if strings.Contains(csp, "unsafe") || h.Get("Cache-Control") != "no-store" || h.Get("X-Frame-Options") != "DENY" || h.Get("X-Content-Type-Options") != "nosniff" ||
			h.Get("Referrer-Policy") != "same-origin" || h.Get("X-Robots-Tag") != "noindex" || h.Get("Server") != "" {
			t.Errorf("%s: %v", a.Request.URL.Path, h)
		}
	}
}

func TestPathsAndMethods(t *testing.T) {
	g := newGate(t)
	b := g.browser(t)
	for _, c := range []struct {
		method, path string
		code         int
		allow        string
	}{
		{"GET", "/_gate/nothing", 404, ""},
		{"GET", "/_gate/login/", 404, ""},
		{"GET", "/_gate/%6cogin", 404, ""},
		{"GET", "/_gate//login", 404, ""},
		{"GET", "/_gate/static/", 404, ""},
		{"GET", "/_gate/static/../login", 404, ""},
		{"PUT", "/_gate/login", 405, "GET, HEAD, POST"},
		{"DELETE", "/_gate/logout", 405, "GET, HEAD, POST"},
		{"OPTIONS", "/_gate/session", 405, "GET, HEAD"},
		{"POST", "/_gate/", 405, "GET, HEAD"},
		{"PUT", "/_gate/password", 405, "GET, HEAD, POST"},
		{"HEAD", "/_gate/login", 200, ""},
	} {
		a := b.do(b.request(c.method, c.path, nil))
		if a.StatusCode != c.code || a.Header.Get("Allow") != c.allow {
			t.Errorf("%s %s: %s, Allow %q; want %d, %q", c.method, c.path, a.Status, a.Header.Get("Allow"), c.code, c.allow)
		}
	}
	for _, path := range []string{"/_gate/login", "/_gate/static/style.css", "/_gate/", "/_gate/session"} {
		r := b.request(http.MethodGet, path, nil)
		r.Header.Set("Service-Worker", "script")
		b.do(r).want(t, http.StatusBadRequest, "")
	}
	r := b.request(http.MethodGet, "/_gate/login", nil)
	r.Header.Set("Range", "bytes=0-9")
	b.do(r).want(t, http.StatusOK, "")
}

func TestOnlyOurFormIsRead(t *testing.T) {
	g := newGate(t)
	const form = "application/x-www-form-urlencoded"
	right := "&username=alice&password=correct+horse+battery+staple"
	for _, c := range []struct {
		name, query, body string
		header            [2]string
		code              int
	}{
		{"multipart", "", right, [2]string{"Content-Type", "multipart/form-data; boundary=b"}, 415},
		{"JSON", "", "{}", [2]string{"Content-Type", "application/json"}, 415},
		{"plain text", "", right, [2]string{"Content-Type", "text/plain"}, 415},
		{"no type", "", right, [2]string{"Content-Type", ""}, 415},
		{"UTF-16", "", right, [2]string{"Content-Type", form + "; charset=utf-16"}, 415},
		{"other parameter", "", right, [2]string{"Content-Type", form + "; x=y"}, 415},
		{"gzip", "", right, [2]string{"Content-Encoding", "gzip"}, 415},
		{"password twice", "", right + "&password=x", [2]string{}, 400},
		{"name twice, one escaped", "", right + "&%75sername=bob", [2]string{}, 400},
		{"semicolon", "", right + ";x=y", [2]string{}, 400},
		{"broken escape", "", right + "&x=%zz", [2]string{}, 400},
		{"1 MiB", "", right + "&x=" + strings.Repeat("a", 1<<20), [2]string{}, 413},
		{"8 KiB and one", "", right + "&x=" + strings.Repeat("a", 8<<10), [2]string{}, 413},
		{"password in the query", "?password=x", right, [2]string{}, 400},
		{"name in the query", "?a=b;user%6eame=x", right, [2]string{}, 400},
		{"as it should be", "?next=/x", right, [2]string{"Content-Type", form + "; charset=UTF-8"}, 303},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := g.browser(t)
			r := b.request(http.MethodPost, "/_gate/login"+c.query, strings.NewReader("csrf_token="+b.token("/_gate/login")+c.body))
			r.Header.Set("Content-Type", form)
			if c.header[0] != "" {
				r.Header.Set(c.header[0], c.header[1])
			}
			if a := b.do(r); a.StatusCode != c.code {
				t.Errorf("%s, want %d", a.Status, c.code)
			}
			if who := b.who(); (who == "alice") != (c.code == 303) {
				t.Errorf("signed in as %q", who)
			}
		})
	}
	t.Run("credentials of a GET", func(t *testing.T) {
		b := g.browser(t)
		b.get("/_gate/login?username=alice&password=correct+horse+battery+staple").want(t, http.StatusOK, "")
		if b.who() != "" {
			t.Error("signed in")
		}
	})
	t.Run("endless chunks", func(t *testing.T) {
		b := g.browser(t)
		r := b.request(http.MethodPost, "/_gate/login", io.MultiReader(strings.NewReader("x="+strings.Repeat("a", 256<<10))))
		r.ContentLength = -1
		r.Header.Set("Content-Type", form)
		b.do(r).want(t, http.StatusRequestEntityTooLarge, "")
	})
}

// Who sends a body byte by byte, or stops in the middle, holds a connection
// for ten seconds and no longer.
func TestSlowBodyIsCutOff(t *testing.T) {
	g := newGate(t, func(g *gate) { g.bodyTime = 300 * time.Millisecond })
	for name, contentType := range map[string]string{"that is read": "application/x-www-form-urlencoded", "that is not read": "text/plain"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var d net.Dialer
			c, err := d.DialContext(t.Context(), "tcp", g.Listener.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			start := time.Now()
			if _, err := fmt.Fprintf(c, "POST /_gate/login HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: 100\r\n\r\na=b", contentType); err != nil {
				t.Fatal(err)
			}
			_ = c.SetReadDeadline(start.Add(30 * time.Second))
			if _, err := io.Copy(io.Discard, bufio.NewReader(c)); err != nil {
				t.Fatalf("after %v: %v", time.Since(start), err)
			}
			if took := time.Since(start); took < 300*time.Millisecond || took > 8*time.Second {
				t.Errorf("the connection was held for %v", took)
			}
		})
	}
}

// Django 119, 120, 121, 122, 123.
func TestLogout(t *testing.T) {
	for _, g := range []*gate{newGate(t), newGate(t, withTLS)} {
		b := g.browser(t).signIn("alice", alicesPassword)
		other := g.browser(t).signIn("alice", alicesPassword)
		copied := b.cookies()

		a := b.get("/_gate/logout").want(t, http.StatusOK, "")
		if !strings.Contains(a.body, "alice") || b.who() != "alice" {
			t.Error("asking has ended the session")
		}
		b.post("/_gate/logout").want(t, http.StatusForbidden, "")
		b.post("/_gate/logout", "csrf_token", other.token("/_gate/logout")).want(t, http.StatusForbidden, "")
		b.site = "cross-site"
		b.post("/_gate/logout", "csrf_token", b.token("/_gate/logout")).want(t, http.StatusForbidden, "")
		b.site = "same-origin"
		if b.who() != "alice" {
			t.Fatal("a logout without a token ended the session")
		}

		a = b.post("/_gate/logout", "csrf_token", b.token("/_gate/logout"), "next", "//evil.test").want(t, http.StatusSeeOther, "/_gate/login")
		if g.tls && a.Header.Get("Clear-Site-Data") != `"cache"` {
			t.Error("the Back button would show pages")
		}
		for name, value := range copied {
			if c := b.cookies()[name]; strings.HasSuffix(name, "gatehouse") && c != "" {
				t.Errorf("the cookie %s stays", name)
			}
			b.setCookie(name, value)
		}
		if b.who() != "" {
			t.Error("a copy of the cookie opens the session")
		}
		if other.who() != "alice" {
			t.Error("another session has ended as well")
		}
		// Signing out again is no error; a GET has nothing to ask.
		b.get("/_gate/logout").want(t, http.StatusFound, "/_gate/login")
		b.post("/_gate/logout").want(t, http.StatusSeeOther, "/_gate/login")
		if !strings.Contains(g.log.String(), `"msg":"logout"`) {
			t.Error("no audit event")
		}
		token := other.token("/_gate/logout?next=/bye")
		if !strings.Contains(other.get("/_gate/logout?next=/bye").body, `name="next" value="/bye"`) {
			t.Error("the page forgets where to go")
		}
		other.post("/_gate/logout?next=/query", "csrf_token", token, "next", "/bye").want(t, http.StatusSeeOther, "/bye")
	}
}

func TestSessionState(t *testing.T) {
	g := newGate(t)
	b := g.browser(t)
	type state struct {
		Authenticated bool     `json:"authenticated"`
		User          string   `json:"user"`
		Groups        []string `json:"groups"`
		Idle          *int64   `json:"idle_remaining"`
		Remaining     *int64   `json:"remaining"`
	}
	get := func() (s state) {
		a := b.get("/_gate/session").want(t, http.StatusOK, "")
		if err := json.Unmarshal([]byte(a.body), &s); err != nil || a.Header.Get("Content-Type") != "application/json" || a.Header.Get("Vary") != "Cookie" {
			t.Errorf("%v: %v %s", err, a.Header, a.body)
		}
		return s
	}
	if s := get(); s.Authenticated || s.User != "" || s.Groups == nil || s.Idle == nil || *s.Idle != 0 {
		t.Errorf("nobody: %+v", s)
	}
	b.signIn("alice", alicesPassword)
	s := get()
	if !s.Authenticated || s.User != "alice" || len(s.Groups) != 2 || s.Idle == nil || *s.Idle < 1790 || *s.Idle > 1800 || s.Remaining == nil || *s.Remaining < 43190 {
		t.Errorf("alice: %+v", s)
	}
}

func TestAccountPage(t *testing.T) {
	g := newGate(t)
	b := g.browser(t)
	b.get("/_gate/").want(t, http.StatusFound, "/_gate/login?next=/")
	one, two := g.browser(t), g.browser(t)
	one.addr, two.addr = "198.51.100.1", "198.51.100.2"
	b.signIn("alice", alicesPassword)
	one.signIn("alice", alicesPassword)
	two.signIn("alice", alicesPassword)
	bob := g.browser(t).signIn("bob", bobsPassword)
	body := b.get("/_gate/").want(t, http.StatusOK, "").body
	for _, s := range []string{"alice@example.com", "Alice A.", "admins, staff", "Firefox on Linux", "198.51.100.1", "198.51.100.2", "This device", `autocomplete="new-password"`, `autocomplete="current-password"`} {
		if !strings.Contains(body, s) {
			t.Errorf("the page lacks %q", s)
		}
	}
	for _, v := range b.cookies() {
		if strings.Contains(body, v) {
			t.Error("the page shows a cookie")
		}
	}
	handles := handleIn.FindAllStringSubmatch(body, -1)
	if len(handles) != 3 {
		t.Fatalf("%d sessions, want 3", len(handles))
	}
	if !strings.Contains(bob.get("/_gate/").body, "The administrator keeps the password") {
		t.Error("bob, who is in the file, may change his password")
	}

	token := b.token("/_gate/")
	first := handles[1][1] // the first is this one
	b.post("/_gate/sessions/end", "session", first).want(t, http.StatusForbidden, "")
	bob.post("/_gate/sessions/end", "csrf_token", bob.token("/_gate/"), "session", first).want(t, http.StatusSeeOther, "/_gate/")
	if one.who() != "alice" || two.who() != "alice" {
		t.Fatal("bob has ended a session of alice")
	}
	b.post("/_gate/sessions/end", "csrf_token", token, "session", first).want(t, http.StatusSeeOther, "/_gate/")
	if (one.who() == "") == (two.who() == "") {
		t.Error("not exactly one session has ended")
	}
	if !strings.Contains(b.get("/_gate/").body, "That device is signed out.") {
		t.Error("the page does not say what was done")
	}
	b.post("/_gate/sessions/end-others", "csrf_token", token).want(t, http.StatusSeeOther, "/_gate/")
	if one.who() != "" || two.who() != "" || b.who() != "alice" || bob.who() != "bob" {
		t.Error("not exactly the other sessions have ended")
	}
	b.post("/_gate/sessions/end", "csrf_token", token, "session", handles[0][1]).want(t, http.StatusSeeOther, "/_gate/login")
	if b.who() != "" {
		t.Error("this session has not ended")
	}
	b.post("/_gate/sessions/end", "csrf_token", token, "session", first).want(t, http.StatusSeeOther, "/_gate/login?next=/")
}

// Django 126.
func TestChangePassword(t *testing.T) {
	g := newGate(t)
	const fresh = "four quite uncommon words"
	b, other := g.browser(t).signIn("alice", alicesPassword), g.browser(t).signIn("alice", alicesPassword)
	change := func(b *browser, old, one, two string) answer {
		return b.post("/_gate/password", "csrf_token", b.token("/_gate/"), "old_password", old, "new_password", one, "new_password_again", two)
	}
	for _, c := range []struct {
		name, old, one, two, says string
		code                      int
	}{
		{"wrong old one", "wrong", fresh, fresh, "current password is not right", 401},
		{"no old one", "", fresh, fresh, "current password is not right", 401},
		{"two new ones", alicesPassword, fresh, fresh + "!", "differ", 422},
		{"the same", alicesPassword, alicesPassword, alicesPassword, "is the old one", 422},
		{"short", alicesPassword, "short", "short", "Take at least 15", 422},
		{"common", alicesPassword, "passwordpassword", "passwordpassword", "first that are tried", 422},
		{"none", alicesPassword, "", "", "Take at least 15", 422},
	} {
		if a := change(b, c.old, c.one, c.two).want(t, c.code, ""); !strings.Contains(a.body, c.says) {
			t.Errorf("%s: the page does not say %q", c.name, c.says)
		}
	}
	b.post("/_gate/password", "old_password", alicesPassword, "new_password", fresh, "new_password_again", fresh).want(t, http.StatusForbidden, "")
	if other.who() != "alice" {
		t.Fatal("nothing was changed, and a session has ended")
	}

	before := b.cookies()
	change(b, alicesPassword, fresh, fresh).want(t, http.StatusSeeOther, "/_gate/")
	if b.cookies()["gatehouse"] == before["gatehouse"] || b.cookies()["gatehouse_csrf"] == before["gatehouse_csrf"] {
		t.Error("the id or the token stays")
	}
	if b.who() != "alice" || other.who() != "" {
		t.Errorf("this session is %q, the other %q; want alice and nobody", b.who(), other.who())
	}
	g.browser(t).login("alice", alicesPassword).want(t, http.StatusUnauthorized, "")
	g.browser(t).signIn("alice", fresh)
	if !strings.Contains(g.log.String(), `"msg":"password.changed"`) {
		t.Error("no audit event")
	}

	bob := g.browser(t).signIn("bob", bobsPassword)
	change(bob, bobsPassword, fresh, fresh).want(t, http.StatusForbidden, "")
}

// Who has found an open session must not find out the password there.
func TestGuessingTheOldPasswordIsThrottled(t *testing.T) {
	g := newGate(t)
	b := g.browser(t).signIn("alice", alicesPassword)
	token := b.token("/_gate/")
	var last answer
	for range 11 {
		last = b.post("/_gate/password", "csrf_token", token, "old_password", "wrong", "new_password", "four quite uncommon words", "new_password_again", "four quite uncommon words")
	}
	last.want(t, http.StatusTooManyRequests, "")
	if last.Header.Get("Retry-After") == "" || !strings.Contains(last.body, "too many wrong tries") {
		t.Error("it does not say so")
	}
	if b.who() != "alice" {
		t.Error("the session has ended")
	}
}

// Django 125, 129.
func TestWhatEndsASession(t *testing.T) {
	for _, c := range []struct {
		name, reason string
		change       func(ctx context.Context, d *account.Database) error
	}{
		{"disabled", "account", func(ctx context.Context, d *account.Database) error {
			return d.Change(ctx, "alice", func(a *account.Account) error { a.Disabled = true; return nil })
		}},
		{"deleted", "account", func(ctx context.Context, d *account.Database) error { return d.Delete(ctx, "alice") }},
		{"another password", "password", func(ctx context.Context, d *account.Database) error {
			a, err := d.Account(ctx, "alice")
			if err == nil {
				_, err = d.SetPassword(ctx, "alice", a.PasswordHash)
			}
			return err
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGate(t)
			b := g.browser(t).signIn("alice", alicesPassword)
			if err := c.change(t.Context(), g.database); err != nil {
				t.Fatal(err)
			}
			b.get("/app").want(t, http.StatusFound, "/_gate/login?next=/app")
			n, err := g.store.Count(t.Context())
			if err != nil || n != 0 {
				t.Errorf("%d sessions are left, %v", n, err)
			}
			if log := g.log.String(); !strings.Contains(log, `"msg":"session.revoked"`) || !strings.Contains(log, `"reason":"`+c.reason+`"`) {
				t.Errorf("no audit event:\n%s", log)
			}
		})
	}
}

// An account of the same name in another source is another account.
//
// Django 130.
func TestSessionDoesNotMoveToAnotherSource(t *testing.T) {
	g := newGate(t)
	b := g.browser(t).signIn("bob", bobsPassword)
	a, err := account.FileSource(g.hasher, []account.UserConfig{{Name: "eve", PasswordHash: someSecret()}})
	if err != nil {
		t.Fatal(err)
	}
	if err := g.database.Add(t.Context(), account.Account{Name: "bob", PasswordHash: someSecret()}); err != nil {
		t.Fatal(err)
	}
	g.rebuild(t, a)
	if b.who() != "" {
		t.Error("the session of bob of the file is the session of bob of the database")
	}
}

// Anonymous visitors leave nothing behind.
//
// Django 109.
func TestAnonymousVisitsStoreNothing(t *testing.T) {
	g := newGate(t)
	for range 50 {
		b := g.browser(t)
		b.get("/app")
		b.login("alice", "wrong")
	}
	if n, err := g.store.Count(context.Background()); n != 0 || err != nil {
		t.Errorf("%d sessions, %v", n, err)
	}
}

// Django 45.
func TestTemplatesAreChecked(t *testing.T) {
	for name, html := range map[string]string{"empty script": "<script>{{.Next}}</script>", "unknown field": "{{.Password}}", "broken": "{{"} {
		err := portal.CheckTemplate(html)
		if err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := auth.New(auth.Options{}); err == nil {
		t.Error("nothing: taken")
	}
	if _, err := portal.New(portal.Options{}); err == nil {
		t.Error("no options of a portal: taken")
	}
}

// rebuild does what a reload does, with other accounts of the file.
func (g *gate) rebuild(t *testing.T, file ...account.Source) {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	people := account.InOrder(g.hasher, append(file, g.database.Source(g.hasher, logger))...)
	g.build(t, people, sessions.Cookie{Secure: func(r *http.Request) bool { return web.From(r.Context()).Secure() }}, logger)
}

// Secrets rotate: what the old one signed is good while it is still listed.
func TestKeysRotate(t *testing.T) {
	g := newGate(t)
	b := g.browser(t)
	token := b.token("/_gate/login")
	g.secrets = [][]byte{[]byte("another secret of thirty-two bytes"), g.secrets[0]}
	g.rebuild(t)
	b.post("/_gate/login", "csrf_token", token, "username", "alice", "password", alicesPassword).want(t, http.StatusSeeOther, "/")
	c := g.browser(t)
	token = c.token("/_gate/login")
	g.secrets = [][]byte{[]byte("a third secret of thirty-two bytes")}
	g.rebuild(t)
	c.post("/_gate/login", "csrf_token", token, "username", "alice", "password", alicesPassword).want(t, http.StatusForbidden, "")
}

func BenchmarkIdentify(b *testing.B) {
	g := newGate(b)
	w := g.browser(b).signIn("alice", alicesPassword)
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/app", nil)
	for name, value := range w.cookies() {
		r.AddCookie(&http.Cookie{Name: name, Value: value}) //nolint:gosec // G124: what a browser sends
	}
	r = r.WithContext(web.With(r.Context(), &web.Info{Scheme: "http"}))
	b.ReportAllocs()
	for b.Loop() {
		if id, err := g.auth.Identify(r); id == nil || err != nil {
			b.Fatal(id, err)
		}
	}
}
