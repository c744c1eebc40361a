//go:build e2e

package browser_test

import (
	"errors"
	"fmt"
	"html"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"gatehouse/internal/e2e"
)

// What the login form has beside its fields for a person.
var (
	hiddenNext = regexp.MustCompile(`name="next"[^>]* value="([^"]*)"`)
	formAction = regexp.MustCompile(`method="post" action="([^"]*)"`)
)

// wayIn takes a client without a session from an address of an application over the
// login form, and returns the address with the code to which it is led then. It has
// not been there.
func (w world) wayIn(t *testing.T, b *e2e.Browser, name, address string) (enter string) {
	t.Helper()
	out := b.Visit(address)
	b.Base = w.login
	if !strings.HasPrefix(out.Location(), b.Base+"/_gate/login?") {
		t.Fatalf("%s: status %d, leads to %q", address, out.Status, out.Location())
	}
	form := b.Visit(out.Location())
	next, action := hiddenNext.FindStringSubmatch(form.Body), formAction.FindStringSubmatch(form.Body)
	if next == nil || action == nil {
		t.Fatalf("%s: no form with a field next:\n%s", out.Location(), form.Body)
	}
	in := b.Submit(html.UnescapeString(action[1]), url.Values{
		"username": {name}, "password": {e2e.Password}, "next": {html.UnescapeString(next[1])}, "csrf_token": {b.Token(form)},
	})
	enter = in.Location()
	for in.Status/100 == 3 && strings.HasPrefix(enter, "/") { // on the way to the code
		enter = b.Visit(enter).Location()
	}
	if !strings.Contains(enter, "/_gate/enter?code=") {
		t.Fatalf("the login of %s: status %d, leads to %q", name, in.Status, enter)
	}
	return enter
}

// goIn is wayIn, and takes the code.
func (w world) goIn(t *testing.T, b *e2e.Browser, name, address string) {
	t.Helper()
	if in := b.Visit(w.wayIn(t, b, name, address)); in.Status/100 != 3 {
		t.Fatalf("the way to %s with a code: status %d\n%s", address, in.Status, in.Body)
	}
}

// usedUp fails the test if mallory can still go in by the address, with all cookies
// that belong to it.
func (w world) usedUp(t *testing.T, mallory *e2e.Browser, enter, host string) {
	t.Helper()
	mallory.Visit(enter)
	mallory.Base = w.origin(host)
	if who := mallory.SignedInAs(); who != "" {
		t.Errorf("the code signs in %s, after somebody else has brought it", who)
	}
}

// foreignWayIn: mallory has signed in, and leads alice to the address at which her own
// browser would be let in. Alice stays who she is, and the code is used up.
func (w world) foreignWayIn(t *testing.T) {
	for _, a := range []*application{w.files, w.wiki} {
		mallory := w.client(t, a.host)
		enter := w.wayIn(t, mallory, "bob", a.origin+"/trap")
		p := w.alice(t)
		before := w.cookies(t, p)
		eval[bool](p, fmt.Sprintf(`(setTimeout(() => location = %q), true)`, enter))
		e2e.Eventually(t, func() error {
			if at := p.url(); at == w.wiki.origin+"/" {
				return errors.New("the page is still there")
			}
			return nil
		})
		w.untouched(t, p, before)
		w.usedUp(t, mallory, enter, a.host)
		a.onlyFor(t, "alice")
	}
}

// foreignWayInForNobody: nor is alice mallory if she is not signed in.
func (w world) foreignWayInForNobody(t *testing.T) {
	for _, a := range []*application{w.files, w.wiki} {
		w.reset()
		mallory := w.client(t, a.host)
		enter := w.wayIn(t, mallory, "bob", a.origin+"/trap")
		p := w.person(t)
		p.open(enter)
		a.None(t)
		w.usedUp(t, mallory, enter, a.host)
		p.open(a.origin + "/")
		w.asks(p)
		a.None(t)
	}
}

// foreignWayInForWaiting: alice's browser has a cookie of its own for a way in, which
// is another one.
func (w world) foreignWayInForWaiting(t *testing.T) {
	mallory := w.client(t, filesHost)
	enter := w.wayIn(t, mallory, "bob", w.files.origin+"/trap")
	p := w.person(t)
	p.open(w.files.origin + "/mine#part")
	w.asks(p)
	other := p.beside(t)
	other.open(enter)
	w.files.None(t)
	w.usedUp(t, mallory, enter, filesHost)
	p.signIn("alice", e2e.Password)
	p.until("main", w.files.shows("alice"))
	if at := p.url(); at != w.files.origin+"/mine#part" {
		t.Errorf("alice is at %s", at)
	}
	w.files.onlyFor(t, "alice")
}

// foreignWayInWithCookie: the wiki plants the cookie that belongs to mallory's way in to
// another host.
func (w world) foreignWayInWithCookie(t *testing.T) {
	mallory := w.client(t, filesHost)
	enter := w.wayIn(t, mallory, "bob", w.files.origin+"/trap")
	u, _ := url.Parse(w.files.origin + "/_gate/enter")
	cookies := mallory.Jar.Cookies(u)
	if len(cookies) == 0 {
		t.Fatal("mallory's way in has no cookie")
	}
	p := w.alice(t)
	other := p.beside(t)
	other.open(w.wiki.origin + "/open")
	p.signOut(w.login)
	other.plants(cookies)
	w.reset()
	p.open(enter)
	w.files.None(t)
	w.nobodyElse(t, p, "")
	w.usedUp(t, mallory, enter, filesHost)
}

