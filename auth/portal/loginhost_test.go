package portal_test

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"gatehouse/auth/portal"
)

// A traveller is a browser that knows all hosts of a gate with a login host, and goes
// where it is led.
type traveller struct {
	*browser

	port string
	seen []string // the addresses of the last journey, the first one included
}

// withLoginHost makes a gate over TLS whose people sign in on gate.test.
func withLoginHost(g *gate) { g.tls, g.loginHost = true, "gate.test" }

func (g *gate) traveller(tb testing.TB) *traveller {
	tb.Helper()
	b := g.browser(tb)
	at := g.Listener.Addr().String()
	b.http.Transport = &http.Transport{
		TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, //nolint:gosec // the test's own server
		DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, at)
		},
	}
	tb.Cleanup(b.http.CloseIdleConnections)
	_, port, _ := net.SplitHostPort(at)
	return &traveller{browser: b, port: port}
}

// at returns an address of a host.
func (b *traveller) at(host, path string) string { return "https://" + host + ":" + b.port + path }

// one asks for an absolute address and follows no redirect.
func (b *traveller) one(method, address string, fields url.Values) answer {
	b.t.Helper()
	var body io.Reader
	if fields != nil {
		body = strings.NewReader(fields.Encode())
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, address, body)
	if err != nil {
		b.t.Fatal(err)
	}
	if fields != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", b.site)
	}
	return b.do(r)
}

// visit goes to an address, and on to where it is led.
func (b *traveller) visit(address string) answer {
	b.t.Helper()
	return b.follow(b.one(http.MethodGet, address, nil), address)
}

func (b *traveller) follow(a answer, from string) answer {
	b.t.Helper()
	b.seen = []string{from}
	for range 10 {
		to := a.Header.Get("Location")
		if to == "" {
			return a
		}
		u, err := a.Request.URL.Parse(to)
		if err != nil {
			b.t.Fatal(err)
		}
		b.seen = append(b.seen, u.String())
		a = b.one(http.MethodGet, u.String(), nil)
	}
	b.t.Fatalf("led in circles: %q", b.seen)
	return a
}

var formIn = regexp.MustCompile(`(?s)<form[^>]*action="([^"]+)"[^>]*>(.*?)</form>`)

var fieldIn = regexp.MustCompile(`<input type="hidden"[^>]*name="([^"]+)"[^>]*value="([^"]*)"`)

// submit fills in the first form of the page that has an action of ours, and goes where
// its answer leads.
func (b *traveller) submit(page answer, fields ...string) answer {
	b.t.Helper()
	m := formIn.FindStringSubmatch(page.body)
	if m == nil {
		b.t.Fatalf("%s: %s: no form", page.Request.URL, page.Status)
	}
	v := url.Values{}
	for _, f := range fieldIn.FindAllStringSubmatch(m[2], -1) {
		v.Set(f[1], strings.ReplaceAll(f[2], "&amp;", "&"))
	}
	for i := 0; i+1 < len(fields); i += 2 {
		v.Set(fields[i], fields[i+1])
	}
	u, err := page.Request.URL.Parse(strings.ReplaceAll(m[1], "&amp;", "&"))
	if err != nil {
		b.t.Fatal(err)
	}
	return b.follow(b.one(http.MethodPost, u.String(), v), u.String())
}

func (b *traveller) signIn(page answer) answer {
	b.t.Helper()
	return b.submit(page, "username", "alice", "password", alicesPassword)
}

// wantHello looks where a journey has ended, and that the application knows alice.
func (b *traveller) wantHello(a answer, host, path string) {
	b.t.Helper()
	if a.body != "hello alice" || b.seen[len(b.seen)-1] != b.at(host, path) {
		b.t.Errorf("%s %q at the end of %q, want alice on %s", a.Status, a.body, b.seen, b.at(host, path))
	}
}

