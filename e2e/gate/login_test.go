//go:build e2e

package gate_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/e2e"
)

func TestLoginAndLogout(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		app := e2e.Record(t)
		gate := e2e.Start(t, m, e2e.Standard(app.URL))
		alice := gate.Browser(t)

		a := alice.Visit("/private?a=b&c")
		if a.Status != http.StatusFound || next(t, a) != "/private?a=b&c" {
			t.Fatalf("not signed in: %d, Location %q", a.Status, a.Location())
		}
		page := alice.Visit(a.Location())
		if page.Status != http.StatusOK || !strings.Contains(page.Body, "<form") {
			t.Fatalf("login page: %d\n%s", page.Status, page.Body)
		}
		if a := alice.TryLogin("alice", "wrong horse", "/private"); a.Status != http.StatusUnauthorized || alice.SignedInAs() != "" {
			t.Fatalf("wrong password: %d, signed in as %q", a.Status, alice.SignedInAs())
		}
		app.None(t)

		a = alice.TryLogin("alice", e2e.Password, "/private?a=b&c")
		if a.Status != http.StatusSeeOther || a.Location() != "/private?a=b&c" {
			t.Fatalf("login: %d, Location %q\n%s", a.Status, a.Location(), a.Body)
		}
		checkCookie(t, m, a)
		if a := alice.Visit("/private?a=b&c"); a.Status != http.StatusOK || a.Body != "ok" {
			t.Fatalf("signed in: %d %q", a.Status, a.Body)
		}
		if q := app.One(t); q.Target() != "/private?a=b&c" || len(q.Lines("X-Forwarded-User")) != 1 || q.Lines("X-Forwarded-User")[0] != "alice" {
			t.Errorf("the application saw:\n%s", q.Head)
		}

		old := alice.CookieLine()
		if a := alice.Visit("/_gate/logout"); a.Status != http.StatusOK || alice.SignedInAs() != "alice" {
			t.Errorf("GET of the logout page: %d, signed in as %q", a.Status, alice.SignedInAs())
		}
		alice.Logout()
		if got := alice.SignedInAs(); got != "" {
			t.Errorf("after logout signed in as %q", got)
		}
		if alice.Cookie() != "" {
			t.Errorf("after logout the browser still has a cookie")
		}
		app.Reset()
		if a := gate.Browser(t).Visit("/private", "Cookie: "+old); a.Status != http.StatusFound {
			t.Errorf("the old cookie after logout: %d, want 302", a.Status)
		}
		app.None(t)
	})
}

// next is where a redirect to the login page leads back to; "" when the answer
// is none.
func next(t *testing.T, a e2e.Answer) string {
	t.Helper()
	if a.Location() == "" {
		return ""
	}
	u, err := url.Parse(a.Location())
	if err != nil || u.Host != "" || u.Path != "/_gate/login" {
		t.Errorf("Location %q, want our login page", a.Location())
		return ""
	}
	return u.Query().Get("next")
}

// checkCookie: contract, section cookie.
func checkCookie(t *testing.T, m e2e.Mode, a e2e.Answer) {
	t.Helper()
	found := false
	for _, line := range a.Header["Set-Cookie"] {
		if !strings.HasPrefix(line, m.Cookie+"=") {
			continue
		}
		found = true
		for _, want := range []string{"Path=/", "HttpOnly", "SameSite=Lax"} {
			if !strings.Contains(line, want) {
				t.Errorf("no %s in Set-Cookie: %s", want, line)
			}
		}
		if m.TLS != strings.Contains(line, "Secure") || strings.Contains(line, "Domain") {
			t.Errorf("Set-Cookie: %s", line)
		}
	}
	if !found {
		t.Errorf("no cookie %s in %q", m.Cookie, a.Header["Set-Cookie"])
	}
	if got := a.Header.Get("Cache-Control"); !strings.Contains(got, "no-store") {
		t.Errorf("the answer that sets the cookie has Cache-Control %q, want no-store", got)
	}
}