// codeOfAnotherHost: a code for the wiki is none for the shop, though the browser is on
// its way in there, too.
func (w world) codeOfAnotherHost(t *testing.T) {
	mallory := w.client(t, wikiHost)
	mallory.Visit(w.shop.origin + "/") // for the cookie of a way in there
	enter := w.wayIn(t, mallory, "bob", w.wiki.origin+"/")
	mallory.Visit(strings.Replace(enter, w.wiki.origin, w.shop.origin, 1))
	mallory.Base = w.shop.origin
	if who := mallory.SignedInAs(); who != "" {
		t.Errorf("the code of the wiki signs in %s on the shop", who)
	}
	w.usedUp(t, mallory, enter, wikiHost)
	w.wiki.None(t)
	w.shop.None(t)
}

// codeTwice: a code counts once. The second time ends nothing.
func (w world) codeTwice(t *testing.T) {
	mallory := w.client(t, wikiHost)
	enter := w.wayIn(t, mallory, "bob", w.wiki.origin+"/")
	mallory.Visit(enter)
	mallory.Visit(enter)
	mallory.Base = w.wiki.origin
	if who := mallory.SignedInAs(); who != "bob" {
		t.Errorf("a code that came twice has ended the session: %q", who)
	}
	thief := w.client(t, wikiHost)
	thief.Visit("/")
	thief.Visit(enter)
	if who := thief.SignedInAs(); who != "" {
		t.Errorf("the second time, the code signs in %s", who)
	}
	w.wiki.None(t)
	if strings.Contains(w.gate.Log(), strings.Split(enter, "code=")[1]) {
		t.Error("the code is in the log")
	}
}

// elsewhere: the login host leads whoever is signed in to the applications' own addresses
// alone, and gives away no code for others.
func (w world) elsewhere(t *testing.T) {
	_, port, _ := strings.Cut(w.gate.Addr, ":")
	p := w.alice(t)
	login := w.login
	signedIn := w.client(t, loginHost)
	w.goIn(t, signedIn, "alice", w.wiki.origin+"/")
	signedIn.Base = login
	w.reset()
	state := "&state=" + strings.Repeat("A", 43)
	control := signedIn.Visit("/_gate/login?next=" + url.QueryEscape(w.wiki.origin+"/") + state)
	if !strings.HasPrefix(control.Location(), w.wiki.origin+"/_gate/enter?code=") {
		t.Fatalf("a way in to the wiki: status %d, leads to %q", control.Status, control.Location())
	}
	for _, next := range []string{
		"https://evil.example/", "//evil.example", "https:evil.example", "https:/evil.example/", `https:\\evil.example\`, `/\evil.example`,
		"https://" + wikiHost + "@evil.example/", "https://" + wikiHost + ":" + port + "@evil.example:" + port + "/", w.wiki.origin + "@evil.example/",
		"https://alice@" + wikiHost + ":" + port + "/", "https://" + wikiHost + ":1/", "https://" + wikiHost + "/", "http://" + wikiHost + "/",
		"http://" + wikiHost + ":" + port + "/", "https://" + wikiHost + ".evil.example:" + port + "/", "https://evil" + wikiHost + ":" + port + "/",
		"https://example.com:" + port + "/", "https://other.example.com:" + port + "/", "https://evil.example:" + port + "/", `https://evil.example\.` + wikiHost + ":" + port + "/",
		"https://evil.example#" + w.wiki.origin + "/", "https://evil.example?" + w.wiki.origin + "/", w.wiki.origin + "\t@evil.example/", w.wiki.origin + ".evil.example/",
		"javascript:alert(1)//" + w.wiki.origin, "data:text/html,x", "ftp://" + wikiHost + ":" + port + "/", "https://127.0.0.1:" + port + "/", " " + "https://evil.example/",
		"https://" + loginHost + ":" + port + "/_gate/login?next=https://evil.example/", "https://[::1]:" + port + "/",
	} {
		got := signedIn.Visit("/_gate/login?next=" + url.QueryEscape(next) + state)
		if to := got.Location(); strings.Contains(to, "code=") || to != "" && !leadsTo(login, to) {
			t.Errorf("next=%s: status %d, leads to %q", next, got.Status, to)
		}
		p.open(login + "/_gate/login?next=" + url.QueryEscape(next) + state)
		if at := p.url(); !strings.HasPrefix(at, login+"/") {
			t.Errorf("next=%s: the browser is at %s", next, at)
		}
	}
	for _, a := range w.all() {
		a.None(t)
	}
}

// leadsTo reports whether the address, as browsers read it, is on the origin.
func leadsTo(origin, address string) bool {
	base, err := url.Parse(origin)
	if err != nil {
		return false
	}
	u, err := base.Parse(strings.ReplaceAll(address, `\`, "/"))
	return err == nil && u.Scheme+"://"+u.Host == origin && u.User == nil
}
