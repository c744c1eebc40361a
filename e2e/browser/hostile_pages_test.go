//go:build e2e

package browser_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/e2e"
)

// spy is a service worker that sees every request of its pages, and tells of them at
// /seen. The last line may have it answer them.
const spy = `
const seen = [];
self.addEventListener("install", e => e.waitUntil(self.skipWaiting()));
self.addEventListener("activate", e => e.waitUntil(self.clients.claim()));
self.addEventListener("fetch", e => {
	if (new URL(e.request.url).pathname == "/seen") return e.respondWith(new Response(JSON.stringify(seen)));
	e.waitUntil(e.request.clone().text().catch(() => "").then(body => seen.push(e.request.method + " " + e.request.url + " " + body)));
	%s
});`

func (w world) watchingWorker(t *testing.T) { w.serviceWorker(t, "") }

func (w world) answeringWorker(t *testing.T) { w.serviceWorker(t, "e.respondWith(fetch(e.request));") }

// serviceWorker lets alice sign out and in again, while the wiki has a worker that the
// operator has allowed for all of its host.
func (w world) serviceWorker(t *testing.T, answers string) {
	t.Helper()
	w.wiki.serve("/sw.js", "text/javascript", fmt.Sprintf(spy, answers))
	p := w.alice(t)
	if got := p.settled(`{
		await navigator.serviceWorker.register("/sw.js");
		await navigator.serviceWorker.ready;
		while (!navigator.serviceWorker.controller) await new Promise(done => setTimeout(done, 10));
		return await (await fetch("/seen")).text();
	}`); !strings.HasPrefix(got, "ok: ") {
		t.Fatalf("the worker: %s", got)
	}
	p.signOut(w.login)
	p.open(w.wiki.origin + "/again#part")
	w.asks(p)
	p.signIn("alice", e2e.Password)
	p.until("main", w.wiki.shows("alice"))
	if at := p.url(); at != w.wiki.origin+"/again#part" {
		t.Errorf("the browser is at %s", at)
	}
	var seen []string
	got, _ := strings.CutPrefix(p.settled(`{ return await (await fetch("/seen")).text() }`), "ok: ")
	if err := json.Unmarshal([]byte(got), &seen); err != nil || !slices.ContainsFunc(seen, func(s string) bool { return strings.Contains(s, "/again") }) {
		t.Fatalf("the worker has seen %q, %v", got, err)
	}
	for _, s := range seen {
		method, rest, _ := strings.Cut(s, " ")
		address, body, _ := strings.Cut(rest, " ")
		if method != http.MethodGet || !strings.HasPrefix(address, w.wiki.origin+"/") || body != "" {
			t.Errorf("the worker has seen %q", s)
		}
		if u, _ := url.Parse(address); u.Query().Has("code") { // it is used up
			for _, host := range []string{wikiHost, filesHost, shopHost} {
				thief := w.client(t, host)
				thief.Visit(u.RequestURI())
				if who := thief.SignedInAs(); who != "" {
					t.Errorf("on %s, the code that the worker has seen signs in %s", host, who)
				}
			}
		}
	}
}

