//go:build e2e

package browser_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/chromedp"

	"gatehouse/internal/e2e"
	"gatehouse/internal/web/lang"
)

// command is a step that sends a command to the browser.
func command[P, R any](cmd cdp.Command[P, R], params P) step {
	return func(ctx context.Context, _ *chromedp.Target) (v chromedp.Void, err error) {
		_, err = chromedp.Call(ctx, cmd, params)
		return v, err
	}
}

// look sets the size of the window and the colours that the visitor prefers.
func (p tab) look(width, height int64, colours string) {
	p.t.Helper()
	p.do("look", command(emulation.SetDeviceMetricsOverride, emulation.SetDeviceMetricsOverrideParams{Width: width, Height: height, DeviceScaleFactor: 1}),
		command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: colours}},
		}))
}

// scripts switches JavaScript on or off for the pages that are opened next.
func (p tab) scripts(on bool) {
	p.t.Helper()
	p.do("switch scripts", command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on}))
}

// speak sets what the browser sends as Accept-Language.
func (p tab) speak(language string) {
	p.t.Helper()
	p.do("speak "+language, command(network.Enable, network.EnableParams{}),
		command(network.SetExtraHTTPHeaders, network.SetExtraHTTPHeadersParams{Headers: network.Headers{"Accept-Language": language}}))
}

// forget makes the browser a new one: no cookies, English, with scripts.
func (p tab) forget() {
	p.t.Helper()
	p.do("forget everything", command(network.ClearBrowserCookies, cdp.Empty{}))
	p.speak("en")
	p.scripts(true)
}

// eval asks the page.
func eval[T any](p tab, expression string) (got T) {
	p.t.Helper()
	e2e.Eventually(p.t, func() (err error) {
		ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
		defer cancel()
		got, err = chromedp.Run(ctx, chromedp.Evaluate[T](expression))
		return err
	})
	return got
}

// A face is a gate with pages of every kind, and a browser in front.
type face struct {
	tab
	gate *e2e.Gate
	url  string // with a slash at the end
}

const long64 = "Sixty-four characters: äöü ßẞ, of which none may be lost (64) !"

func openFace(t *testing.T, config string) face {
	t.Helper()
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!doctype html><title>elsewhere</title><main>another site</main>")
	}))
	t.Cleanup(other.Close)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, strings.Replace(other.URL, "127.0.0.1", "localhost", 1), http.StatusFound)
			return
		}
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.Header().Set("Cache-Control", "no-store")
		_, _ = fmt.Fprintf(w, "<!doctype html><title>secret</title><main>secret of %s</main>", r.Header.Get("X-Forwarded-User")) //nolint:gosec // G705: the name is one of the test
	}))
	t.Cleanup(app.Close)
	nobody, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // closed at once: an address where nobody listens
	if err != nil {
		t.Fatal(err)
	}
	_ = nobody.Close()
	gate := e2e.Start(t, e2e.HTTP1, config+`
session: {remember_me: 30d}
routes:
  - {path: /down, upstream: "http://`+nobody.Addr().String()+`"}
  - {path: /deep, upstream: "`+app.URL+`", access: [{groups: [nobody]}]}
  - {path: /, upstream: "`+app.URL+`"}
`)
	gate.Must(t, long64+"\n", "user", "add", "dora", "--password-stdin", "--display-name", "Dora Dorn", "--email", "dora@example.com", "--group", "staff")
	return face{openBrowser(t), gate, "http://" + gate.Addr + "/"}
}

// open goes to a page of the site.
func (f face) open(path string) {
	f.t.Helper()
	f.do("open "+path, chromedp.Navigate(f.url+path), chromedp.WaitReady(chromedp.CSS("main")))
}

// paste puts text where the focus is, as the clipboard does.
func (f face) paste(selector chromedp.CSS, text string) {
	f.t.Helper()
	f.do("paste", chromedp.Focus(selector), command(input.InsertText, input.InsertTextParams{Text: text}))
}

const submit = chromedp.CSS(`form[method="post"] button[type="submit"]`)

// enter signs in as dora on the login page that is open.
func (f face) enter(password string) {
	f.t.Helper()
	f.do("wait", chromedp.WaitVisible(passwordField), chromedp.SetValue(nameField, "dora"))
	f.paste(passwordField, password)
	f.do("sign in", chromedp.Click(submit))
}

