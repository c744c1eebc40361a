//go:build e2e

package gate_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/e2e"
)

// TestUpstreamResponseCases lets an application answer what no application
// should.
func TestUpstreamResponseCases(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		f := newFixture(t, m)
		answer := make(chan string, 1)
		f.app.Answer = func(e2e.Request) string { return <-answer }
		n := &names{f: f, t: t}
		alice := n.session()
		for _, r := range table(t, filepath.Join("upstream-responses", "INDEX.tsv")) {
			id, _, _ := strings.Cut(filepath.Base(r["file"]), "-")
			t.Run(filepath.Base(r["file"]), func(t *testing.T) {
				text, err := os.ReadFile(filepath.Join(e2e.CasesDir(), r["file"]))
				if err != nil {
					t.Fatal(err)
				}
				var raw strings.Builder
				for _, p := range pieces(n.fill(string(text))) {
					raw.WriteString(p.text)
				}
				f.app.Reset()
				select {
				case <-answer: // of a case that asked for nothing
				default:
				}
				answer <- raw.String() + e2e.ThenClose
				a, broken := ask(t, m, f.gate, alice, id)
				if err := errors.Join(always(a), expected(id, r["expected"], a, broken, f.app)); err != nil {
					t.Errorf("%s: want %s\n%v\nanswered %d %v\n%.500s", r["tries"], r["expected"], err, a.Status, a.Header, a.Body)
				}
				if alice.SignedInAs() != "alice" {
					t.Error("alice is signed out")
				}
			})
		}
	})
}

// ask sends the request that the case is about. broken is true when there was
// no whole answer.
func ask(t *testing.T, m e2e.Mode, gate *e2e.Gate, alice *e2e.Browser, id string) (a e2e.Answer, broken bool) {
	t.Helper()
	req := alice.Request("GET", "/private", nil)
	switch id {
	case "u16":
		if m.HTTP2 {
			break // there is no Upgrade in HTTP/2
		}
		conn := gate.Dial(t)
		_, _ = fmt.Fprintf(conn, "GET /private HTTP/1.1\r\nHost: %s\r\nCookie: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: %s\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", e2e.Host, alice.CookieLine(), alice.Base)
		raw, _ := e2e.ReadFor(conn, e2e.Patience/10)
		if all := readAnswers(raw, "GET"); len(all) > 0 {
			return all[0], false
		}
		return a, true
	case "u38":
		req = alice.Request("GET", "/_gate/unknown", nil)
	}
	a, err := alice.Try(req)
	return a, err != nil || a.Err != nil
}

// always holds for every answer.
func always(a e2e.Answer) error {
	for _, h := range []http.Header{a.Header, a.Trailer} {
		for _, line := range h["Set-Cookie"] {
			if strings.HasPrefix(line, "gatehouse=") || strings.HasPrefix(line, "__Host-gatehouse=") {
				return fmt.Errorf("the application has set our cookie: %s", line)
			}
		}
		if strings.Contains(strings.Join(h["Set-Cookie"], ""), "\r") {
			return fmt.Errorf("a bare CR in Set-Cookie %q", h["Set-Cookie"])
		}
	}
	return nil
}

// expected reads what a row expects: of those that say it in words of their
// own, by the number of the file, and of the others by the words.
func expected(id, words string, a e2e.Answer, broken bool, app *e2e.Recorder) error {
	ok := a.Status == http.StatusOK && !broken
	bad := a.Status == http.StatusBadGateway
	is := func(right bool) error {
		if !right {
			return fmt.Errorf("status %d, broken %t", a.Status, broken)
		}
		return nil
	}
	absent := func(name string) error {
		if got := a.Header[name]; len(got) > 0 {
			return fmt.Errorf("%s: %q", name, got)
		}
		return nil
	}
	switch id {
	case "u03":
		return errors.Join(is(ok), absent("Clear-Site-Data"))
	case "u04":
		return is(bad || ok && a.Body == "ok" && (a.Length == -1 || a.Length == 2))
	case "u09":
		return is(broken || bad)
	case "u21":
		if a.Header.Get("Cache-Control") != "private, no-cache" {
			return fmt.Errorf("Cache-Control %q, want ours", a.Header.Get("Cache-Control"))
		}
		return is(ok)
	case "u22":
		return errors.Join(is(ok), absent("X-Forwarded-User"))
	case "u23":
		return is(ok || bad)
	case "u29":
		return is(ok || bad) // and always looks at Set-Cookie
	case "u31":
		if len(a.Header["Location"]) != 1 || len(a.Header["Set-Cookie"]) > 0 {
			return fmt.Errorf("Location %q, Set-Cookie %q", a.Header["Location"], a.Header["Set-Cookie"])
		}
		return nil
	case "u37":
		return is(a.Status == http.StatusUnauthorized && a.Header.Get("Www-Authenticate") != "")
	case "u38":
		if n := len(app.Requests()); n > 0 {
			return fmt.Errorf("%d requests below our prefix reached the application", n)
		}
		return is(a.Status == http.StatusNotFound)
	case "u39":
		return is(ok)
	}
	switch {
	case strings.HasPrefix(words, "502") && !strings.Contains(words, " or"):
		return is(bad)
	case strings.Contains(words, "broken transfer"):
		return is(broken || bad)
	default:
		return is(ok || bad || broken)
	}
}

// TestServiceWorkers: a script of the application must not take over our
// login page.
func TestServiceWorkers(t *testing.T) {
	t.Parallel()
	nobody := e2e.Start(t, e2e.HTTP1, e2e.Standard(e2e.Record(t).URL)).Browser(t)
	if a := nobody.Fetch("/_gate/login", "Service-Worker: script"); a.Status != http.StatusBadRequest {
		t.Errorf("a worker's script from our pages: %d, want 400", a.Status)
	}
}
