//go:build e2e

package browser_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/chromedp/chromedp"

	"gatehouse/internal/e2e"
)

// chromium is Debian's; make setup installs it.
const chromium = "/usr/bin/chromium"

// startDemo runs `gatehouse demo` with more arguments, and reads from the terminal what
// a person would read. url is the first address.
func startDemo(t *testing.T, more ...string) (url, name, password string) {
	t.Helper()
	cmd := exec.CommandContext(context.Background(), e2e.Program(), append([]string{"demo", "--listen", "127.0.0.1:0"}, more...)...) //nolint:gosec // the program under test
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		if err := cmd.Wait(); err != nil {
			t.Errorf("gatehouse demo: %v", err)
		}
		if password != "" && strings.Contains(log.String(), password) || strings.Contains(log.String(), "DATA RACE") {
			t.Errorf("log of the demo:\n%s", log.String())
		}
	})
	shown := regexp.MustCompile(`(?s)Open\s+(http://\S+)\s+(?:\.\.\. then\s+http://\S+\s+)?Name\s+(\S+)\s+Password\s+(\S+)\n`)
	var text strings.Builder
	for in := bufio.NewReader(out); ; {
		line, err := in.ReadString('\n')
		text.WriteString(line)
		if found := shown.FindStringSubmatch(text.String()); found != nil {
			go func() { _, _ = io.Copy(io.Discard, in) }()
			return found[1], found[2], found[3]
		}
		if err != nil {
			t.Fatalf("gatehouse demo ends with:\n%s%s", text.String(), log.String())
		}
	}
}

// A tab is a page of a real browser.
type tab struct {
	t   *testing.T
	ctx context.Context //nolint:containedctx // chromedp keeps its browser in it
}

type step = chromedp.Action[chromedp.Void]

// openBrowser starts a browser that knows nothing.
func openBrowser(t *testing.T, more ...chromedp.ExecAllocatorOption) tab {
	t.Helper()
	if _, err := os.Stat(chromium); err != nil {
		t.Fatalf("%v (make setup installs it)", err)
	}
	dir, err := os.MkdirTemp("", "chromium") //nolint:usetesting // Chromium still writes into it while it ends
	if err != nil {
		t.Fatal(err)
	}
	options := append([]chromedp.ExecAllocatorOption{
		chromedp.ExecPath(chromium), chromedp.UserDataDir(dir), chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck, chromedp.WSURLReadTimeout(time.Minute),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-background-networking", true), chromedp.Flag("disable-dev-shm-usage", true),
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-sync", true),
	}, more...)
	alloc, cancelAlloc := chromedp.NewExecAllocator(context.Background(), options...)
	browser, cancel := chromedp.NewContext(alloc)
	t.Cleanup(func() {
		_ = chromedp.Cancel(browser)
		cancel()
		cancelAlloc()
		_ = os.RemoveAll(dir)
	})
	if err := chromedp.Do(browser); err != nil {
		t.Fatalf("start %s: %v", chromium, err)
	}
	return tab{t, browser}
}

// do takes steps that make up one action of a person.
func (p tab) do(what string, steps ...step) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, time.Minute)
	defer cancel()
	for _, s := range steps {
		err := chromedp.Do(ctx, s)
		for err != nil && strings.Contains(err.Error(), documentReplaced) && ctx.Err() == nil {
			err = chromedp.Do(ctx, s)
		}
		if err != nil {
			p.t.Fatalf("%s: %v\nthe browser is at %s and shows:\n%s", what, err, p.url(), p.text("body"))
		}
	}
}

// documentReplaced is the browser's answer when the element that a step found
// belonged to a document that was exchanged in between. The step has done
// nothing then, and is taken again.
const documentReplaced = "Could not find node with given id"

// text is what an element shows.
func (p tab) text(selector chromedp.CSS) string { return p.ask(chromedp.Text(selector)) }

// url is where the browser is.
func (p tab) url() string { return p.ask(chromedp.Location()) }

// ask asks again while the browser is on its way to another page.
func (p tab) ask(a chromedp.Action[string]) (got string) {
	p.t.Helper()
	e2e.Eventually(p.t, func() (err error) {
		ctx, cancel := context.WithTimeout(p.ctx, 5*time.Second)
		defer cancel()
		got, err = chromedp.Run(ctx, a)
		return err
	})
	return got
}

// until waits until an element shows text.
func (p tab) until(selector chromedp.CSS, text string) {
	p.t.Helper()
	e2e.Eventually(p.t, func() error {
		if got := p.text(selector); !strings.Contains(got, text) {
			return fmt.Errorf("%s shows %q, want %q in it", selector, got, text)
		}
		return nil
	})
}

// What the pages have.
const (
	nameField     = chromedp.CSS(`input[name="username"]`)
	passwordField = chromedp.CSS(`input[name="password"]`)
	ourButton     = chromedp.CSS(`form[method="post"] button`)
	appButton     = chromedp.CSS(`main form button`)
	sent          = chromedp.CSS(`#sent`)
)

func (p tab) signIn(name, password string) {
	p.t.Helper()
	p.do("sign in", chromedp.WaitVisible(passwordField), chromedp.SetValue(nameField, name), chromedp.SendKeys(passwordField, password), chromedp.Click(ourButton))
}