// TestPagesInABrowser drives every page and form of ours in one browser.
func TestPagesInABrowser(t *testing.T) {
	t.Parallel()
	f := openFace(t, "")
	for _, c := range []struct {
		name string
		test func(face)
	}{
		{"every page, with scripts", func(f face) { f.everyPage(true) }},
		{"every page, without scripts", func(f face) { f.everyPage(false) }},
		{"what the script does", face.script},
		{"the menu of languages", face.menu},
		{"every language on a narrow screen", face.narrow},
		{"in a frame", face.frame},
		{"on to another site", face.onward},
		{"screenshots", face.screenshots},
	} {
		t.Run(c.name, func(t *testing.T) {
			f.t = t
			f.forget()
			c.test(f)
		})
	}
}

// narrow opens pages in every language where words are most likely not to fit.
func (f face) narrow() {
	f.t.Helper()
	f.open("_gate/login?next=/")
	f.enter(long64)
	f.until("main", "secret of dora")
	f.look(320, 720, "light")
	for _, l := range lang.All() {
		f.speak(l.Tag)
		for _, path := range []string{"_gate/login", "_gate/"} {
			f.open(path)
			if got := eval[string](f.tab, "document.documentElement.lang + ' ' + document.dir"); got != l.Tag+" "+l.Dir {
				f.t.Errorf("%s in %s is in %q", path, l.Tag, got)
			}
			f.do("open the menu", chromedp.Click(chromedp.CSS("summary")))
			if out := eval[int](f.tab, "document.documentElement.scrollWidth - window.innerWidth"); out > 0 {
				f.t.Errorf("%s in %s: %d pixels reach out", path, l.Tag, out)
			}
		}
	}
}

// onward leads to an application that sends its visitors on to another site:
// the policy of the login page must not stop them there.
func (f face) onward() {
	f.t.Helper()
	f.open("away")
	f.enter(long64)
	f.until("main", "another site")
}

// everyPage goes through all of them: signs in, changes things, signs out.
func (f face) everyPage(scripts bool) {
	t := f.t
	t.Helper()
	f.scripts(scripts)
	f.open("_gate/login?next=/here")
	f.fits("login")
	if got := eval[string](f.tab, "document.activeElement.id"); got != "username" {
		t.Errorf("scripts %v: the focus is on %q, want the first field", scripts, got)
	}
	f.enter("wrong")
	f.until("#error", "The name or the password is not right.")
	f.fits("login, wrong")
	if got := eval[string](f.tab, "document.activeElement.getAttribute('aria-describedby')"); got != "error" {
		t.Errorf("scripts %v: after a failure the focus is where %q describes it, want error", scripts, got)
	}
	f.enter(long64)
	f.until("main", "secret of dora")
	if got := f.tab.url(); got != f.url+"here" {
		t.Errorf("scripts %v: signed in, the browser is at %s", scripts, got)
	}
	for path, want := range map[string]string{
		"_gate/": "Your account", "_gate/logout": "Sign out", "_gate/nothing": "Page not found", "deep": "No access", "down": "No proper answer",
	} {
		f.open(path)
		f.until("h1", want)
		f.fits(path)
	}
	f.changePassword()
	f.signOut()
}

// fits looks at the page in narrow and wide windows, light and dark: nothing
// may reach out of the window, and the colours are ours.
func (f face) fits(what string) {
	f.t.Helper()
	for _, c := range []struct {
		width           int64
		colours, behind string
	}{
		{320, "light", "rgb(244, 245, 247)"}, // also what 400 % zoom leaves of 1280
		{360, "dark", "rgb(20, 23, 28)"},
		{1280, "light", "rgb(244, 245, 247)"},
		{1280, "dark", "rgb(20, 23, 28)"},
	} {
		f.look(c.width, 720, c.colours)
		if out := eval[int](f.tab, "document.documentElement.scrollWidth - window.innerWidth"); out > 0 {
			f.t.Errorf("%s, %d pixels wide: %d pixels reach out", what, c.width, out)
		}
		if got := eval[string](f.tab, "getComputedStyle(document.body).backgroundColor"); got != c.behind {
			f.t.Errorf("%s, %s: the background is %s, want %s", what, c.colours, got, c.behind)
		}
	}
}