// fetches: a script of the wiki asks the login host for its pages, in the visitor's name.
// It learns nothing but that it was refused.
func (w world) fetches(t *testing.T) {
	p := w.alice(t)
	before := w.cookies(t, p)
	const failed = "failed: TypeError: Failed to fetch"
	for _, path := range []string{"/_gate/", "/_gate/login", "/_gate/login?next=$wiki/", "/_gate/logout", "/_gate/session", "/_gate/static/style.css", "/"} {
		w.tries(t, p, map[string]string{
			`(await fetch("$login` + path + `", {credentials: "include"})).status`:                                                                                                                                                    failed,
			`(await fetch("$login` + path + `", {credentials: "include", method: "POST", body: new URLSearchParams("a=b")})).status`:                                                                                                  failed,
			`(await fetch("$login` + path + `", {credentials: "include", headers: {"X-Requested-With": "XMLHttpRequest"}})).status`:                                                                                                   failed,
			`{ try { const r = await fetch("$login` + path + `", {credentials: "include", mode: "no-cors"}); return r.type + r.status + r.url + await r.text() } catch { return "opaque0" } }`:                                        "ok: opaque0",
			`{ try { const r = await fetch("$login` + path + `", {credentials: "include", mode: "no-cors", redirect: "manual"}); return r.status + r.url.replace("$login` + path + `", "") + await r.text() } catch { return "0" } }`: "ok: 0",
		})
	}
	w.tries(t, p, map[string]string{
		`(await fetch("$wiki/_gate/")).status`:                                   "ok: 403",
		`(await fetch("$wiki/_gate/enter?code=x")).status`:                       "ok: 403",
		`(await (await fetch("$wiki/_gate/session")).json()).user`:               "ok: alice", // as on every page of its own
		`(await fetch("$files/_gate/session", {credentials: "include"})).status`: failed,
		`(await fetch("$shop/", {credentials: "include"})).status`:               failed,
	})
	w.untouched(t, p, before)
}

// embeds: neither do elements and sockets, for which no host is asked whether it agrees.
func (w world) embeds(t *testing.T) {
	p := w.alice(t)
	before := w.cookies(t, p)
	const element = `{
		const e = document.createElement(%q);
		const end = new Promise(done => { e.onload = () => done("loaded"); e.onerror = () => done("refused") });
		e.rel = "stylesheet"; e.src = e.href = %q;
		document.body.append(e);
		return await end;
	}`
	for _, path := range []string{"/_gate/", "/_gate/session", "/_gate/login?next=$wiki/", "/_gate/static/style.css", "/_gate/static/logo.svg"} {
		for _, kind := range []string{"script", "img", "link"} {
			w.tries(t, p, map[string]string{fmt.Sprintf(element, kind, "$login"+path): "ok: refused"})
		}
	}
	w.tries(t, p, map[string]string{`{
		const s = new WebSocket("$login/_gate/session".replace("https:", "wss:"));
		return await new Promise(done => { s.onopen = () => done("open"); s.onerror = () => done("refused") });
	}`: "ok: refused", `{
		const s = new EventSource("$login/_gate/session", {withCredentials: true});
		return await new Promise(done => { s.onopen = () => done("open"); s.onerror = () => { s.close(); done("refused") } });
	}`: "ok: refused"})
	w.untouched(t, p, before)
}

// frames: no page of the login host can be laid under a page of an application, nor can
// a frame take the way in.
func (w world) frames(t *testing.T) {
	p := w.alice(t)
	before := w.cookies(t, p)
	for _, from := range []*application{w.wiki, w.shop} {
		for _, path := range []string{"/_gate/", "/_gate/login", "/_gate/logout", "/_gate/login?next=$wiki/framed", "/_gate/login?next=$shop/framed"} {
			p.open(from.origin + "/")
			if got := p.settled(w.script(`{
				const f = document.createElement("iframe");
				const shown = new Promise(done => f.onload = done);
				f.src = "$login` + path + `";
				document.body.append(f);
				await shown;
				try { return f.contentDocument.body.innerHTML } catch (e) { return e.name }
			}`)); got != "ok: TypeError" { // contentDocument is null
				t.Errorf("%s in a frame of %s: the page reads %s", path, from.host, got)
			}
			p.framesNothing()
		}
	}
	w.untouched(t, p, before)
	for _, a := range w.all() {
		if strings.Contains(a.Bytes(), "/framed") {
			t.Errorf("a frame came through to %s", a.host)
		}
	}
}