// TestInABrowser signs in to the demo, uses it, signs out, and finds that the
// back button shows nothing any more.
func TestInABrowser(t *testing.T) {
	t.Parallel()
	url, name, password := startDemo(t)
	p := openBrowser(t)

	p.do("open the application", chromedp.Navigate(url+"form?a=b"), chromedp.WaitVisible(passwordField))
	if at := p.url(); !strings.HasPrefix(at, url+"_gate/login?next=") {
		t.Errorf("the browser is at %s, want the login page", at)
	}
	p.signIn(name, "wrong")
	p.do("read what is wrong", chromedp.WaitVisible(chromedp.CSS(`[role="alert"]`)))
	if p.text(`[role="alert"]`) == "" {
		t.Error("nothing is said about the wrong password")
	}
	p.signIn(name, password)
	p.do("arrive", chromedp.WaitVisible(chromedp.CSS("#subject")))
	if at, who := p.url(), p.text("#user"); at != url+"form?a=b" || who != name {
		t.Errorf("the browser is at %s as %q, want where it wanted to go as %q", at, who, name)
	}

	p.do("send a form", chromedp.SendKeys(chromedp.CSS("#subject"), "hello"), chromedp.SendKeys(chromedp.CSS("#text"), "wörld"),
		chromedp.Click(appButton), chromedp.WaitVisible(sent))
	if got := p.text(sent); !strings.Contains(got, "hello") || !strings.Contains(got, "wörld") {
		t.Errorf("the form came back as %q", got)
	}
	file := filepath.Join(t.TempDir(), "upload.txt")
	if err := os.WriteFile(file, []byte("uploaded"), 0o600); err != nil {
		t.Fatal(err)
	}
	p.do("upload a file", chromedp.Navigate(url+"upload"), chromedp.SetUploadFiles(chromedp.CSS("#file"), []string{file}),
		chromedp.Click(appButton), chromedp.WaitVisible(sent))
	if got := p.text(sent); !strings.Contains(got, "upload.txt") || !strings.Contains(got, "8") {
		t.Errorf("the upload came back as %q", got)
	}

	p.do("spoof", chromedp.Navigate(url+"spoof"), chromedp.Click(chromedp.CSS("#spoof")))
	p.until("#spoof-out", "arrived: X-Forwarded-User: "+name)
	p.until("#spoof-out", "No header with root in it")
	p.do("events and a WebSocket", chromedp.Navigate(url+"live"), chromedp.Click(chromedp.CSS("#events-start")), chromedp.Click(chromedp.CSS("#echo-form button")))
	p.until("#events-out", "event 2 for "+name)
	p.until("#echo-out", name+": hello")
	p.do("open the page for admins", chromedp.Navigate(url+"admin"))
	if got := p.text("body"); strings.Contains(got, "For administrators") {
		t.Errorf("the page for admins shows %q", got)
	}

	p.do("sign out", chromedp.Navigate(url), chromedp.Click(chromedp.CSS(`a[href="/_gate/logout"]`)),
		chromedp.WaitVisible(ourButton), chromedp.Click(ourButton), chromedp.WaitVisible(passwordField))
	for range 3 {
		p.do("go back", chromedp.NavigateBack(), chromedp.WaitReady(chromedp.CSS("body")))
		if got := p.text("body"); strings.Contains(got, "The gate says you are") || strings.Contains(got, "What arrived") {
			t.Errorf("the back button shows:\n%s", got)
		}
	}
	p.do("open the application again", chromedp.Navigate(url), chromedp.WaitVisible(passwordField))
}

// TestDemoOnSeveralHosts: who signs in on the way to one of the two hosts is known on the
// other, and signing out there ends both.
func TestDemoOnSeveralHosts(t *testing.T) {
	t.Parallel()
	wiki, name, password := startDemo(t, "--hosts")
	shop, gate := strings.Replace(wiki, "wiki.", "shop.", 1), strings.Replace(wiki, "wiki.", "gate.", 1)
	p := openBrowser(t)
	p.do("open the first host", chromedp.Navigate(wiki+"form?a=b"), chromedp.WaitVisible(passwordField))
	if at := p.url(); !strings.HasPrefix(at, gate+"_gate/login?next=") {
		t.Errorf("the browser is at %s, want the sign-in page of the login host", at)
	}
	p.signIn(name, password)
	p.do("arrive", chromedp.WaitVisible(chromedp.CSS("#subject")))
	if at := p.url(); at != wiki+"form?a=b" {
		t.Errorf("the browser is at %s", at)
	}
	p.do("open the second host", chromedp.Navigate(shop+"form"), chromedp.WaitVisible(chromedp.CSS("#subject")))
	if at, who := p.url(), p.text("#user"); at != shop+"form" || who != name {
		t.Errorf("the browser is at %s as %q", at, who)
	}
	p.signOut(strings.TrimSuffix(shop, "/"))
	for _, host := range []string{wiki, shop} {
		p.do("open "+host, chromedp.Navigate(host), chromedp.WaitVisible(passwordField))
	}
}

// TestPagesWithoutScript: every page of ours works with JavaScript switched
// off.
func TestPagesWithoutScript(t *testing.T) {
	t.Parallel()
	url, name, password := startDemo(t)
	p := openBrowser(t, chromedp.Flag("blink-settings", "scriptEnabled=false"))
	p.do("open the login page", chromedp.Navigate(url+"_gate/login?next=/_gate/"))
	p.signIn(name, password)
	p.until("body", name)
	p.do("sign out", chromedp.Navigate(url+"_gate/logout"), chromedp.Click(ourButton), chromedp.WaitVisible(passwordField))
}