// wantForm looks that a journey has ended at the sign-in page of the login host.
func (b *traveller) wantForm(a answer) {
	b.t.Helper()
	if last := b.seen[len(b.seen)-1]; a.StatusCode != http.StatusOK || !strings.HasPrefix(last, b.at("gate.test", "/_gate/login")) || !strings.Contains(a.body, `type="password"`) {
		b.t.Errorf("%s at the end of %q, want the sign-in page", a.Status, b.seen)
	}
}

func TestOneSignInForSeveralHosts(t *testing.T) {
	b := newGate(t, withLoginHost).traveller(t)
	form := b.visit(b.at("wiki.test", "/page?x=1&y=/a"))
	b.wantForm(form)
	if q := form.Request.URL.Query(); q.Get("next") != b.at("wiki.test", "/page?x=1&y=/a") {
		t.Errorf("next: %q", q)
	}
	b.wantHello(b.signIn(form), "wiki.test", "/page?x=1&y=/a")
	b.wantHello(b.visit(b.at("wiki.test", "/")), "wiki.test", "/")
	b.wantHello(b.visit(b.at("shop.test", "/cart")), "shop.test", "/cart")
	if len(b.seen) != 4 {
		t.Errorf("the way to another host: %q", b.seen)
	}
	if a := b.visit(b.at("gate.test", "/")); !strings.Contains(a.body, "shop.test, wiki.test") || strings.Count(a.body, `name="session"`) != 1 {
		t.Errorf("the account page: %s", a.Status)
	}
}

func TestTwoTabsOnTheWayIn(t *testing.T) {
	b := newGate(t, withLoginHost).traveller(t)
	one := b.visit(b.at("wiki.test", "/one"))
	two := b.visit(b.at("wiki.test", "/two"))
	b.wantHello(b.signIn(two), "wiki.test", "/two")
	b.wantHello(b.signIn(one), "wiki.test", "/one") // somebody has signed in from another tab
	b.wantHello(b.visit(two.Request.URL.String()), "wiki.test", "/two")
}

func TestFragmentAndLongAddressSurviveTheWayIn(t *testing.T) {
	b := newGate(t, withLoginHost).traveller(t)
	form := b.visit(b.at("wiki.test", "/page"))
	a := b.submit(form, "username", "alice", "password", alicesPassword, "next", b.at("wiki.test", "/page#part"))
	b.wantHello(a, "wiki.test", "/page#part")

	b = b.g.traveller(t)
	long := "/app?_a=" + strings.Repeat("y", 5000)
	form = b.visit(b.at("shop.test", long))
	if len(form.Request.URL.String()) > 400 {
		t.Errorf("the way out has %d bytes", len(form.Request.URL.String()))
	}
	a = b.submit(form, "username", "alice", "password", alicesPassword, "next", b.at("shop.test", "/#part"))
	b.wantHello(a, "shop.test", long+"#part")
}

func TestPagesOfTheLoginHostAreNowhereElse(t *testing.T) {
	b := newGate(t, withLoginHost).traveller(t)
	for path, want := range map[string]string{
		"/_gate/":                    "/_gate/",
		"/_gate/password":            "/_gate/password",
		"/_gate/sessions/end":        "/_gate/sessions/end",
		"/_gate/sessions/end-others": "/_gate/sessions/end-others",
		"/_gate/factor":              "/_gate/factor",
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost} {
			a := b.one(method, b.at("wiki.test", path), url.Values{"password": {"x"}})
			if a.Header.Get("Location") != b.at("gate.test", want) || a.StatusCode/100 != 3 || a.StatusCode == http.StatusTemporaryRedirect {
				t.Errorf("%s %s: %s to %q", method, path, a.Status, a.Header.Get("Location"))
			}
		}
	}
	if a := b.one(http.MethodPost, b.at("wiki.test", "/_gate/login?next=/x"), url.Values{"username": {"alice"}, "password": {alicesPassword}}); a.StatusCode != http.StatusSeeOther ||
		!strings.HasPrefix(a.Header.Get("Location"), b.at("gate.test", "/_gate/login?next=https%3A//wiki.test%3A"+b.port+"/x&state=")) {
		t.Errorf("a form for the sign-in page: %s to %q", a.Status, a.Header.Get("Location"))
	}
	b.one(http.MethodGet, b.at("wiki.test", "/_gate/nothing"), nil).want(t, http.StatusNotFound, "")
	b.one(http.MethodGet, b.at("gate.test", "/_gate/enter?code=x"), nil).want(t, http.StatusNotFound, "")
	for _, path := range []string{"/page", "//evil.example", "/%5fgate/", "/_GATE/", "/static/"} {
		b.one(http.MethodGet, b.at("gate.test", path), nil).want(t, http.StatusNotFound, "")
	}
	b.one(http.MethodGet, b.at("wiki.test", "/_gate/static/style.css"), nil).want(t, http.StatusOK, "")
}

