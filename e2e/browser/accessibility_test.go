//go:build e2e

package browser_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"

	"gatehouse/internal/e2e"
)

// nodeModules holds the checkers of pages; make setup installs them.
const nodeModules = "testdata/pages/node_modules"

// pageLimit is the most that a page of ours may weigh.
const pageLimit = 15 << 10

// pageLanguages are the languages of our pages.
const pageLanguages = "en de fr es pt it nl pl tr uk ar he hi ja ko zh-Hans"

// A shownPage is a page of ours as a visitor gets it.
type shownPage struct {
	name     string
	language string
	body     string
}

// collectPages gets every page of ours in every language from a running gate.
func collectPages(t *testing.T) []shownPage {
	t.Helper()
	silent := make(chan struct{})
	slow := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-silent }))
	t.Cleanup(func() { close(silent); slow.Close() })
	nobody, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once: an address where nobody listens
	if err != nil {
		t.Fatal(err)
	}
	_ = nobody.Close()
	gate := e2e.Start(t, e2e.HTTP1, `
session: {remember_me: 30d, max_per_user: 3}
login: {throttle: {per_account: 3/15m, per_network: 1000/15m}}
routes:
  - {path: /slow, upstream: "`+slow.URL+`", timeouts: {response: 300ms}}
  - {path: /busy, upstream: "`+slow.URL+`", max_requests: 1}
  - {path: /deep, upstream: "http://`+nobody.Addr().String()+`", access: [{groups: [nobody]}]}
  - {path: /, upstream: "http://`+nobody.Addr().String()+`"}
`)
	gate.Must(t, e2e.Password+"\n", "user", "add", "dora", "--password-stdin")
	var list []shownPage
	for language := range strings.FieldsSeq(pageLanguages) {
		speaks, begin := "Accept-Language: "+language, `<html lang="`+language+`"`
		keep := func(name string, status int, a e2e.Answer) {
			t.Helper()
			if a.Status != status || !strings.Contains(a.Body, begin) || len(a.Body) > pageLimit {
				t.Errorf("%s in %s: status %d, %d bytes, %.120q", name, language, a.Status, len(a.Body), a.Body)
			}
			list = append(list, shownPage{name, language, a.Body})
		}
		b := gate.Browser(t)
		form := b.Visit("/_gate/login?next=/x", speaks)
		keep("login", http.StatusOK, form)
		wrong := url.Values{"username": {language}, "password": {"wrong"}, "next": {"/"}, "csrf_token": {b.Token(form)}}
		keep("login-wrong", http.StatusUnauthorized, b.Submit("/_gate/login", wrong, speaks))
		for range 2 {
			b.Submit("/_gate/login", wrong)
		}
		keep("login-throttled", http.StatusTooManyRequests, b.Submit("/_gate/login", wrong, speaks))
		wrong.Set("csrf_token", "x")
		keep("login-csrf", http.StatusForbidden, b.Submit("/_gate/login", wrong, speaks))

		b.Login("dora", e2e.Password)
		gate.Browser(t).Login("dora", e2e.Password)
		page := b.Visit("/_gate/", speaks)
		keep("account", http.StatusOK, page)
		b.Submit("/_gate/password", url.Values{"csrf_token": {b.Token(page)}, "old_password": {"wrong"}, "new_password": {"x"}, "new_password_again": {"x"}})
		keep("account-wrong", http.StatusUnprocessableEntity, b.Submit("/_gate/password", url.Values{
			"csrf_token": {b.Token(page)}, "old_password": {e2e.Password}, "new_password": {"x"}, "new_password_again": {"y"},
		}, speaks))
		keep("logout", http.StatusOK, b.Visit("/_gate/logout", speaks))
		keep("400", http.StatusBadRequest, b.Submit("/_gate/login", url.Values{"next": {"/", "/"}}, speaks))
		keep("403", http.StatusForbidden, b.Visit("/deep", speaks))
		keep("404", http.StatusNotFound, b.Visit("/_gate/nothing", speaks))
		keep("405", http.StatusMethodNotAllowed, b.Submit("/_gate/session", nil, speaks))
		keep("502", http.StatusBadGateway, b.Visit("/", speaks))
		keep("504", http.StatusGatewayTimeout, b.Visit("/slow", speaks))
	}
	return list
}

