//go:build e2e

package browser_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"

	"gatehouse/internal/e2e"
)

// TestHostileApplicationBesideALoginHost is what the application on one host, or a
// script that somebody has smuggled into it, tries against the host where people sign
// in, and against the other applications. Each try is a row. It gets nothing that its
// own host does not have anyway.
func TestHostileApplicationBesideALoginHost(t *testing.T) {
	t.Parallel()
	w := openWorld(t, loginHost, "")
	for _, try := range []struct {
		name string
		test func(world, *testing.T)
	}{
		{"a service worker at the root, which watches", world.watchingWorker},
		{"a service worker at the root, which answers as the network does", world.answeringWorker},
		{"fetches of the login host", world.fetches},
		{"the login host as a script, an image and a socket", world.embeds},
		{"the login host in a frame", world.frames},
		{"a window of the login host", world.windows},
		{"a window on its way over the login host", world.wayThroughAWindow},
		{"a forged login page", world.forgedPage},
		{"its visitor's sign-out, on its own host", world.ownSignOut},
		{"hundreds of cookies", world.manyCookies},
		{"cookies of somebody else's session, planted for the whole domain", world.plantedCookies},
		{"a cookie for tokens of forms, planted", world.plantedToken},
		{"the way in of somebody else, for who is signed in", world.foreignWayIn},
		{"the way in of somebody else, for who is not signed in", world.foreignWayInForNobody},
		{"the way in of somebody else, for who waits at the login form", world.foreignWayInForWaiting},
		{"the way in of somebody else, with their cookie planted for the whole domain", world.foreignWayInWithCookie},
		{"a code of one host on another", world.codeOfAnotherHost},
		{"a code twice", world.codeTwice},
		{"forms for the login host", world.forms},
		{"its visitor's cookie on other hosts", world.takenCookie},
		{"a way in that leads elsewhere", world.elsewhere},
	} {
		t.Run(try.name, func(t *testing.T) {
			w.reset()
			try.test(w, t)
			for _, a := range w.all() {
				for _, secret := range []string{"battery", "code=", "csrf_token"} {
					if strings.Contains(a.Bytes(), secret) {
						t.Errorf("%s got %s:\n%s", a.host, secret, a.Bytes())
					}
				}
			}
		})
	}
}

// script fills in the origins of the hosts.
func (w world) script(text string) string {
	return strings.NewReplacer("$login", w.login, "$wiki", w.wiki.origin, "$files", w.files.origin, "$shop", w.shop.origin).Replace(text)
}

// tries lets the page run each of the scripts, and compares what they come to.
func (w world) tries(t *testing.T, p tab, scripts map[string]string) {
	t.Helper()
	for script, want := range scripts {
		if !strings.HasPrefix(strings.TrimSpace(script), "{") {
			script = "{ return " + script + " }"
		}
		if got := p.settled(w.script(script)); got != want {
			t.Errorf("%s\non %s: %s, want %s", script, p.url(), got, want)
		}
	}
}

// loginName returns the name of the login host.
func (w world) loginName() string {
	name, _, _ := strings.Cut(strings.TrimPrefix(w.login, "https://"), ":")
	return name
}

// untouched fails the test unless p's browser is signed in as alice everywhere, by the
// cookies that it had before.
func (w world) untouched(t *testing.T, p tab, before map[string]string) {
	t.Helper()
	for host, cookie := range before {
		if got := w.cookieOf(t, p, host); got != cookie {
			t.Errorf("the cookie of %s is %.12q, it was %.12q", host, got, cookie)
		}
	}
	other := p.beside(t)
	other.open(w.login + "/_gate/")
	other.until("main", "alice@example.com")
	for _, a := range w.all() {
		other.open(a.origin + "/")
		other.until("main", a.shows("alice"))
	}
}

// cookies returns the session's cookies of all hosts but the wiki's.
func (w world) cookies(t *testing.T, p tab) map[string]string {
	t.Helper()
	list := map[string]string{}
	for _, host := range []string{w.loginName(), filesHost, shopHost} {
		if list[host] = w.cookieOf(t, p, host); list[host] == "" {
			t.Fatalf("there is no cookie of %s", host)
		}
	}
	return list
}

// window attaches to the window of p's browser that is at an address with this
// beginning.
func (p tab) window(address string) tab {
	p.t.Helper()
	var id target.ID
	e2e.Eventually(p.t, func() error {
		list, err := chromedp.Targets(p.ctx)
		if err != nil {
			return err
		}
		for _, i := range list {
			if i.Type == "page" && strings.HasPrefix(i.URL, address) && !i.Attached {
				id = i.TargetID
				return nil
			}
		}
		return fmt.Errorf("no window is at %s", address)
	})
	return p.beside(p.t, chromedp.WithTargetID(id))
}