func TestLogoutEndsAllHosts(t *testing.T) {
	for _, host := range []string{"wiki.test", "shop.test", "gate.test"} {
		b := newGate(t, withLoginHost).traveller(t)
		b.wantHello(b.signIn(b.visit(b.at("wiki.test", "/"))), "wiki.test", "/")
		b.wantHello(b.visit(b.at("shop.test", "/")), "shop.test", "/")
		a := b.submit(b.visit(b.at(host, "/_gate/logout")))
		b.wantForm(a)
		if !strings.Contains(a.body, "You are signed out.") {
			t.Errorf("%s: the page does not say so", host)
		}
		for _, h := range []string{"wiki.test", "shop.test"} {
			b.wantForm(b.visit(b.at(h, "/")))
		}
		b.wantForm(b.visit(b.at("gate.test", "/")))
	}
}

func TestLogoutOfOneHost(t *testing.T) {
	b := newGate(t, withLoginHost, func(g *gate) { g.logoutHost = true }).traveller(t)
	b.wantHello(b.signIn(b.visit(b.at("wiki.test", "/"))), "wiki.test", "/")
	b.wantHello(b.visit(b.at("shop.test", "/")), "shop.test", "/")
	if a := b.submit(b.visit(b.at("wiki.test", "/_gate/logout"))); a.StatusCode != http.StatusOK || a.Request.URL.Host != "gate.test:"+b.port || !strings.Contains(a.body, "shop.test</bdi>") {
		t.Errorf("afterwards: %s at %s", a.Status, a.Request.URL)
	}
	if a := b.one(http.MethodGet, b.at("wiki.test", "/"), nil); a.StatusCode != http.StatusFound {
		t.Errorf("the host that was left: %s", a.Status)
	}
	b.one(http.MethodGet, b.at("shop.test", "/"), nil).want(t, http.StatusOK, "")
	b.wantForm(b.submit(b.visit(b.at("gate.test", "/_gate/logout"))))
	b.wantForm(b.visit(b.at("shop.test", "/")))
}

// code signs alice in, and returns the address that would let her in at the wiki.
func (b *traveller) code() string {
	b.t.Helper()
	b.signIn(b.visit(b.at("gate.test", "/")))
	out := b.one(http.MethodGet, b.at("wiki.test", "/secret"), nil).Header.Get("Location")
	enter := b.one(http.MethodGet, out, nil).Header.Get("Location")
	if !strings.HasPrefix(enter, b.at("wiki.test", "/_gate/enter?code=")) {
		b.t.Fatalf("%q leads to %q", out, enter)
	}
	return enter
}

func (b *traveller) wantNobody(host string) {
	b.t.Helper()
	if a := b.one(http.MethodGet, b.at(host, "/"), nil); a.StatusCode != http.StatusFound {
		b.t.Errorf("%s: %s %q", host, a.Status, a.body)
	}
}