// changePassword fails to, and then ends all other sessions.
func (f face) changePassword() {
	f.t.Helper()
	f.gate.Browser(f.t).Login("dora", long64)
	f.open("_gate/")
	f.paste("#old", "wrong")
	f.paste("#new", long64+"!")
	f.paste("#again", long64+"!")
	f.do("change the password", chromedp.Click(chromedp.CSS(`form[action="/_gate/password"] button`)))
	f.until("#error", "The current password is not right.")
	if got := eval[string](f.tab, "document.activeElement.id"); got != "old" {
		f.t.Errorf("after a failure the focus is on %q", got)
	}
	f.fits("account, wrong")
	f.do("sign out elsewhere", chromedp.Click(chromedp.CSS(`form[action="/_gate/sessions/end-others"] button`)))
	f.until(`[role="status"]`, "All your other devices are signed out.")
}

// signOut signs out, and finds that the Back button shows nothing.
func (f face) signOut() {
	f.t.Helper()
	f.open("")
	f.do("go to the logout page", chromedp.Navigate(f.url+"_gate/logout"), chromedp.WaitVisible(submit), chromedp.Click(submit), chromedp.WaitVisible(passwordField))
	for range 3 {
		f.do("go back", chromedp.NavigateBack(), chromedp.WaitReady(chromedp.CSS("body")))
		if got := f.text("body"); strings.Contains(got, "secret of") && strings.Contains(got, "dora") || strings.Contains(got, "dora@example.com") {
			f.t.Errorf("the Back button shows:\n%s", got)
		}
	}
}

// script keeps the #fragment and the name, shows the password, and tells of
// capitals. Without it there is no box that does nothing.
func (f face) script() {
	t := f.t
	t.Helper()
	const box = chromedp.CSS("input.show")
	f.scripts(false)
	f.open("_gate/login")
	if !eval[bool](f.tab, "document.querySelector('input.show').hidden") {
		t.Error("there is a box without a script behind it")
	}
	f.scripts(true)
	f.open("deep/page?a=b#part")
	f.do("wait", chromedp.WaitVisible(box))
	f.paste(passwordField, "shown")
	kind := func() string { return eval[string](f.tab, "document.getElementById('password').type") }
	f.do("show the password", chromedp.Click(box))
	if got := kind(); got != "text" {
		t.Errorf("the shown password's field is a %s", got)
	}
	f.do("hide the password", chromedp.Click(box))
	if got := kind(); got != "password" {
		t.Errorf("the hidden password's field is a %s", got)
	}
	places := map[string]bool{} // of the button
	capsLock := func(on string, hidden bool) {
		t.Helper()
		f.do("press a key", chromedp.Evaluate[chromedp.Void](`document.getElementById("password").dispatchEvent(new KeyboardEvent("keydown", {key: "A", modifierCapsLock: `+on+`}))`))
		if got := eval[bool](f.tab, "document.getElementById('capslock').hidden"); got != hidden {
			t.Errorf("Caps Lock %s: the hint's hidden is %v", on, got)
		}
		places[eval[string](f.tab, "JSON.stringify(document.querySelector('"+string(submit)+"').getBoundingClientRect())")] = true
	}
	capsLock("true", false)
	capsLock("false", true)
	// The hint goes between the press and the release of the mouse's button.
	f.do("type a password with Caps Lock", chromedp.SetValue(nameField, "dora"), chromedp.Click(box), chromedp.Click(passwordField))
	capsLock("true", false)
	f.do("sign in", chromedp.Click(submit))
	if len(places) != 1 {
		t.Errorf("the button moves as the hint about Caps Lock comes and goes, and a click is lost: %v", places)
	}
	f.until("#error", "not right")
	if got := eval[string](f.tab, "document.getElementById('username').value + ' ' + document.activeElement.id"); got != "dora password" {
		t.Errorf("after a wrong password, the name and the focus are %q", got)
	}
	f.open("deep#part") // the login page again
	f.enter(long64)
	f.until("h1", "No access")
	if got := f.tab.url(); got != f.url+"deep#part" {
		t.Errorf("the browser is at %s, without the part behind #", got)
	}
}

// menu is there without a script, leads back, and is remembered.
func (f face) menu() {
	t := f.t
	t.Helper()
	f.scripts(false)
	f.speak("de-AT,de;q=0.9")
	f.open("_gate/login?next=/here%3Fa=b")
	f.until("h1", "Anmelden")
	f.do("open the menu", chromedp.Click(chromedp.CSS("summary")), chromedp.WaitVisible(chromedp.CSS("button[value=en]")), chromedp.Click(chromedp.CSS("button[value=en]")))
	f.until("h1", "Sign in")
	if got := f.tab.url(); got != f.url+"_gate/login?next=/here%3Fa%3Db" {
		t.Errorf("the menu leads to %s", got)
	}
	f.enter(long64)
	f.until("main", "secret of dora")
	f.open("down?a=b")
	f.until("h1", "No proper answer")
	f.do("open the menu", chromedp.Click(chromedp.CSS("summary")), chromedp.WaitVisible(chromedp.CSS("button[value=de]")), chromedp.Click(chromedp.CSS("button[value=de]")))
	f.until("h1", "Keine brauchbare Antwort")
	if got := f.tab.url(); got != f.url+"down?a=b" {
		t.Errorf("the menu leads to %s", got)
	}
}