// windows: a page that has opened a window of the login host holds nothing of it.
func (w world) windows(t *testing.T) {
	p := w.alice(t)
	before := w.cookies(t, p)
	for path, heading := range map[string]string{"/_gate/": "Your account", "/_gate/login": "Sign in", "/_gate/logout": "Sign out"} {
		address := w.login + path
		if got := p.settled(`{ window.victim = window.open("` + address + `", "victim"); return victim !== null }`); got != "ok: true" {
			t.Fatalf("%s: a window is opened: %s", path, got)
		}
		opened := p.window(address)
		opened.until("h1", heading)
		if got := eval[string](opened, `String(window.opener) + " " + window.length`); got != "null 0" {
			t.Errorf("%s: its opener is %s", path, got)
		}
		for _, script := range []string{
			`victim.document.documentElement.outerHTML`, `victim.document.forms[0].csrf_token.value`, `victim.location.href`,
			`victim.eval("document.body.innerText")`, `victim.frameElement.ownerDocument`, `victim.history.length`,
			`(document.domain = "example.com", victim.document.body.innerText)`,
		} {
			if got := p.settled(`{ return "read " + ` + script + ` }`); !strings.HasPrefix(got, "failed: SecurityError") && !strings.HasPrefix(got, "failed: TypeError") {
				t.Errorf("%s: the opener's %s: %s", path, script, got)
			}
		}
		// It cannot be led to a forged page while somebody looks at it.
		p.settled(`{ victim.location = "/forged"; victim.location.replace("/forged"); victim.postMessage("x", "*"); victim.close() }`)
		p.settled(`{ await fetch("/settle") }`)
		if at := opened.url(); at != address {
			t.Errorf("%s: the opener has led the window to %s", path, at)
		}
		opened.until("h1", heading)
		p.open(w.wiki.origin + "/")
	}
	w.untouched(t, p, before)
}

// wayThroughAWindow: nor does it see the code in a window that comes through the login
// host to an application, even its own.
func (w world) wayThroughAWindow(t *testing.T) {
	p := w.alice(t)
	before := w.cookies(t, p)
	for _, to := range []*application{w.wiki, w.files, w.shop} {
		address := w.login + "/_gate/login?next=" + to.origin + "/there&state=" + strings.Repeat("A", 43)
		if got := p.settled(`{
			window.victim = window.open("` + address + `");
			for (let i = 0; i < 300; i++) {
				try { if (victim.location.href.includes("code=")) return victim.location.href } catch {}
				if (victim.closed) return "gone";
				await new Promise(done => setTimeout(done, 10));
			}
			return "nothing";
		}`); got != "ok: gone" && got != "ok: nothing" {
			t.Errorf("the opener of a window on its way to %s reads: %s", to.host, got)
		}
		to.AwaitRequests(t, 1) // alice is there now
		to.onlyFor(t, "alice")
		p.window(to.origin+"/there").until("main", to.shows("alice"))
		p.open(w.wiki.origin + "/")
	}
	w.untouched(t, p, before)
}

// forgedPage: a page can look like the login page, and has an address of its own host.
func (w world) forgedPage(t *testing.T) {
	p := w.alice(t)
	w.tries(t, p, map[string]string{
		`{ history.replaceState(null, "", "/_gate/login?next=/"); document.body.innerHTML = "<form><input name=password type=password></form>"; return location.origin }`: "ok: " + w.wiki.origin,
		`{ try { history.replaceState(null, "", "$login/_gate/login") } catch (e) { return e.name } }`:                                                                    "ok: SecurityError",
		`{ try { history.pushState(null, "", "$login/_gate/login") } catch (e) { return e.name } }`:                                                                       "ok: SecurityError",
	})
	// The address bar tells: its page can look like the login page, but the login page
	// is never at this address.
	if at := p.url(); at != w.wiki.origin+"/_gate/login?next=/" {
		t.Errorf("the browser shows the address %s", at)
	}
	p.open(w.wiki.origin + "/_gate/login?next=/x")
	if at := p.url(); at != w.wiki.origin+"/x" && !strings.HasPrefix(at, w.login) {
		t.Errorf("the address of the forged page leads to %s", at)
	}
	p.signOut(w.login)
	p.open(w.wiki.origin + "/_gate/login?next=/x")
	w.asks(p)
	p.signIn("alice", e2e.Password)
	p.until("main", w.wiki.shows("alice"))
}