func TestSomebodyElsesCodeSignsNobodyIn(t *testing.T) {
	g := newGate(t, withLoginHost)
	for name, victim := range map[string]func(b *traveller){
		"in a browser that was never there":     func(*traveller) {},
		"in a browser with a way in of its own": func(b *traveller) { b.visit(b.at("wiki.test", "/")) },
	} {
		t.Run(name, func(t *testing.T) {
			mallory, b := g.traveller(t), g.traveller(t)
			enter := mallory.code()
			victim(b)
			b.one(http.MethodGet, enter, nil)
			b.wantNobody("wiki.test")
			mallory.one(http.MethodGet, enter, nil) // it is used up
			mallory.wantNobody("wiki.test")
			if !strings.Contains(g.log.String(), `"msg":"csrf.failure"`) {
				t.Error("nothing in the audit log")
			}
		})
	}
}

// Whoever is signed in stays so, whatever code a page makes the browser bring.
func TestCodeDoesNotReplaceASession(t *testing.T) {
	g := newGate(t, withLoginHost)
	mallory, b := g.traveller(t), g.traveller(t)
	b.wantHello(b.signIn(b.visit(b.at("wiki.test", "/"))), "wiki.test", "/")
	b.wantHello(b.visit(mallory.code()), "wiki.test", "/secret")
	b.wantHello(b.visit(b.at("wiki.test", "/_gate/enter?code=x")), "wiki.test", "/")
	b.wantHello(b.visit(b.at("wiki.test", "/_gate/enter")), "wiki.test", "/")
}

func TestCodeIsForItsHost(t *testing.T) {
	b := newGate(t, withLoginHost).traveller(t)
	enter := b.code()
	b.one(http.MethodGet, b.at("shop.test", "/"), nil)
	b.one(http.MethodGet, strings.Replace(enter, "wiki.test", "shop.test", 1), nil)
	b.wantNobody("shop.test")
	b.one(http.MethodGet, enter, nil)
	b.wantNobody("wiki.test")
}

func TestCodeIsNotLogged(t *testing.T) {
	g := newGate(t, withLoginHost)
	b := g.traveller(t)
	enter := b.code()
	a := b.one(http.MethodGet, enter, nil)
	if got := a.Header.Get("Referrer-Policy"); got != "no-referrer" {
		t.Errorf("Referrer-Policy: %q", got)
	}
	b.one(http.MethodGet, enter, nil)
	_, code, _ := strings.Cut(enter, "code=")
	if strings.Contains(g.log.String(), code) {
		t.Error("the code is in the log")
	}
	b.wantHello(b.visit(b.at("wiki.test", "/")), "wiki.test", "/")
}

// A bookmark of the sign-in page has an old state, or none. Whoever signs in there arrives
// all the same.
func TestOldStatesHeal(t *testing.T) {
	g := newGate(t, withLoginHost)
	for name, query := range map[string]string{"none": "", "of another time": "&state=" + strings.Repeat("A", 43), "none of ours": "&state=%00"} {
		b := g.traveller(t)
		a := b.visit(b.at("gate.test", "/_gate/login?next="+url.QueryEscape(b.at("wiki.test", "/page?x"))+query))
		b.wantHello(b.signIn(a), "wiki.test", "/page?x")
		t.Logf("%s: %d steps", name, len(b.seen))
	}
}

// A browser that keeps no cookies is told so, and not led in circles.
func TestBrowserWithoutCookiesOnTheWayIn(t *testing.T) {
	b := newGate(t, withLoginHost).traveller(t)
	enter := b.code()
	b.http.Jar = nil
	first := b.one(http.MethodGet, enter, nil).want(t, http.StatusFound, "/_gate/enter?next=/secret")
	if a := b.one(http.MethodGet, b.at("wiki.test", first.Header.Get("Location")), nil); a.StatusCode != http.StatusBadRequest || !strings.Contains(a.body, "did not send the cookie") {
		t.Errorf("%s", a.Status)
	}
}

// A look at an address by a chat or a scanner uses no code up.
func TestHeadTakesNoCode(t *testing.T) {
	b := newGate(t, withLoginHost).traveller(t)
	enter := b.code()
	b.one(http.MethodHead, enter, nil).want(t, http.StatusMethodNotAllowed, "")
	b.wantHello(b.visit(enter), "wiki.test", "/secret")
}