// TestPagesAreValidAndAccessible: html-validate and axe-core find nothing on
// any page, in any language, light or dark.
func TestPagesAreValidAndAccessible(t *testing.T) {
	t.Parallel()
	list := collectPages(t)
	dir := t.TempDir()
	for _, p := range list {
		if err := os.WriteFile(filepath.Join(dir, p.language+"-"+p.name+".html"), []byte(p.body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("html-validate", func(t *testing.T) {
		t.Parallel()
		out, err := nodeTool(t, "html-validate", "--formatter=text", dir).CombinedOutput()
		if err != nil {
			t.Errorf("html-validate: %v\n%s", err, out)
		}
	})
	t.Run("axe", func(t *testing.T) {
		t.Parallel()
		files := httptest.NewServer(http.FileServer(http.Dir(dir)))
		defer files.Close()
		axe, err := os.ReadFile(filepath.Join(nodeModules, "axe-core", "axe.min.js"))
		if err != nil {
			t.Fatalf("%v (make setup installs it)", err)
		}
		p := openBrowser(t)
		p.prefer("light")
		for _, page := range list {
			// One language each way has all pages; the others differ in words.
			if page.language == "en" || page.language == "ar" || strings.Contains("login account 403", page.name) {
				p.findNothing(string(axe), files.URL+"/"+page.language+"-"+page.name+".html", "light")
			}
		}
		p.prefer("dark")
		for _, page := range list {
			if page.language == "en" { // words do not change colours
				p.findNothing(string(axe), files.URL+"/"+page.language+"-"+page.name+".html", "dark")
			}
		}
	})
}

// prefer sets the colours that the visitor prefers.
func (p tab) prefer(colours string) {
	p.t.Helper()
	p.do("prefer "+colours, func(ctx context.Context, _ *chromedp.Target) (v chromedp.Void, err error) {
		_, err = chromedp.Call(ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: colours}},
		})
		return v, err
	})
}

// findNothing opens the page and lets axe-core look at it.
func (p tab) findNothing(axe, page, how string) {
	p.t.Helper()
	p.do("open "+page, chromedp.Navigate(page), chromedp.WaitReady(chromedp.CSS("main")), chromedp.Evaluate[chromedp.Void](axe))
	ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
	defer cancel()
	found, err := chromedp.Run(ctx, chromedp.Evaluate[[]json.RawMessage](
		`axe.run().then(r => r.violations.map(v => ({rule: v.id, help: v.help, where: v.nodes.map(n => n.html + " " + n.failureSummary)})))`,
		chromedp.EvalAwaitPromise))
	if err != nil {
		p.t.Fatalf("axe on %s: %v", page, err)
	}
	for _, v := range found {
		p.t.Errorf("%s, %s: %s", page, how, v)
	}
}

// TestPagesScoreFullyInLighthouse: for accessibility and for best practices.
func TestPagesScoreFullyInLighthouse(t *testing.T) {
	t.Parallel()
	app := e2e.Record(t)
	gate := e2e.Start(t, e2e.HTTP1, "routes:\n  - upstream: "+app.URL+"\n")
	b := gate.Browser(t)
	b.Login("alice", e2e.Password)
	headers, err := json.Marshal(map[string]string{"Cookie": b.CookieLine()})
	if err != nil {
		t.Fatal(err)
	}
	for _, page := range []string{"/_gate/login", "/_gate/logout", "/_gate/"} {
		report := filepath.Join(t.TempDir(), "report.json")
		cmd := nodeTool(t, "lighthouse", "http://"+gate.Addr+page, "--quiet", "--output=json", "--output-path="+report,
			"--only-categories=accessibility,best-practices", "--extra-headers="+string(headers),
			"--chrome-flags=--headless --no-sandbox --disable-gpu --disable-quic --disable-background-networking --disable-component-update --disable-sync --disable-dev-shm-usage")
		cmd.Env = append(os.Environ(), "CHROME_PATH="+chromium)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("lighthouse on %s: %v\n%s", page, err, out)
		}
		checkScores(t, page, report)
	}
}

// checkScores reads a report of lighthouse.
func checkScores(t *testing.T, page, report string) {
	t.Helper()
	text, err := os.ReadFile(report) //nolint:gosec // a file of this test
	if err != nil {
		t.Fatal(err)
	}
	var r struct {
		Categories map[string]struct{ Score float64 }
		Audits     map[string]struct {
			Score *float64
			Title string
		}
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatalf("report on %s: %v", page, err)
	}
	for _, category := range []string{"accessibility", "best-practices"} {
		if got := r.Categories[category].Score; got != 1 {
			t.Errorf("lighthouse on %s: %s %.2f", page, category, got)
		}
	}
	if t.Failed() {
		for id, a := range r.Audits {
			if a.Score != nil && *a.Score < 1 {
				t.Logf("%s: %s", id, a.Title)
			}
		}
	}
}

// nodeTool is a command of the checkers.
func nodeTool(t *testing.T, name string, args ...string) *exec.Cmd {
	t.Helper()
	tool := filepath.Join(nodeModules, ".bin", name)
	if _, err := os.Stat(tool); err != nil {
		t.Fatalf("%v (make setup installs it)", err)
	}
	return exec.CommandContext(t.Context(), tool, args...) //nolint:gosec // the tools of the test
}
