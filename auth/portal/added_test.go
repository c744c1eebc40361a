package portal_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"gatehouse/auth/portal"
	"gatehouse/internal/web"
)

// TestAddedPage adds a page of ours: it has the headers, the methods and the
// defences of the others without a line of its own.
func TestAddedPage(t *testing.T) {
	g := newGate(t)
	err := g.portal.AddPage("hello", func(p *portal.Portal) (get, post web.Handler, err error) {
		return func(w http.ResponseWriter, r *http.Request) error {
			id, err := p.Person(r)
			if err != nil || id == nil {
				return err
			}
			_, err = io.WriteString(w, "hello "+id.Name) //nolint:gosec // G705: a name of the test's
			return err
		}, nil, nil
	})
	if err != nil {
		t.Fatal(err)
	}
	b := g.browser(t)
	b.signIn("alice", alicesPassword)
	if got := b.get("/_gate/hello"); got.StatusCode != http.StatusOK || got.body != "hello alice" || !strings.Contains(got.Header.Get("Vary"), "Cookie") {
		t.Errorf("%d %q, Vary %q", got.StatusCode, got.body, got.Header.Get("Vary"))
	}
	if got := b.post("/_gate/hello"); got.StatusCode != http.StatusMethodNotAllowed || got.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %d, Allow %q", got.StatusCode, got.Header.Get("Allow"))
	}
	script := b.request(http.MethodGet, "/_gate/hello", nil)
	script.Header.Set("Sec-Fetch-Mode", "cors")
	script.Header.Set("Sec-Fetch-Dest", "empty")
	if got := b.do(script); got.StatusCode != http.StatusForbidden || strings.Contains(got.body, "hello alice") {
		t.Errorf("a script is answered: %d %q", got.StatusCode, got.body)
	}
}