// Each code is a write to the store.
func TestFloodOfCodesEnds(t *testing.T) {
	b := newGate(t, withLoginHost).traveller(t)
	b.code()
	last := 0
	for range 310 {
		last = b.one(http.MethodGet, b.at("gate.test", "/_gate/login?state=x&next="+url.QueryEscape(b.at("wiki.test", "/"))), nil).StatusCode
	}
	if last != http.StatusTooManyRequests {
		t.Errorf("after 310 codes: %d", last)
	}
}

func TestNextOfTheLoginHost(t *testing.T) {
	b := newGate(t, withLoginHost).traveller(t)
	b.signIn(b.visit(b.at("gate.test", "/")))
	for next, want := range map[string]string{
		b.at("wiki.test", ""):                       b.at("wiki.test", "/"),
		b.at("wiki.test", "?x"):                     b.at("wiki.test", "/?x"),
		b.at("WIKI.test.", "/x"):                    b.at("wiki.test", "/x"),
		"https://wiki.test/":                        "",
		"https://wiki.test:1/":                      "",
		"http://wiki.test:" + b.port + "/":          "",
		b.at("evil.test", "/"):                      "",
		b.at("gate.test", "/"):                      "",
		b.at("gate.test", "/_gate/logout"):          "",
		b.at("wiki.test@evil.test", "/"):            "",
		b.at("evil.test#wiki.test", "/"):            "",
		b.at("wiki.test", "/_gate/logout"):          "",
		b.at("wiki.test", "/a/../_gate/logout"):     "",
		b.at("wiki.test", "//evil.test/"):           "",
		b.at("wiki.test", `/\evil.test`):            "",
		"//wiki.test:" + b.port + "/":               "",
		"javascript://wiki.test:" + b.port + "/%0a": "",
		"https:wiki.test/":                          "",
		"https:///wiki.test/":                       "",
		"/":                                         "",
	} {
		a := b.one(http.MethodGet, b.at("gate.test", "/_gate/login?state=x&next="+url.QueryEscape(next)), nil)
		to := a.Header.Get("Location")
		if want == "" {
			if to != "/" {
				t.Errorf("%s leads to %q", next, to)
			}
			continue
		}
		u, _ := url.Parse(want)
		if !strings.HasPrefix(to, u.Scheme+"://"+u.Host+"/_gate/enter?code=") {
			t.Errorf("%s leads to %q", next, to)
		}
	}
}

// Whatever next says, two readers of addresses agree that it leads to a host of a route,
// or nowhere.
func FuzzNextOfTheLoginHost(f *testing.F) {
	p := newGate(f, withLoginHost).portal
	for _, s := range []string{
		"https://wiki.test/a?b#c", "https://wiki.test", "https://WIKI.test.:443/", "https://wiki.test:1/", "https://wiki.test@evil.test/",
		"https://evil.test/", "https://gate.test/", `https://wiki.test\@evil.test/`, "https://wiki.test/_gate/logout", "//wiki.test/", "/x", "https:wiki.test",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, next string) {
		got, ok := p.Safe(next)
		if !ok {
			if got != "/" {
				t.Fatalf("%q is refused and comes out as %q", next, got)
			}
			return
		}
		if again, ok := p.Safe(got); !ok || again != got {
			t.Errorf("%q is safe once and %q, %v afterwards", next, again, ok)
		}
		if got[0] == '/' {
			if same, ok := portal.SafeNext(next); !ok || same != got {
				t.Errorf("%q leads to %q here", next, got)
			}
			return
		}
		origin := "https://wiki.test"
		if !strings.HasPrefix(got, origin) {
			origin = "https://shop.test"
		}
		path, found := strings.CutPrefix(got, origin)
		if safe, ok := portal.SafeNext(path); !found || !ok || safe != path {
			t.Errorf("%q leads to %q", next, got)
		}
		if u, err := url.Parse(got); err == nil && (u.Scheme+"://"+u.Host != origin || u.User != nil) {
			t.Errorf("%q leads net/url to %s", next, u)
		}
	})
}

