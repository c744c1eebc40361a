//go:build e2e

package browser_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"gatehouse/internal/e2e"
)

// plant lets the page set n cookies of that size.
func (p tab) plant(n, size int, attributes string) {
	p.t.Helper()
	got := p.settled(fmt.Sprintf(`{
		for (let i = 0; i < %d; i++) document.cookie = "flood" + i + "=" + "x".repeat(%d) + "; Path=/; Secure%s";
		return document.cookie.split("flood").length - 1;
	}`, n, size, attributes))
	if kept, err := strconv.Atoi(strings.TrimPrefix(got, "ok: ")); err != nil || kept < min(n, 100) {
		p.t.Fatalf("cookies that are set: %s", got)
	}
}

// manyCookies: a browser keeps some 180 cookies for a domain with all hosts below it,
// and drops older ones, whoever has set them. So every host can sign its visitors out of
// the others of its domain. They can sign in again, and other domains lose nothing.
func (w world) manyCookies(t *testing.T) {
	for _, attributes := range []string{"", "; Domain=example.com"} {
		p := w.alice(t)
		shop := w.cookieOf(t, p, shopHost)
		p.plant(600, 8, attributes)
		if got := w.cookieOf(t, p, shopHost); got != shop {
			t.Errorf("the cookie of the shop is %.12q, it was %.12q", got, shop)
		}
		p.open(w.shop.origin + "/")
		p.until("main", w.shop.shows("alice"))
		p.open(w.files.origin + "/mine#part")
		w.asks(p)
		p.signIn("alice", e2e.Password)
		p.until("main", w.files.shows("alice"))
		if at := p.url(); at != w.files.origin+"/mine#part" {
			t.Errorf("the browser is at %s", at)
		}
		w.nobodyElse(t, p, "alice")
	}
}

// TestCookiesOfAHostileApplication: where the login host has a domain of its own, no
// application can sign anybody out of it with the cookies that it sets, however many or
// large: other hosts ask for nothing.
func TestCookiesOfAHostileApplication(t *testing.T) {
	t.Parallel()
	w := openWorld(t, distantLoginHost, "")
	t.Run("many", func(t *testing.T) {
		for _, attributes := range []string{"", "; Domain=example.com"} {
			p := w.alice(t)
			before := w.cookies(t, p)
			p.plant(600, 8, attributes)
			for _, host := range []string{distantLoginHost, shopHost} {
				if got := w.cookieOf(t, p, host); got != before[host] {
					t.Errorf("the cookie of %s is %.12q, it was %.12q", host, got, before[host])
				}
			}
			for _, a := range w.all() { // without being asked, though the cookies of two are lost
				p.open(a.origin + "/")
				p.until("main", a.shows("alice"))
			}
		}
	})
	// Requests to its own domain become too large for any server.
	t.Run("large", func(t *testing.T) {
		p := w.alice(t)
		before := w.cookies(t, p)
		p.plant(100, 4000, "; Domain=example.com")
		for _, host := range []string{distantLoginHost, shopHost} {
			if got := w.cookieOf(t, p, host); got != before[host] {
				t.Errorf("the cookie of %s is %.12q, it was %.12q", host, got, before[host])
			}
		}
		p.open(w.shop.origin + "/")
		p.until("main", w.shop.shows("alice"))
		p.signOut(w.login)
		p.open(w.shop.origin + "/")
		w.asks(p)
		p.signIn("alice", e2e.Password)
		p.until("main", w.shop.shows("alice"))
	})
}

// plants lets the page plant the cookies for the whole domain, under all names for which
// some reader could take them.
func (p tab) plants(cookies []*http.Cookie) {
	p.t.Helper()
	for _, c := range cookies {
		bare := strings.TrimPrefix(c.Name, "__Host-")
		// A cookie without a name is sent as its value, which may look like another's.
		for _, name := range []string{"__Host-" + bare, "__Secure-" + bare, bare, " " + bare, "=" + c.Name, "=" + bare, strings.ToUpper(bare)} {
			for _, path := range []string{"/", "/_gate", "/_gate/login", "/_gate/enter"} {
				line, err := json.Marshal(name + "=" + c.Value + "; Secure; Domain=example.com; Path=" + path)
				if err != nil {
					p.t.Fatal(err)
				}
				eval[string](p, `document.cookie = `+string(line))
			}
		}
		if got := eval[string](p, `document.cookie`); !strings.Contains(got, bare+"="+c.Value) {
			p.t.Fatalf("%s is not planted: %s", bare, got)
		}
	}
}

