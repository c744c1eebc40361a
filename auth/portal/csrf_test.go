package portal_test

import (
	"net/http"
	"regexp"
	"strings"
	"testing"
)

var handleIn = regexp.MustCompile(`name="session" value="([0-9a-f]{16})"`)

// An application's scripts and our pages are one origin: by fetch, a script read
// the CSRF token and all sessions, ended them, and signed its visitor in as
// somebody else. What a script asks for says so, and is refused.
func TestScriptsCannotReadOurPages(t *testing.T) {
	g := newGate(t)
	b := g.browser(t).signIn("alice", alicesPassword)
	for _, asks := range []map[string]string{
		{"Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-origin"},
		{"Sec-Fetch-Mode": "same-origin", "Sec-Fetch-Dest": "empty", "Sec-Fetch-Site": "same-origin"},
		{"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "script"},
		{"Sec-Fetch-Mode": "no-cors", "Sec-Fetch-Dest": "object"},
		{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "iframe", "Sec-Fetch-Site": "same-origin"},
		{"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "embed"},
		{"Sec-Fetch-Dest": "empty"},
		{"Sec-Fetch-Mode": "websocket"},
		{"Sec-Fetch-Mode": ""},
	} {
		ask := func(method, path, body string) answer {
			r := b.request(method, path, strings.NewReader(body))
			for name, value := range asks {
				r.Header.Set(name, value)
			}
			if body != "" {
				r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			}
			return b.do(r)
		}
		for _, path := range []string{"/_gate", "/_gate/", "/_gate/login", "/_gate/logout", "/_gate/language?lang=de", "/_gate/password", "/_gate/nothing"} {
			if a := ask(http.MethodGet, path, ""); a.StatusCode != http.StatusForbidden || strings.Contains(a.body, "csrf_token") || len(a.Cookies()) > 0 {
				t.Errorf("%s by %v: %s, cookies %v\n%s", path, asks, a.Status, a.Cookies(), a.body)
			}
		}
		form := "csrf_token=" + b.token("/_gate/")
		for _, path := range []string{"/_gate/login", "/_gate/logout", "/_gate/sessions/end", "/_gate/sessions/end-others", "/_gate/password"} {
			if a := ask(http.MethodPost, path, form); a.StatusCode != http.StatusForbidden {
				t.Errorf("POST %s by %v: %s, want 403", path, asks, a.Status)
			}
		}
		for _, path := range []string{"/_gate/session", "/_gate/static/style.css"} {
			if a := ask(http.MethodGet, path, ""); a.StatusCode != http.StatusOK {
				t.Errorf("%s by %v: %s, want 200", path, asks, a.Status)
			}
		}
	}
	if b.who() != "alice" {
		t.Error("signed out")
	}
	if !strings.Contains(g.log.String(), "was not visited, but asked for: Sec-Fetch-Mode is") {
		t.Errorf("the log does not say why:\n%s", g.log)
	}
}

// A navigation, and a browser that tells nothing of what it asks for, go on as
// ever.
func TestOurPagesCanBeVisited(t *testing.T) {
	g := newGate(t)
	b := g.browser(t).signIn("alice", alicesPassword)
	for _, site := range []string{"none", "same-origin", "same-site", "cross-site"} {
		r := b.request(http.MethodGet, "/_gate/", nil)
		r.Header.Set("Sec-Fetch-Mode", "navigate")
		r.Header.Set("Sec-Fetch-Dest", "document")
		r.Header.Set("Sec-Fetch-Site", site)
		b.do(r).want(t, http.StatusOK, "")
	}
	b.get("/_gate/").want(t, http.StatusOK, "")
}

// What leads to the account page: its address without a slash, and what takes
// a form only, when it is typed or loaded again.
func TestWhatLeadsToTheAccountPage(t *testing.T) {
	g := newGate(t)
	b := g.browser(t).signIn("alice", alicesPassword)
	for _, path := range []string{"/_gate", "/_gate/password", "/_gate/sessions/end", "/_gate/sessions/end-others"} {
		r := b.request(http.MethodGet, path, nil)
		w := b.do(r)
		w.want(t, http.StatusFound, "/_gate/")
	}
	if a := b.do(b.request(http.MethodPost, "/_gate", nil)); a.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST /_gate: %s", a.Status)
	}
}

// The session alone must not shut its owner out of the others: who has stolen
// a cookie, or runs a script, has no password. A fresh login is one.
func TestEndingOtherSessionsNeedsThePassword(t *testing.T) {
	g := newGate(t)
	owner := g.browser(t).signIn("alice", alicesPassword)
	thief := g.browser(t).signIn("alice", alicesPassword)
	g.portal.SetFresh(0) // the logins were long ago
	other := handleIn.FindAllStringSubmatch(thief.get("/_gate/").body, -1)
	if len(other) != 2 {
		t.Fatalf("sessions %v", other)
	}
	for _, password := range []string{"", "wrong", strings.Repeat("x", 5000)} {
		for _, path := range []string{"/_gate/sessions/end-others", "/_gate/sessions/end"} {
			a := thief.post(path, "csrf_token", thief.token("/_gate/"), "session", other[1][1], "password", password)
			if a.StatusCode != http.StatusUnauthorized || !strings.Contains(a.body, "The current password is not right.") {
				t.Errorf("%s with %.10q: %s", path, password, a.Status)
			}
		}
	}
	if owner.who() != "alice" {
		t.Fatal("the session was ended")
	}
	page := owner.get("/_gate/").body
	if !strings.Contains(page, `formaction="/_gate/sessions/end-others"`) || !strings.Contains(page, "Signing out other devices needs your password.") {
		t.Errorf("the page does not ask for the password:\n%s", page)
	}
	owner.post("/_gate/sessions/end-others", "csrf_token", owner.token("/_gate/"), "password", alicesPassword).want(t, http.StatusSeeOther, "/_gate/")
	if thief.who() != "" {
		t.Error("the other session lives")
	}
	// One's own session ends without it.
	own := handleIn.FindStringSubmatch(owner.get("/_gate/").body)
	owner.post("/_gate/sessions/end", "csrf_token", owner.token("/_gate/"), "session", own[1]).want(t, http.StatusSeeOther, "/_gate/login")
}