// frame of another site: no site can lay our pages under its own
// (clickjacking).
func (f face) frame() {
	f.t.Helper()
	evil := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		_, _ = fmt.Fprintf(w, `<!doctype html><main>evil</main><iframe id="f" src="%s_gate/login" onload="this.title='done'"></iframe>`, f.url)
	}))
	defer evil.Close()
	f.do("open another site", chromedp.Navigate(evil.URL), chromedp.WaitReady(chromedp.CSS(`iframe[title="done"]`)))
	f.framesNothing()
}

// framesNothing fails the test unless the frames of the page show nothing but the
// browser's own page, which says that it was refused.
func (p tab) framesNothing() {
	p.t.Helper()
	e2e.Eventually(p.t, func() error {
		ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
		defer cancel()
		tree, err := chromedp.Call(ctx, page.GetFrameTree, cdp.Empty{})
		if err != nil {
			return err
		}
		var shown []string
		for _, f := range tree.FrameTree.ChildFrames {
			shown = append(shown, f.Frame.URL)
		}
		targets, err := chromedp.Targets(ctx) // frames of other sites have processes of their own
		if err != nil {
			return err
		}
		for _, i := range targets {
			if i.Type != "iframe" {
				continue
			}
			frame, done := chromedp.NewContext(p.ctx, chromedp.WithTargetID(i.TargetID), chromedp.WithDetachOnCancel())
			at, err := chromedp.Run(frame, chromedp.Location())
			done()
			if err != nil {
				return err
			}
			shown = append(shown, at)
		}
		if len(shown) == 0 {
			return errors.New("no frame")
		}
		for _, address := range shown {
			if !strings.HasPrefix(address, "chrome-error:") {
				return fmt.Errorf("a frame shows %s", address)
			}
		}
		return nil
	})
}

// screenshots makes the pictures of the documentation (make screenshots names
// their folder); without a folder it looks whether they are small.
func (f face) screenshots() {
	t := f.t
	t.Helper()
	dir := os.Getenv("GATEHOUSE_SCREENSHOTS")
	if dir == "" {
		dir = t.TempDir()
	}
	shot := func(name string, width, height int64, colours string) {
		t.Helper()
		f.look(width, height, colours)
		ctx, cancel := context.WithTimeout(f.ctx, time.Minute)
		defer cancel()
		picture, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
		if err != nil {
			t.Fatal(err)
		}
		if len(picture) > 60<<10 {
			t.Errorf("%s has %d bytes", name, len(picture))
		}
		if err := os.WriteFile(filepath.Join(dir, name+".png"), picture, 0o644); err != nil { //nolint:gosec // pictures are for all
			t.Fatal(err)
		}
	}
	f.do("have the focus", command(emulation.SetFocusEmulationEnabled, emulation.SetFocusEmulationEnabledParams{Enabled: true}))
	f.open("_gate/login?next=/")
	shot("login-light", 800, 600, "light")
	shot("login-dark", 800, 600, "dark")
	f.enter("wrong")
	f.until("#error", "not right")
	f.do("open the menu", chromedp.Click(chromedp.CSS("summary")))
	shot("login-phone", 360, 740, "light")
	f.gate.Must(t, "", "session", "revoke", "--user", "dora")
	f.open("_gate/login?next=/")
	f.enter(long64)
	f.until("main", "secret of dora")
	other := f.gate.Browser(t)
	other.Login("dora", long64)
	f.open("_gate/")
	shot("account-light", 720, 800, "light")
	shot("account-dark", 720, 800, "dark")
	shot("account-phone", 360, 740, "dark")
	f.open("down")
	shot("error-light", 800, 600, "light")
	shot("error-dark", 800, 600, "dark")
	f.open("_gate/logout")
	shot("logout-light", 800, 600, "light")
	f.speak("ar")
	f.open("_gate/logout")
	f.until("h1", "الخروج")
	f.do("sign out", chromedp.Click(submit), chromedp.WaitVisible(passwordField))
	shot("login-rtl-phone", 360, 740, "light")
}
