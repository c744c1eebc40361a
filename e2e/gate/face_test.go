//go:build e2e

package gate_test

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"gatehouse/internal/e2e"
)

// TestTheFaceOfARoute: the login page has the title and the logo of where the
// visitor wants to go, and tells nobody of the routes of another host.
func TestTheFaceOfARoute(t *testing.T) {
	t.Parallel()
	app := e2e.Record(t)
	gate := e2e.New(t, e2e.HTTP1, "")
	if err := os.WriteFile(filepath.Join(gate.Dir, "logo.svg"), []byte(`<svg xmlns="http://www.w3.org/2000/svg"/>`), 0o600); err != nil {
		t.Fatal(err)
	}
	gate.Configure(t, `
login: {title: Everything}
routes:
  - {host: `+e2e.Host+`, path: /, upstream: "`+app.URL+`"}
  - {host: `+e2e.Host+`, path: /wiki, upstream: "`+app.URL+`", login: {title: The wiki, logo: logo.svg}}
  - {host: wiki.example.test, upstream: "`+app.URL+`", login: {title: Another wiki}}
`)
	gate.Run(t)
	t.Cleanup(func() { gate.Stop(t) })
	b := gate.Browser(t)
	for _, c := range []struct{ host, next, title string }{
		{e2e.Host, "/", "Everything"},
		{e2e.Host, "/wiki/page?a=/b", "The wiki"},
		{e2e.Host, "/wikis", "Everything"},
		{e2e.Host, "/?/wiki", "Everything"},
		{"wiki.example.test", "/", "Another wiki"},
		{"wiki.example.test", "/wiki", "Another wiki"},
	} {
		page := b.Visit("/_gate/login?next="+c.next, "Host: "+c.host)
		if !strings.Contains(page.Body, "<title>"+c.title+"</title>") || strings.Contains(page.Body, `<img class="logo" src="data:image/svg`) != (c.title == "The wiki") {
			t.Errorf("%s%s: %.400s", c.host, c.next, page.Body)
		}
	}
	if page := b.Visit("/_gate/login?next=/wiki", "Host: other.example.test"); page.Status != http.StatusMisdirectedRequest {
		t.Errorf("an unknown host: status %d", page.Status)
	}
}

// TestALoginTemplateIsTriedOutAtAReload: a mistake is told with its line, and
// the page that was there stays.
func TestALoginTemplateIsTriedOutAtAReload(t *testing.T) {
	t.Parallel()
	app := e2e.Record(t)
	config := "login: {template: page.html}\nroutes:\n  - upstream: " + app.URL + "\n"
	gate := e2e.New(t, e2e.HTTP1, config)
	template := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(gate.Dir, "page.html"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	template("<title>the first</title>")
	gate.Run(t)
	t.Cleanup(func() { gate.Stop(t) })
	b := gate.Browser(t)
	shows := func(text string) bool { return strings.Contains(b.Visit("/_gate/login").Body, text) }
	template("<title>the second</title>\n{{if .Error}}{{.Nonsense}}{{end}}")
	out, code := gate.Command(t, "", "check")
	if code != 78 || !strings.Contains(out, `page.html", line 2: <.Nonsense>`) {
		t.Errorf("check: exit status %d\n%s", code, out)
	}
	gate.Signal(t, syscall.SIGHUP)
	gate.AwaitLog(t, "Nonsense")
	if !shows("the first") {
		t.Error("a broken page has taken the place of a good one")
	}
	template("<title>the third</title>")
	gate.Signal(t, syscall.SIGHUP)
	e2e.Eventually(t, func() error {
		if !shows("the third") {
			return os.ErrNotExist
		}
		return nil
	})
}

// TestTheLanguageStaysWithUs: the cookie of the language reaches no
// application, and none can set it.
func TestTheLanguageStaysWithUs(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		app := e2e.Record(t)
		gate := e2e.Start(t, m, e2e.Standard(app.URL))
		b := gate.Browser(t)
		if a := b.Visit("/_gate/language?lang=ja&next=/public"); a.Location() != "/public" || len(a.Header.Values("Set-Cookie")) != 1 {
			t.Fatalf("%d %v", a.Status, a.Header)
		}
		if page := b.Visit("/_gate/login"); !strings.Contains(page.Body, `<html lang="ja"`) {
			t.Errorf("the language is forgotten: %.200s", page.Body)
		}
		b.Visit("/public", "Cookie: own=1")
		for _, q := range app.Requests() {
			if strings.Contains(q.Head, "_lang") {
				t.Errorf("the application gets\n%s", q.Head)
			}
		}
		if n := len(app.Requests()); n != 1 {
			t.Errorf("%d requests reach the application", n)
		}
	})
}