// ownSignOut: the page that signs out is on the host of the application as well, and
// ends the session on all hosts. A script cannot use it.
func (w world) ownSignOut(t *testing.T) {
	p := w.alice(t)
	before := w.cookies(t, p)
	before[wikiHost] = w.cookieOf(t, p, wikiHost)
	w.tries(t, p, map[string]string{
		`(await fetch("/_gate/logout")).status`: "ok: 403",
		`(await fetch("/_gate/logout", {method: "POST", body: new URLSearchParams("csrf_token=x")})).status`: "ok: 403",
		`{
			const f = document.createElement("iframe");
			const shown = new Promise(done => f.onload = done);
			f.src = "/_gate/logout";
			document.body.append(f);
			await shown;
			try { return f.contentDocument.forms.length } catch (e) { return e.name }
		}`: "ok: TypeError",
		`{ window.victim = window.open("/_gate/logout"); return victim !== null }`: "ok: true",
	})
	p.window(w.wiki.origin+"/_gate/logout").until("h1", "Sign out")
	if got := p.settled(`{ return victim.document.forms.length }`); !strings.HasPrefix(got, "failed: ") {
		t.Errorf("the opener of the page that signs out reads: %s", got)
	}
	p.postForm(w.wiki.origin+"/_gate/logout", url.Values{"csrf_token": {"x"}})
	if got := p.status(); got != http.StatusForbidden {
		t.Errorf("a form without a token: status %d", got)
	}
	w.untouched(t, p, before)
}

// postForm sends a form from the page, in its window.
func (p tab) postForm(address string, fields url.Values) {
	p.t.Helper()
	list := map[string]string{}
	for name := range fields {
		list[name] = fields.Get(name)
	}
	text, err := json.Marshal(list)
	if err != nil {
		p.t.Fatal(err)
	}
	eval[bool](p, fmt.Sprintf(`(() => {
		const f = document.createElement("form");
		f.method = "post"; f.action = %q;
		for (const [name, value] of Object.entries(%s)) {
			const e = document.createElement("input");
			e.type = "hidden"; e.name = name; e.value = value;
			f.append(e);
		}
		document.body.append(f);
		setTimeout(() => f.submit());
		return true;
	})()`, address, text))
	e2e.Eventually(p.t, func() error {
		if at := p.url(); !strings.HasPrefix(at, address) {
			return errors.New("the form is not sent yet")
		}
		return nil
	})
}

// status returns the status with which the page came.
func (p tab) status() int {
	p.t.Helper()
	return eval[int](p, `performance.getEntriesByType("navigation")[0].responseStatus`)
}

// forms: a form of another host changes nothing on the login host, though the browser
// sends its cookies along from hosts of the same domain.
func (w world) forms(t *testing.T) {
	second := w.client(t, loginHost)
	w.goIn(t, second, "alice", w.wiki.origin+"/")
	second.Base = w.wiki.origin
	w.reset()
	p := w.alice(t)
	before := w.cookies(t, p)
	for _, from := range []*application{w.wiki, w.shop} {
		for _, path := range []string{"/_gate/logout", "/_gate/password", "/_gate/sessions/end", "/_gate/sessions/end-others", "/_gate/login", "/_gate/factor"} {
			p.open(from.origin + "/")
			p.postForm(w.login+path, url.Values{
				"csrf_token": {"x"}, "username": {"bob"}, "password": {e2e.Password}, "next": {"/"},
				"old_password": {e2e.Password}, "new_password": {"a password of the attacker"}, "new_password_again": {"a password of the attacker"},
			})
			if got := p.status(); got != http.StatusForbidden {
				t.Errorf("%s from %s: status %d, %s", path, from.host, got, p.text("body"))
			}
		}
	}
	if who := second.SignedInAs(); who != "alice" {
		t.Error("alice's other session has ended")
	}
	w.untouched(t, p, before)
}
