//go:build e2e

package stores_test

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"gatehouse/internal/e2e"
)

var formAction = regexp.MustCompile(`action="(/_gate/login[^"]*)"`)

// TestNodesShareTheWayIn: each step of the way in from the login host may be on another
// node, two who bring one code at the same time to two nodes do not both enter, and
// signing out on one node's host ends all hosts on the other.
func TestNodesShareTheWayIn(t *testing.T) {
	shared(t, func(t *testing.T, store *backing) {
		config := "session:\n  secrets: [" + nodeSecret + "]\n" + store.session(store.addr) + fmt.Sprintf(`
login: {host: gate.example.com}
routes:
  - {host: wiki.example.com, upstream: %[1]q}
  - {host: shop.example.org, upstream: %[1]q}
`, e2e.Serve(t, "app"))
		a := e2e.Start(t, e2e.HTTPS1, config)
		b := e2e.Start(t, e2e.HTTPS1, config)
		alice, there := a.Browser(t), b.Browser(t)
		alice.Base = "https://gate.example.com"
		there.Jar, there.Client.Jar = alice.Jar, alice.Jar // one browser, behind a balancer

		form := there.Visit(alice.Visit("https://wiki.example.com/private").Location())
		action := formAction.FindStringSubmatch(form.Body)
		if action == nil {
			t.Fatalf("no form: %d %s", form.Status, form.Body)
		}
		again := alice.Submit(action[1], url.Values{
			"csrf_token": {alice.Token(form)}, "username": {"alice"}, "password": {e2e.Password}, "next": {"https://wiki.example.com/private"},
		}).Location()
		if !strings.HasPrefix(again, "/_gate/login?next=https%3A//wiki.example.com/private&state=") {
			t.Fatalf("signed in, and led to %q", again)
		}
		enter := there.Visit(alice.Base + again).Location()
		bring := func(node *e2e.Browser, got chan<- string) {
			answer, err := node.Try(node.Request(http.MethodGet, enter, nil, append(e2e.Navigation(), "Cookie: "+cookiesOf(alice, enter))...))
			if err != nil {
				t.Error(err)
			}
			got <- strings.Join(answer.Header["Set-Cookie"], "\n")
		}
		got := make(chan string, 2)
		bare := []*e2e.Browser{a.Browser(t), b.Browser(t)}
		for _, node := range bare {
			go bring(node, got)
		}
		one, two := <-got, <-got
		if entered := strings.Contains(one, "__Host-gatehouse=M"); entered == strings.Contains(two, "__Host-gatehouse=M") {
			t.Fatalf("one code, brought to two nodes:\n%s\n%s", one, two)
		}

		for _, host := range []string{"https://wiki.example.com/private", "https://shop.example.org/private"} {
			at := host
			for n := 0; n < 6 && at != ""; n++ {
				answer := []*e2e.Browser{alice, there}[n%2].Visit(at)
				if at = answer.Location(); strings.HasPrefix(at, "/") {
					at = host
				}
				if answer.Status == http.StatusOK {
					break
				}
			}
			for _, node := range []*e2e.Browser{alice, there} {
				if answer := node.Fetch(host); answer.Status != http.StatusOK {
					t.Errorf("%s: %d", host, answer.Status)
				}
			}
		}
		if list := b.Must(t, "", "session", "list", "--json"); strings.Count(list, "\n") != 1 || !strings.Contains(list, `"hosts":["shop.example.org","wiki.example.com"]`) {
			t.Errorf("the list: %s", list)
		}

		page := there.Visit("https://shop.example.org/_gate/logout")
		there.Base = "https://shop.example.org"
		if answer := there.Submit("/_gate/logout", url.Values{"csrf_token": {there.Token(page)}}); answer.Location() != "https://gate.example.com/_gate/login" {
			t.Errorf("signed out, and led to %q", answer.Location())
		}
		for _, host := range []string{"https://wiki.example.com/private", "https://shop.example.org/private"} {
			e2e.Eventually(t, func() error {
				if answer := alice.Fetch(host); answer.Status != http.StatusUnauthorized {
					return errors.New(host + ": " + http.StatusText(answer.Status))
				}
				return nil
			})
		}
		if form := alice.Visit(alice.Visit("https://wiki.example.com/private").Location()); form.Status != http.StatusOK || !strings.Contains(form.Body, "csrf_token") {
			t.Errorf("the login host still knows the person: %d", form.Status)
		}
	})
}

// cookiesOf returns the browser's cookies for an address, as they stand in Cookie.
func cookiesOf(b *e2e.Browser, address string) string {
	u, _ := url.Parse(address)
	var all []string
	for _, c := range b.Jar.Cookies(u) {
		all = append(all, c.Name+"="+c.Value)
	}
	return strings.Join(all, "; ")
}