// nobodyElse fails the test if some host other than the wiki takes p's browser for
// somebody other than who; "" means nobody.
func (w world) nobodyElse(t *testing.T, p tab, who string) {
	t.Helper()
	for _, a := range []*application{w.files, w.shop} {
		p.open(a.origin + "/")
		if who == "" {
			p.do("see the login form of "+a.host, chromedp.WaitVisible(passwordField))
			a.None(t)
		} else {
			p.until("main", a.shows(who))
			a.onlyFor(t, who)
		}
	}
	p.open(w.login + "/_gate/")
	if who == "" {
		p.do("see the login form", chromedp.WaitVisible(passwordField))
	} else {
		p.until("main", who+"@example.com")
	}
}

// plantedCookies: mallory's cookies of the login host and of another application, which
// the wiki plants for all of its domain, sign nobody in there as mallory.
func (w world) plantedCookies(t *testing.T) {
	mallory := w.client(t, filesHost)
	w.goIn(t, mallory, "bob", w.files.origin+"/")
	var cookies []*http.Cookie
	for _, host := range []string{filesHost, loginHost} {
		u, _ := url.Parse(w.origin(host))
		cookies = append(cookies, mallory.Jar.Cookies(u)...)
	}
	if len(cookies) < 3 {
		t.Fatalf("mallory has only the cookies %v", cookies)
	}
	p := w.alice(t)
	before := w.cookies(t, p)
	p.plants(cookies)
	w.nobodyElse(t, p, "alice")
	w.untouched(t, p, before)

	p.signOut(w.login)
	w.reset()
	w.nobodyElse(t, p, "")
	p.open(w.files.origin + "/mine")
	w.asks(p)
	p.signIn("alice", e2e.Password)
	p.until("main", w.files.shows("alice"))
	w.nobodyElse(t, p, "alice")
}

// plantedToken: the login form is posted with a token of mallory's own, whose cookie is
// planted. The session of the wiki has ended then, but a page of it is still open.
func (w world) plantedToken(t *testing.T) {
	mallory := w.client(t, w.loginName())
	token := mallory.Token(mallory.Visit("/_gate/login"))
	u, err := url.Parse(mallory.Base)
	if err != nil {
		t.Fatal(err)
	}
	p := w.alice(t)
	other := p.beside(t)
	other.open(w.wiki.origin + "/open")
	p.signOut(w.login)
	w.reset()
	other.plants(mallory.Jar.Cookies(u))
	other.postForm(w.login+"/_gate/login", url.Values{"username": {"bob"}, "password": {e2e.Password}, "next": {"/"}, "csrf_token": {token}})
	if got := other.status(); got != http.StatusForbidden {
		t.Errorf("status %d", got)
	}
	w.nobodyElse(t, other, "")
}

// takenCookie: the cookie of one host opens nothing on another one.
func (w world) takenCookie(t *testing.T) {
	p := w.alice(t)
	taken := "Cookie: " + w.gate.Mode.Cookie + "=" + w.cookieOf(t, p, wikiHost)
	if got := w.client(t, wikiHost).Visit("/", taken); got.Body == "" || !strings.Contains(got.Body, w.wiki.shows("alice")) {
		t.Fatalf("on its own host, the cookie does not count: status %d", got.Status)
	}
	for _, host := range []string{filesHost, shopHost, loginHost} {
		thief := w.client(t, host)
		if got := thief.Visit("/", taken); got.Status/100 != 3 {
			t.Errorf("on %s, the cookie of the wiki gets status %d", host, got.Status)
		}
		if got := thief.Visit("/_gate/", taken); got.Status/100 != 3 {
			t.Errorf("on %s, the account page has status %d", host, got.Status)
		}
		if got := thief.Fetch("/_gate/session", taken); strings.Contains(got.Body, "alice") {
			t.Errorf("on %s, the cookie of the wiki is that of alice:\n%s", host, got.Body)
		}
		if got := thief.Visit("/_gate/login?next="+url.QueryEscape(w.shop.origin+"/"), taken); strings.Contains(got.Location(), "code=") {
			t.Errorf("on %s, the cookie of the wiki gets the code %s", host, got.Location())
		}
	}
	w.files.None(t)
	w.shop.None(t)
	// Nor does the session's own cookie count where applications are.
	own := "Cookie: " + w.gate.Mode.Cookie + "=" + w.cookieOf(t, p, loginHost)
	for _, a := range []*application{w.files, w.shop} {
		if got := w.client(t, a.host).Visit("/", own); got.Status/100 != 3 {
			t.Errorf("on %s, the cookie of the login host gets status %d", a.host, got.Status)
		}
		a.None(t)
	}
}