// TestAnswers is the table "Answers of the gate" of the contract.
func TestAnswers(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		app := e2e.Record(t)
		gate := e2e.Start(t, m, e2e.Standard(app.URL)+"  - {host: wiki.example.test, upstream: \"unix:"+filepath.Join(t.TempDir(), "nobody.sock")+"\"}\n")
		nobody, alice := gate.Browser(t), gate.Browser(t)
		alice.Login("alice", e2e.Password)
		base := alice.Base

		old := []string{"Accept: text/html"} // a browser without Sec-Fetch
		nav, fetch := e2e.Navigation(), []string{"Sec-Fetch-Mode: cors", "Accept: text/html"}
		down := append([]string{"Host: wiki.example.test", "Cookie: " + alice.CookieLine()}, nav...)
		downFetch := append([]string{"Host: wiki.example.test", "Cookie: " + alice.CookieLine()}, fetch...)
		for _, c := range []struct {
			name    string
			who     *e2e.Browser
			method  string
			target  string
			headers []string
			status  int
			next    string
			mime    string
		}{
			{"navigation", nobody, "GET", "/a?b=c", nav, 302, "/a?b=c", ""},
			{"navigation by HEAD", nobody, "HEAD", "/a", nav, 302, "/a", ""},
			{"navigation of an old browser", nobody, "GET", "/a", old, 302, "/a", ""},
			{"XHR of an old browser", nobody, "GET", "/a", append([]string{"X-Requested-With: XMLHttpRequest"}, old...), 401, "", "application/problem+json"},
			{"script that accepts anything", nobody, "GET", "/a", []string{"Accept: */*"}, 401, "", "application/problem+json"},
			{"fetch", nobody, "GET", "/a", fetch, 401, "", "application/problem+json"},
			{"image", nobody, "GET", "/a.png", []string{"Sec-Fetch-Mode: no-cors", "Sec-Fetch-Dest: image"}, 401, "", "application/problem+json"},
			{"form sent after the session ended", nobody, "POST", "/save", append([]string{"Referer: " + base + "/edit?page=1", "Origin: " + base}, nav...), 303, "/edit?page=1", ""},
			{"form from nowhere", nobody, "POST", "/save", nav, 303, "/", ""},
			{"form from another site", nobody, "POST", "/save", append([]string{"Referer: https://evil.test/edit"}, nav...), 303, "/", ""},
			{"fetch with POST", nobody, "POST", "/save", fetch, 401, "", "application/problem+json"},
			{"not allowed", alice, "GET", "/admin/x", nav, 403, "", "text/html"},
			{"not allowed, form", alice, "POST", "/admin/x", nav, 403, "", "text/html"},
			{"not allowed, fetch", alice, "GET", "/admin/x", fetch, 403, "", "application/problem+json"},
			{"upstream down", alice, "GET", "/", down, 502, "", "text/html"},
			{"upstream down, fetch", alice, "GET", "/", downFetch, 502, "", "application/problem+json"},
		} {
			t.Run(c.name, func(t *testing.T) {
				a := c.who.Do(c.method, c.target, nil, c.headers...)
				if a.Status != c.status {
					t.Fatalf("status %d, want %d\n%s", a.Status, c.status, a.Body)
				}
				if got := next(t, a); got != c.next {
					t.Errorf("Location %q leads back to %q, want %q", a.Location(), got, c.next)
				}
				if got := a.Header.Get("Content-Type"); !strings.HasPrefix(got, c.mime) {
					t.Errorf("Content-Type %q, want %q", got, c.mime)
				}
				if c.status != 502 && !strings.Contains(strings.Join(a.Header["Vary"], ","), "Cookie") {
					t.Errorf("Vary %q, want Cookie in it", a.Header["Vary"])
				}
				if c.status == 401 {
					var problem struct {
						LoginURL string `json:"login_url"`
					}
					if err := json.Unmarshal([]byte(a.Body), &problem); err != nil || !strings.HasPrefix(problem.LoginURL, "/_gate/login") {
						t.Errorf("problem: %v, login_url %q\n%s", err, problem.LoginURL, a.Body)
					}
				}
			})
		}
		app.None(t)
	})
}

