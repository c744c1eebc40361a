//go:build e2e

package browser_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"

	"gatehouse/internal/e2e"
)

// settled asks the page for what a promise comes to: its value, or the error.
func (p tab) settled(promise string) (got string) {
	p.t.Helper()
	eval[bool](p, `(window.settled = "", (async () => `+promise+`)().then(v => window.settled = "ok: " + v, e => window.settled = "failed: " + e), true)`)
	e2e.Eventually(p.t, func() error {
		if got = eval[string](p, `window.settled`); got == "" {
			return errors.New("the promise is not settled yet")
		}
		return nil
	})
	return got
}

// TestHostileScriptOfAnApplication is what a script of an application, or one
// that somebody has smuggled into it, tries in a real browser: to put a service
// worker before the sign-in page, and to read and use our pages in its
// visitor's name.
func TestHostileScriptOfAnApplication(t *testing.T) {
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, ".js") || r.URL.Path == "/dl" {
			w.Header().Set("Content-Type", "text/javascript")
			_, _ = io.WriteString(w, `self.addEventListener("fetch", e => e.respondWith(fetch(e.request)))`)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!doctype html><title>app</title><main>the application</main>")
	}))
	t.Cleanup(app.Close)
	gate := e2e.Start(t, e2e.HTTP1, `
routes:
  - {upstream: "`+app.URL+`", service_workers: [/pwa.js], access: [{path: /, public: true}]}
`)
	b := openBrowser(t)
	site := "http://" + gate.Addr
	b.do("open the application", chromedp.Navigate(site+"/"))

	for script, want := range map[string]string{ //nolint:gosec // G101: paths
		"/sw.js":         "failed: ", // its scope would be /
		"/dl?file=42":    "failed: ",
		"/static/sw.js":  "ok: /static/",
		"/pwa.js":        "ok: /", // the operator has said so
		"/static/pwa.js": "ok: /static/",
	} {
		got := b.settled(`{
			const r = await navigator.serviceWorker.register("` + script + `"), scope = new URL(r.scope).pathname;
			await r.unregister();
			return scope;
		}`)
		if !strings.HasPrefix(got, want) || strings.HasPrefix(want, "ok") && got != want {
			t.Errorf("worker %s: %s, want %s", script, got, want)
		}
	}

	for script, want := range map[string]string{
		`(await fetch("/_gate/login")).status`:                                                   "ok: 403",
		`(await fetch("/_gate/login", {headers: {Accept: "text/html"}})).status`:                 "ok: 403",
		`(await fetch("/_gate/login", {method: "POST", body: new URLSearchParams("a")})).status`: "ok: 403",
		`(await fetch("/_gate/", {mode: "same-origin"})).status`:                                 "ok: 403",
		`(await fetch("/_gate/session")).status`:                                                 "ok: 200",
		`{
			const f = document.createElement("iframe");
			const shown = new Promise(done => f.onload = done);
			f.src = "/_gate/login";
			document.body.append(f);
			await shown;
			try { return f.contentDocument.querySelector("[name=csrf_token]") ? "a token" : "no token" } catch { return "no token" }
		}`: "ok: no token",
		`{
			const w = window.open("/_gate/login");
			await new Promise(done => setTimeout(done, 500));
			try { return w.document.querySelector("[name=csrf_token]") ? "a token" : "no token" } catch { return "no token" }
		}`: "ok: no token",
	} {
		if !strings.HasPrefix(strings.TrimSpace(script), "{") {
			script = "{ return " + script + " }"
		}
		if got := b.settled(script); got != want {
			t.Errorf("%s: %s, want %s", script, got, want)
		}
	}
}
