package portal_test

import (
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"gatehouse/auth/portal"
	"gatehouse/internal/web"
)

// TestManualOfTheLoginPage: the example of docs/login-page.md is taken and
// signs somebody in, and every field of the data stands in its table.
func TestManualOfTheLoginPage(t *testing.T) {
	manual, err := os.ReadFile(filepath.Join("..", "..", "docs", "login-page.md"))
	if err != nil {
		t.Fatal(err)
	}
	example := regexp.MustCompile("(?s)```html\n(.*?)```").FindSubmatch(manual)
	if example == nil {
		t.Fatal("no example")
	}
	g := newGate(t, func(g *gate) { g.html = string(example[1]) })
	b := g.browser(t)
	if a := b.login("alice", "wrong"); a.StatusCode != http.StatusUnauthorized || !strings.Contains(a.body, "The name or the password is not right.") {
		t.Errorf("%s: %s", a.Status, a.body)
	}
	b.signIn("alice", alicesPassword)

	var fields func(of reflect.Type)
	fields = func(of reflect.Type) {
		for f := range of.Fields() {
			if f.Anonymous {
				fields(f.Type)
			} else if !strings.Contains(string(manual), "\n| `."+f.Name+"` |") {
				t.Errorf("docs/login-page.md does not say what .%s is", f.Name)
			}
		}
	}
	fields(reflect.TypeFor[portal.LoginPage]())
	for _, row := range regexp.MustCompile("(?m)^\\| `\\.(\\w+)` \\|").FindAllSubmatch(manual, -1) {
		if _, ok := reflect.TypeFor[portal.LoginPage]().FieldByName(string(row[1])); !ok {
			t.Errorf("docs/login-page.md tells of .%s, which there is not", row[1])
		}
	}
}

// TestOurOwnFace: what an operator configures is on the pages, and cannot
// break out of its place.
func TestOurOwnFace(t *testing.T) {
	accent, err := web.ParseColor("#ff0")
	if err != nil {
		t.Fatal(err)
	}
	g := newGate(t, func(g *gate) {
		g.face = web.Branding{
			Logo: "data:image/png;base64,AAAA", Message: `With your <b>"company"</b> account.`, Accent: accent,
			Links: []web.Link{{Text: "<Help>", URL: "https://help.example.com/?a=b&c=d"}, {Text: "Bad", URL: "javascript:alert(1)"}},
		}
	})
	b := g.browser(t)
	in := g.browser(t).signIn("alice", alicesPassword)
	for name, body := range map[string]string{
		"login": b.get("/_gate/login").body, "logout": in.get("/_gate/logout").body, "account": in.get("/_gate/").body,
	} {
		for _, want := range []string{`src="data:image/png;base64,AAAA"`, `href="https://help.example.com/?a=b&amp;c=d"`, "&lt;Help&gt;"} {
			if !strings.Contains(body, want) {
				t.Errorf("%s lacks %s", name, want)
			}
		}
		if strings.Contains(body, "javascript:") || strings.Contains(body, "<b>") {
			t.Errorf("%s: %s", name, body)
		}
		if shown := strings.Contains(body, "With your &lt;b&gt;"); shown != (name == "login") {
			t.Errorf("%s: the message is there: %v", name, shown)
		}
	}
}

// TestLanguages of our pages: the browser's, then the one that was chosen,
// which nothing but a page of ours can choose.
func TestLanguages(t *testing.T) {
	g := newGate(t)
	b := g.browser(t)
	ask := func(path, language, site string) answer {
		r := b.request("GET", path, nil)
		r.Header.Set("Accept-Language", language)
		if site != "" {
			r.Header.Set("Sec-Fetch-Site", site)
		}
		return b.do(r)
	}
	a := ask("/_gate/login", "de-AT, en;q=0.5", "")
	if !strings.Contains(a.body, `<html lang="de" dir="ltr">`) || !strings.Contains(a.body, "Anmelden") || !strings.Contains(strings.Join(a.Header["Vary"], ","), "Accept-Language") {
		t.Errorf("in German: %v\n%s", a.Header, a.body)
	}
	if a := ask("/_gate/login", "ar", ""); !strings.Contains(a.body, `<html lang="ar" dir="rtl">`) {
		t.Errorf("in Arabic: %s", a.body)
	}
	for _, c := range []struct{ name, query, site, language string }{
		{"another site", "lang=fr", "cross-site", ""},
		{"no language", "lang=tlh", "same-origin", ""},
		{"a header in it", "lang=fr%0d%0aX:y", "same-origin", ""},
		{"nothing", "", "", ""},
		{"our menu", "lang=fr", "same-origin", "fr"},
	} {
		a := ask("/_gate/language?"+c.query, "de", c.site).want(t, 302, "/")
		if got := b.cookies()["gatehouse_lang"]; got != c.language {
			t.Errorf("%s: the language is %q, want %q", c.name, got, c.language)
		}
		if strings.Contains(strings.Join(a.Header["Location"], ""), "\n") {
			t.Errorf("%s: %v", c.name, a.Header)
		}
	}
	if a := ask("/_gate/login", "de", ""); !strings.Contains(a.body, `<html lang="fr"`) {
		t.Error("what was chosen is forgotten")
	}
	if a := ask("/_gate/nothing", "de", ""); !strings.Contains(a.body, `<html lang="fr"`) {
		t.Error("the error page does not know the language")
	}
	for next, want := range map[string]string{
		"/_gate/":                              "/_gate/",
		"/_gate/login":                         "/_gate/login",
		"/_gate/login?next=/a%3Fb%3Dc":         "/_gate/login?next=/a%3Fb%3Dc",
		"/_gate/login?next=//evil.test":        "/_gate/login",
		"/_gate/login?next=/&username=x":       "/_gate/login?next=/",
		"/_gate/logout?next=/bye":              "/_gate/logout?next=/bye",
		"/_gate/session":                       "/",
		"/_gate/language?lang=de&next=/_gate/": "/",
		"/app?a=b":                             "/app?a=b",
		"//evil.test":                          "/",
		"https://evil.test/":                   "/",
		`/\evil.test`:                          "/",
		"":                                     "/",
	} {
		ask("/_gate/language?lang=de&next="+strings.NewReplacer("?", "%3F", "&", "%26", "%", "%25").Replace(next), "de", "same-origin").want(t, 302, want)
	}
}
