//go:build e2e

package browser_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"gatehouse/internal/e2e"
)

// The hosts of a gate whose people sign in on a host of its own. Two of the
// applications are on its domain, and one is not. distantLoginHost is another login
// host, with a domain of its own.
const (
	loginHost        = "gate.example.com"
	distantLoginHost = "gate.example.net"

	wikiHost  = "wiki.example.com"
	filesHost = "files.example.com"
	shopHost  = "shop.example.org"
)

// A world is a gate with a host for signing in, three applications behind it, and
// a browser for which all names lead to the gate.
type world struct {
	gate              *e2e.Gate
	login             string // the origin of the login host
	wiki, files, shop *application
	browser           tab
}

// An application is what one host has behind the gate. It records what it gets,
// and its pages say whom it takes the visitor for.
type application struct {
	*e2e.Recorder
	host   string
	origin string // https://host:port

	mu    sync.Mutex
	pages map[string]string // other answers, by path
}

// openWorld starts all of a world with that login host. more is what the section login
// says beside it, such as "logout: host".
func openWorld(t *testing.T, host, more string) world {
	t.Helper()
	w := world{
		wiki: openApplication(t, wikiHost), files: openApplication(t, filesHost), shop: openApplication(t, shopHost),
		browser: openBrowser(t, chromedp.Flag("ignore-certificate-errors", true), chromedp.Flag("disable-popup-blocking", true),
			chromedp.Flag("host-resolver-rules", "MAP * 127.0.0.1")),
	}
	w.gate = e2e.Start(t, e2e.HTTP2, fmt.Sprintf(`
login:
  host: %s
  throttle: {per_account: 1000/15m, per_network: 1000/15m}
  %s
routes:
  - {host: %s, upstream: %q, service_workers: [/sw.js]}
  - {host: %s, upstream: %q}
  - {host: %s, upstream: %q}
`, host, more, wikiHost, w.wiki.URL, filesHost, w.files.URL, shopHost, w.shop.URL))
	w.login = w.origin(host)
	for _, a := range w.all() {
		a.origin = w.origin(a.host)
	}
	return w
}

func openApplication(t *testing.T, host string) *application {
	t.Helper()
	a := &application{Recorder: e2e.Record(t), host: host, pages: map[string]string{
		"/stream": "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n6\r\nbegun\n\r\n",
	}}
	a.Answer = a.answer
	return a
}

func (a *application) answer(q e2e.Request) string {
	path, _, _ := strings.Cut(q.Target(), "?")
	a.mu.Lock()
	defer a.mu.Unlock()
	if answer := a.pages[path]; answer != "" {
		return answer
	}
	who := cmp.Or(strings.Join(q.Lines("X-Forwarded-User"), " and "), "nobody")
	return answerWith("text/html; charset=utf-8", "<!doctype html><title>"+a.host+"</title><link rel=icon href=data:,><main>"+a.shows(who)+"</main>")
}

// shows returns what a page of the application shows to a visitor.
func (a *application) shows(who string) string { return a.host + " for " + who }

// serve makes the application answer otherwise at a path.
func (a *application) serve(path, kind, text string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.pages[path] = answerWith(kind, text)
}

func answerWith(kind, text string) string {
	return "HTTP/1.1 200 OK\r\nContent-Type: " + kind + "\r\nContent-Length: " + strconv.Itoa(len(text)) + "\r\n\r\n" + text
}

// onlyFor fails the test if the application got a request that was not in the name
// of who, or none at all.
func (a *application) onlyFor(t *testing.T, who string) {
	t.Helper()
	got := a.Requests()
	if len(got) == 0 {
		t.Errorf("%s saw no request", a.host)
	}
	for _, q := range got {
		if names := q.Lines("X-Forwarded-User"); len(names) != 1 || names[0] != who {
			t.Errorf("%s saw a request in the name of %q, want %s:\n%s", a.host, names, who, q.Head)
		}
	}
}

func (w world) all() []*application { return []*application{w.wiki, w.files, w.shop} }