// On the host of an application, next stays there.
func TestNextOfAnotherHost(t *testing.T) {
	b := newGate(t, withLoginHost).traveller(t)
	for _, next := range []string{b.at("shop.test", "/"), b.at("wiki.test", "/x"), "//shop.test/", "https://evil.test/"} {
		to := b.one(http.MethodGet, b.at("wiki.test", "/_gate/login?next="+url.QueryEscape(next)), nil).Header.Get("Location")
		if u, err := url.Parse(to); err != nil || u.Query().Get("next") != b.at("wiki.test", "/") {
			t.Errorf("%s leads to %s", next, to)
		}
	}
}

func TestUnknownCode(t *testing.T) {
	b := newGate(t, withLoginHost).traveller(t)
	b.one(http.MethodGet, b.at("wiki.test", "/_gate/enter?code="+strings.Repeat("A", 43)), nil).want(t, http.StatusBadRequest, "")
}

// A proxy in front says how visitors reach the gate; all hosts are reached alike.
func TestWayInBehindAProxy(t *testing.T) {
	g := newGate(t, func(g *gate) { g.loginHost = "gate.test" })
	b := g.browser(t)
	ask := func(host, path string, more ...string) string {
		r := b.request(http.MethodGet, path, nil)
		r.Host = host
		r.Header.Set("X-Forwarded-Proto", "https")
		for i := 0; i+1 < len(more); i += 2 {
			r.Header.Set(more[i], more[i+1])
		}
		return b.do(r).Header.Get("Location")
	}
	for want, to := range map[string]string{
		"https://gate.test/_gate/login?next=https%3A//wiki.test/x&":                   ask("wiki.test", "/x"),
		"https://gate.test/_gate/login?next=https%3A//wiki.test/y&":                   ask("wiki.test:443", "/y"),
		"https://gate.test:8443/_gate/login?next=https%3A//wiki.test%3A8443/x&":       ask("wiki.test:8443", "/x"),
		"https://gate.test:8443/_gate/login?next=https%3A//wiki.test%3A8443/a/b%3Fc&": ask("wiki.test", "/a/b?c", "X-Forwarded-Port", "8443"),
		"":                    ask("wiki.test", "/", "X-Forwarded-Proto", "http", "Sec-Fetch-Mode", "navigate"), // it is on https, says the browser
		"https://wiki.test/z": ask("wiki.test", "/z", "X-Forwarded-Proto", "http"),                              // its cookie is for https
	} {
		if !strings.HasPrefix(to, want) || want == "" && to != "" {
			t.Errorf("led to %s, want %s...", to, want)
		}
	}
}

// A script asks; it is told where its page has to go, which is on its own host.
func TestScriptsAreToldTheWayIn(t *testing.T) {
	b := newGate(t, withLoginHost).traveller(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.at("wiki.test", "/api"), nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Sec-Fetch-Mode", "cors")
	if a := b.do(r); a.StatusCode != http.StatusUnauthorized || !strings.Contains(a.body, `"login_url":"/_gate/login"`) {
		t.Errorf("%s %s", a.Status, a.body)
	}
	b.wantForm(b.visit(b.at("wiki.test", "/_gate/login")))
}

// The languages of the pages lead back with everything that the way in needs.
func TestLanguageOnTheWayIn(t *testing.T) {
	b := newGate(t, withLoginHost).traveller(t)
	form := b.visit(b.at("wiki.test", "/page"))
	here := form.Request.URL.RequestURI()
	a := b.visit(b.at("gate.test", "/_gate/language?lang=de&next="+url.QueryEscape(here)))
	b.wantForm(a)
	b.wantHello(b.signIn(a), "wiki.test", "/page")
}