// TestOwnPages: the headers of every page of ours, and what they refuse.
func TestOwnPages(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		app := e2e.Record(t)
		gate := e2e.Start(t, m, e2e.Standard(app.URL))
		nobody, alice := gate.Browser(t), gate.Browser(t)
		alice.Login("alice", e2e.Password)
		for _, page := range []struct {
			who  *e2e.Browser
			path string
		}{{nobody, "/_gate/login"}, {nobody, "/_gate/session"}, {alice, "/_gate/"}, {alice, "/_gate/logout"}, {alice, "/_gate/session"}} {
			a := page.who.Visit(page.path)
			h := a.Header
			if a.Status != http.StatusOK || !strings.Contains(h.Get("Cache-Control"), "no-store") ||
				!strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors 'none'") || h.Get("X-Frame-Options") != "DENY" ||
				h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") != "same-origin" || h.Get("X-Robots-Tag") != "noindex" {
				t.Errorf("%s: status %d, headers %v", page.path, a.Status, h)
			}
		}
		form := func(token string) url.Values {
			return url.Values{"username": {"alice"}, "password": {e2e.Password}, "csrf_token": {token}}
		}
		if a := nobody.Submit("/_gate/login", form("")); a.Status != http.StatusForbidden {
			t.Errorf("login without a token: %d, want 403", a.Status)
		}
		token := nobody.Token(nobody.Visit("/_gate/login"))
		if a := nobody.Submit("/_gate/login", form(token), "Sec-Fetch-Site: cross-site"); a.Status != http.StatusForbidden {
			t.Errorf("login from another site: %d, want 403", a.Status)
		}
		if a := gate.Browser(t).Submit("/_gate/login", form(token)); a.Status != http.StatusForbidden {
			t.Errorf("login with another browser's token: %d, want 403", a.Status)
		}
		big := form(token)
		big.Set("username", strings.Repeat("a", 9<<10))
		if a := nobody.Submit("/_gate/login", big); a.Status != http.StatusRequestEntityTooLarge && a.Status != http.StatusBadRequest {
			t.Errorf("9 KiB form: %d, want 413 or 400", a.Status)
		}
		twice := form(token)
		twice.Add("username", "bob")
		if a := nobody.Submit("/_gate/login", twice); a.Status != http.StatusBadRequest {
			t.Errorf("a field twice: %d, want 400", a.Status)
		}
		if nobody.SignedInAs() != "" {
			t.Errorf("somebody got in: %q", nobody.SignedInAs())
		}
		if a := alice.Submit("/_gate/logout", url.Values{}); a.Status != http.StatusForbidden || alice.SignedInAs() != "alice" {
			t.Errorf("logout without a token: %d, signed in as %q", a.Status, alice.SignedInAs())
		}
		app.None(t)
	})
}

// TestAccountPage: one's sessions are shown, the others are ended, and a new
// password ends them as well.
func TestAccountPage(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		gate := e2e.Start(t, m, e2e.Standard(e2e.Record(t).URL))
		const second = "a wholly new pass phrase"
		gate.Must(t, e2e.Password+"\n", "user", "add", "dave", "--password-stdin")
		here, there := gate.Browser(t), gate.Browser(t)
		here.Login("dave", e2e.Password)
		there.Login("dave", e2e.Password)
		if out := gate.Must(t, "", "session", "list", "--user", "dave"); strings.Count(out, "dave") != 2 {
			t.Errorf("session list:\n%s", out)
		}
		page := here.Visit("/_gate/")
		if page.Status != http.StatusOK || strings.Count(page.Body, "127.0.0.1") < 2 {
			t.Fatalf("account page: %d\n%s", page.Status, page.Body)
		}
		token := here.Token(page)
		if a := here.Submit("/_gate/sessions/end-others", url.Values{}); a.Status != http.StatusForbidden || there.SignedInAs() != "dave" {
			t.Errorf("without a token: %d, the other is %q", a.Status, there.SignedInAs())
		}
		here.Submit("/_gate/sessions/end-others", url.Values{"csrf_token": {token}})
		if here.SignedInAs() != "dave" || there.SignedInAs() != "" {
			t.Errorf("after ending the others: here %q, there %q", here.SignedInAs(), there.SignedInAs())
		}

		there.Login("dave", e2e.Password)
		form := url.Values{"old_password": {"not the password"}, "new_password": {second}, "new_password_again": {second}, "csrf_token": {here.Token(here.Visit("/_gate/"))}}
		here.Submit("/_gate/password", form)
		if there.SignedInAs() != "dave" {
			t.Error("a wrong old password changed something")
		}
		form["old_password"] = []string{e2e.Password}
		form["csrf_token"] = []string{here.Token(here.Visit("/_gate/"))}
		here.Submit("/_gate/password", form)
		if here.SignedInAs() != "dave" || there.SignedInAs() != "" {
			t.Errorf("after the change of the password: here %q, there %q", here.SignedInAs(), there.SignedInAs())
		}
		if a := there.TryLogin("dave", e2e.Password, "/"); a.Status != http.StatusUnauthorized {
			t.Errorf("the old password: %d, want 401", a.Status)
		}
		there.Login("dave", second)
	})
}

// TestThrottle: too many wrong passwords are answered 429, and the right one
// still works from where it worked before.
func TestThrottle(t *testing.T) {
	t.Parallel()
	gate := e2e.Start(t, e2e.HTTP1, "login: {throttle: {per_account: 3/15m, per_network: 100/15m}}\n"+e2e.Standard(e2e.Record(t).URL))
	b := gate.Browser(t)
	status := 0
	for range 6 {
		status = b.TryLogin("bob", "not the password", "/").Status
	}
	if status != http.StatusTooManyRequests {
		t.Errorf("sixth wrong password: %d, want 429", status)
	}
	if a := gate.Browser(t).TryLogin("alice", e2e.Password, "/"); a.Status != http.StatusSeeOther {
		t.Errorf("another account from the same place: %d, want 303", a.Status)
	}
	gate.AwaitLog(t, "login.throttled")
}