// origin returns the origin of a host of this gate.
func (w world) origin(host string) string {
	_, port, _ := strings.Cut(w.gate.Addr, ":")
	return "https://" + host + ":" + port
}

// reset forgets what the applications got.
func (w world) reset() {
	for _, a := range w.all() {
		a.Reset()
	}
}

// person returns the first tab of a browser that knows nothing.
func (w world) person(t *testing.T) tab {
	t.Helper()
	return w.browser.beside(t, chromedp.WithNewBrowserContext())
}

// alice returns the first tab of a browser in which alice has signed in on her way
// to the wiki, and has then been on all hosts. The applications have forgotten it.
func (w world) alice(t *testing.T) tab {
	t.Helper()
	p := w.person(t)
	p.open(w.wiki.origin + "/")
	p.signIn("alice", e2e.Password)
	p.until("main", w.wiki.shows("alice"))
	for _, a := range []*application{w.shop, w.files} {
		p.open(a.origin + "/")
		p.until("main", a.shows("alice"))
	}
	p.open(w.wiki.origin + "/")
	w.reset()
	return p
}

// beside returns another tab of p's browser.
func (p tab) beside(t *testing.T, options ...chromedp.ContextOption) tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(p.ctx, options...)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx); err != nil {
		t.Fatal(err)
	}
	return tab{t, ctx}
}

// open goes to an address, wherever that leads.
func (p tab) open(address string) {
	p.t.Helper()
	p.do("open "+address, chromedp.Navigate(address), chromedp.WaitReady(chromedp.CSS("body")))
}

// asks fails the test unless the tab shows the login form, on the login host.
func (w world) asks(p tab) {
	p.t.Helper()
	p.do("see the login form", chromedp.WaitVisible(passwordField))
	if at := p.url(); !strings.HasPrefix(at, w.login+"/_gate/login") {
		p.t.Errorf("the login form is at %s, want it at %s", at, w.login)
	}
}

// signOut signs out on the page of that origin.
func (p tab) signOut(origin string) {
	p.t.Helper()
	p.do("sign out on "+origin, chromedp.Navigate(origin+"/_gate/logout"), chromedp.WaitVisible(ourButton), chromedp.Click(ourButton), chromedp.WaitNotPresent(chromedp.CSS(`form[action="/_gate/logout"]`)))
}

// history returns the addresses that the tab has been at.
func (p tab) history() (list []string) {
	p.t.Helper()
	got, err := chromedp.Call(p.ctx, page.GetNavigationHistory, cdp.Empty{})
	if err != nil {
		p.t.Fatal(err)
	}
	for _, e := range got.Entries {
		list = append(list, e.URL)
	}
	return list
}

// back presses the Back button, and waits for the page. It reports whether there was
// one to go back to. The page may be one that the browser has kept as it was, of which
// chromedp has no elements.
func (p tab) back() bool {
	p.t.Helper()
	from := eval[string](p, `window.leaving = String(Math.random())`)
	got, err := chromedp.Call(p.ctx, page.GetNavigationHistory, cdp.Empty{})
	if err != nil {
		p.t.Fatal(err)
	}
	if got.CurrentIndex <= 1 { // before the first page there is about:blank
		return false
	}
	p.do("go back", command(page.NavigateToHistoryEntry, page.NavigateToHistoryEntryParams{EntryID: got.Entries[got.CurrentIndex-1].ID}))
	e2e.Eventually(p.t, func() error {
		if !eval[bool](p, `window.leaving != `+strconv.Quote(from)+` && document.readyState == "complete"`) {
			return errors.New("the page is still there")
		}
		return nil
	})
	return true
}

// ofAlice returns the address and the text of the page if it shows something of alice;
// "" if it does not.
func (p tab) ofAlice() string {
	p.t.Helper()
	got := eval[string](p, `location.href + " " + document.body.innerText`)
	if strings.Contains(got, "for alice") || strings.Contains(got, "alice@example.com") {
		return got
	}
	return ""
}

