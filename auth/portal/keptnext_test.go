package portal_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
)

// kibana 8359, cloud-platform 412: an address that is too long for the login
// page's own is not forgotten over the login.
func TestLongAddressSurvivesTheLogin(t *testing.T) {
	for _, long := range []string{
		"/app/kibana?_a=" + strings.Repeat("y", 2100),
		"/app/kibana?_a=" + strings.Repeat("(x:'%20')", 700),
		"/app/" + strings.Repeat("z", 16<<10-20),
	} {
		g := newGate(t)
		b := g.browser(t)
		login := b.get(long).Header.Get("Location")
		if len(login) > 200 || !strings.HasPrefix(login, "/_gate/login?next=kept") {
			t.Fatalf("%d bytes lead to %s", len(long), login)
		}
		page := b.get(login)
		if page.StatusCode != http.StatusOK || len(page.body) > 32<<10 {
			t.Fatalf("the login page: %d, %d bytes", page.StatusCode, len(page.body))
		}
		next, _ := url.QueryUnescape(strings.TrimPrefix(login, "/_gate/login?next="))
		if !strings.Contains(page.body, `value="`+next+`"`) {
			t.Errorf("the form has no field with %s", next)
		}
		token := b.token(login)
		b.post("/_gate/login", "username", "alice", "password", "wrong", "next", next, "csrf_token", token).want(t, 401, "")
		a := b.post("/_gate/login", "username", "alice", "password", "correct horse battery staple", "next", next+"#top", "csrf_token", token)
		if to := a.Header.Get("Location"); a.StatusCode != http.StatusSeeOther || to != long+"#top" {
			t.Errorf("%d to %.40s... of %d bytes, want %.40s... of %d", a.StatusCode, to, len(to), long, len(long))
		}
		if got := b.who(); got != "alice" {
			t.Errorf("signed in as %q", got)
		}
		b.get("/_gate/login?next="+url.QueryEscape(next)).want(t, 302, "/") // it was for that login
	}
}

// A reference is good in the browser that it was made for, and one that is
// not known leads to the front page.
func TestReferenceToAnAddressIsNobodyElses(t *testing.T) {
	g := newGate(t)
	a, b := g.browser(t), g.browser(t)
	login := a.get("/app?x=" + strings.Repeat("y", 3000)).Header.Get("Location")
	next, _ := url.QueryUnescape(strings.TrimPrefix(login, "/_gate/login?next="))
	b.post("/_gate/login", "username", "alice", "password", "correct horse battery staple", "next", next, "csrf_token", b.token(login)).want(t, 303, "/")
	a.post("/_gate/login", "username", "alice", "password", "correct horse battery staple", "next", "kept:x", "csrf_token", a.token(login)).want(t, 303, "/")
}

// Addresses that nobody signed in for are kept for so many only, and those of
// many tabs do not pile up.
func TestFloodOfLongAddressesFillsNoStore(t *testing.T) {
	g := newGate(t)
	made := 0
	for range 60 {
		a := g.browser(t).get("/app?x=" + strings.Repeat("y", 3000))
		if a.Header.Get("Location") != "/_gate/login?next=/" {
			made++
		}
	}
	if made == 0 || made > 31 {
		t.Errorf("%d sessions were made for 60 visits from one network", made)
	}
}

// A program's request makes no session.
func TestLongRefererOfAScriptMakesNoSession(t *testing.T) {
	g := newGate(t)
	b := g.browser(t)
	r := b.request("GET", "/api", nil)
	r.Header.Set("Sec-Fetch-Mode", "cors")
	r.Header.Set("Referer", g.URL+"/app?x="+strings.Repeat("y", 3000))
	if a := b.do(r).want(t, 401, ""); len(a.Cookies()) > 0 || !strings.Contains(a.body, `"/_gate/login"`) {
		t.Errorf("cookies %v, %s", a.Cookies(), a.body)
	}
}