// cookieOf returns the value of the session's cookie on a host; "" if there is none.
func (w world) cookieOf(t *testing.T, p tab, host string) string {
	t.Helper()
	got, err := chromedp.Call(p.ctx, network.GetCookies, network.GetCookiesParams{URLs: []string{w.origin(host) + "/"}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range got.Cookies {
		if c.Name == w.gate.Mode.Cookie {
			return c.Value
		}
	}
	return ""
}

// client returns a client without cookies that stands on a host.
func (w world) client(t *testing.T, host string) *e2e.Browser {
	t.Helper()
	b := w.gate.Browser(t)
	b.Base = w.origin(host)
	return b
}

// TestOneSignInForSeveralHosts: who has signed in once, on the login host, is
// signed in on every host, and is where they wanted to be. Without a session nothing
// reaches an application.
func TestOneSignInForSeveralHosts(t *testing.T) {
	t.Parallel()
	w := openWorld(t, loginHost, "")
	p := w.person(t)
	deep := w.wiki.origin + "/deep/page?a=b&c=d%2Fe#part"
	p.open(deep)
	w.asks(p)
	w.wiki.None(t)
	p.signIn("alice", "wrong")
	p.until(`[role="alert"]`, "not right")
	p.signIn("alice", e2e.Password)
	p.until("main", w.wiki.shows("alice"))
	if at := p.url(); at != deep {
		t.Errorf("signed in, the browser is at %s, want %s", at, deep)
	}
	for _, a := range []*application{w.files, w.shop} {
		a.None(t)
		there := a.origin + "/there?a=b#part"
		p.open(there)
		p.until("main", a.shows("alice"))
		if at := p.url(); at != there {
			t.Errorf("the browser is at %s, want %s", at, there)
		}
	}
	for _, a := range w.all() {
		a.onlyFor(t, "alice")
	}
	for _, at := range p.history() {
		if strings.Contains(at, "code=") {
			t.Errorf("the history holds %s", at)
		}
	}

	t.Run("account page", func(t *testing.T) {
		p.open(w.shop.origin + "/_gate/")
		p.until("h1", "Your account")
		if at := p.url(); at != w.login+"/_gate/" {
			t.Errorf("the account page is at %s", at)
		}
		p.open(w.login)
		p.until("h1", "Your account")
	})
	t.Run("list of sessions", func(t *testing.T) {
		var session struct {
			User  string   `json:"user"`
			Hosts []string `json:"hosts"`
		}
		list := w.gate.Must(t, "", "session", "list", "--json")
		if err := json.Unmarshal([]byte(list), &session); err != nil { // of several lines it is an error
			t.Fatalf("%v\n%s", err, list)
		}
		slices.Sort(session.Hosts)
		if session.User != "alice" || strings.Join(session.Hosts, " ") != filesHost+" "+shopHost+" "+wikiHost {
			t.Errorf("the list of sessions is %s, want one of alice with three hosts", list)
		}
	})
}

// TestTwoTabsAtTheLoginForm: both wait there, for pages of two hosts, or of the
// same one. The sign-in of one is that of all, and each ends at its own page.
func TestTwoTabsAtTheLoginForm(t *testing.T) {
	t.Parallel()
	w := openWorld(t, loginHost, "")
	first := w.person(t)
	tabs := []tab{first, first.beside(t), first.beside(t), first.beside(t)}
	pages := []string{w.wiki.origin + "/one#a", w.files.origin + "/two#b", w.wiki.origin + "/three#c", w.shop.origin + "/four#d"}
	shows := []string{w.wiki.shows("alice"), w.files.shows("alice"), w.wiki.shows("alice"), w.shop.shows("alice")}
	for i, p := range tabs {
		p.open(pages[i])
		w.asks(p)
	}
	for i, p := range tabs {
		p.signIn("alice", e2e.Password)
		p.until("main", shows[i])
		if at := p.url(); at != pages[i] {
			t.Errorf("the tab is at %s, want %s", at, pages[i])
		}
	}
	for _, a := range w.all() {
		a.onlyFor(t, "alice")
	}
}

// TestLongAddressOverTheLoginHost: an address that does not fit in a query comes
// back whole.
func TestLongAddressOverTheLoginHost(t *testing.T) {
	t.Parallel()
	w := openWorld(t, loginHost, "")
	p := w.person(t)
	long := w.wiki.origin + "/long?q=" + strings.Repeat("0123456789", 300) + "&end=yes#part"
	p.open(long)
	w.asks(p)
	p.signIn("alice", e2e.Password)
	p.until("main", w.wiki.shows("alice"))
	if at := p.url(); at != long {
		t.Errorf("the browser is at %d bytes, ending with %q; want %d bytes", len(at), at[max(0, len(at)-40):], len(long))
	}
}

// follow starts a stream in the page, and notes in window.stream what becomes of it.
const follow = `(window.stream = "", (async () => {
	try {
		const r = (await fetch("/stream")).body.getReader();
		for (let got = await r.read(); !got.done; got = await r.read()) window.stream = "open";
	} catch {}
	window.stream = "ended";
})(), true)`

// streams waits until the stream of the tab is as want says.
func (p tab) streams(want string) {
	p.t.Helper()
	e2e.Eventually(p.t, func() error {
		if got := eval[string](p, `window.stream`); got != want {
			return fmt.Errorf("the stream is %q, want %s", got, want)
		}
		return nil
	})
}

// openStreams opens a tab with a stream on each host.
func (w world) openStreams(t *testing.T, p tab) (on map[*application]tab) {
	t.Helper()
	on = map[*application]tab{}
	for _, a := range w.all() {
		on[a] = p.beside(t)
		on[a].open(a.origin + "/")
		on[a].until("main", a.shows("alice"))
		eval[bool](on[a], follow)
		on[a].streams("open")
	}
	return on
}

// TestSignOutOfAllHosts: signing out on one host ends the session on all, with what
// is in progress there, and the Back button shows nothing of that host.
func TestSignOutOfAllHosts(t *testing.T) {
	t.Parallel()
	w := openWorld(t, loginHost, "")
	for _, origin := range []string{w.wiki.origin, w.login, w.shop.origin} {
		t.Run("on "+origin, func(t *testing.T) {
			p := w.alice(t)
			streams := w.openStreams(t, p)
			p.signOut(origin)
			for _, s := range streams {
				s.streams("ended")
			}
			w.reset()
			for p.back() {
				if got := p.ofAlice(); strings.HasPrefix(got, origin) || strings.HasPrefix(got, w.login) {
					t.Errorf("the Back button shows %s", got)
				}
			}
			for _, a := range w.all() {
				p.open(a.origin + "/")
				w.asks(p)
				a.None(t)
			}
			p.open(w.login + "/_gate/")
			p.do("see the login form", chromedp.WaitVisible(passwordField))
		})
	}
}

// TestSignOutOfOneHost: with logout: host, signing out on an application's host ends
// that host alone, with what is in progress there. Signing out on the login host ends
// all.
func TestSignOutOfOneHost(t *testing.T) {
	t.Parallel()
	w := openWorld(t, loginHost, "logout: host")
	p := w.alice(t)
	streams := w.openStreams(t, p)
	before := w.cookieOf(t, p, wikiHost)
	p.signOut(w.wiki.origin)
	streams[w.wiki].streams("ended")
	w.wiki.Reset()
	thief := w.client(t, wikiHost)
	if got := thief.Visit("/", "Cookie: "+w.gate.Mode.Cookie+"="+before); got.Status/100 != 3 {
		t.Errorf("the wiki's cookie of before the sign-out counts: status %d", got.Status)
	}
	w.wiki.None(t)
	for _, a := range []*application{w.files, w.shop} {
		p.open(a.origin + "/")
		p.until("main", a.shows("alice"))
	}
	p.open(w.wiki.origin + "/") // who is signed in on the login host is not asked again
	p.until("main", w.wiki.shows("alice"))
	for _, a := range []*application{w.files, w.shop} {
		streams[a].streams("open")
	}

	p.signOut(w.login)
	for _, a := range []*application{w.files, w.shop} {
		streams[a].streams("ended")
	}
	w.reset()
	for _, a := range w.all() {
		p.open(a.origin + "/")
		w.asks(p)
		a.None(t)
	}
}
