//go:build e2e

package gate_test

import (
	"encoding/json"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"gatehouse/internal/e2e"
)

// TestPathCases sends every spelling of a path, as nobody and as alice, who
// is no admin.
func TestPathCases(t *testing.T) {
	e2e.EachMode(t, func(t *testing.T, m e2e.Mode) {
		f := newFixture(t, m)
		n := &names{f: f, t: t}
		alice := n.session()
		for _, r := range table(t, "paths.tsv") {
			for column, cookie := range map[string]string{"anonymous": "", "alice_not_admin": alice.CookieLine()} {
				t.Run(r["id"]+"/"+column, func(t *testing.T) {
					target, verdict := n.fill(r["target"]), r[column]
					switch {
					case verdict == "pass" && r["anonymous"] == "public":
						verdict = "public" // nobody is asked who they are
					case target == "/_gate/", target == "/_gate":
						verdict += "|local" // the account page, or the way to it
					case m.HTTP2 && strings.Contains(verdict, "400"):
						verdict += "|reject" // what is no path at all, net/http refuses by resetting the stream
					}
					f.app.Reset()
					o := f.get(t, target, cookie)
					if err := f.check(verdict, o); err != nil {
						t.Errorf("%s\n%v\nanswered: %s", target, err, o.status())
					}
					for _, q := range f.app.Requests() {
						if q.Target() != target {
							t.Errorf("the application got %q, want %q", q.Target(), target)
						}
					}
				})
			}
		}
	})
}

// get sends a request for exactly this target, in the mode's protocol.
func (f *fixture) get(t *testing.T, target, cookie string) outcome {
	t.Helper()
	if f.mode.HTTP2 {
		fields := [][2]string{{":method", "GET"}, {":scheme", "https"}, {":authority", e2e.Host}, {":path", target}}
		if cookie != "" {
			fields = append(fields, [2]string{"cookie", cookie})
		}
		return outcomeHTTP2(f.gate.HTTP2(t, fields, "", nil))
	}
	head := fmt.Sprintf("GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n", target, e2e.Host)
	if cookie != "" {
		head += "Cookie: " + cookie + "\r\n"
	}
	conn := f.gate.Dial(t)
	_, _ = fmt.Fprint(conn, head+"\r\n")
	raw, ended := e2e.ReadFor(conn, e2e.Patience)
	_ = conn.Close()
	return outcome{raw: raw, ended: ended, answers: readAnswers(raw, "GET")}
}

func outcomeHTTP2(a e2e.Answer, ended bool) outcome {
	o := outcome{ended: ended}
	if a.Status > 0 {
		o.answers = []e2e.Answer{a}
	}
	return o
}

var nextField = regexp.MustCompile(`name="?next"?[^>]*\svalue="([^"]*)"`)

// TestReturnToCases signs in with each value of next, as a browser that came
// by a link with it. Either the browser goes exactly there, or to the front
// page; never anywhere else.
func TestReturnToCases(t *testing.T) {
	t.Parallel()
	f := newFixture(t, e2e.HTTP1)
	b := f.gate.Browser(t)
	for _, r := range table(t, "return-to.tsv") {
		t.Run(r["id"], func(t *testing.T) {
			sent := strings.ReplaceAll(r["value_as_sent_in_the_query"], "_auth", "_gate")
			var value string
			if err := json.Unmarshal([]byte(r["shown"]), &value); err != nil {
				t.Fatal(err)
			}
			value = strings.ReplaceAll(value, "_auth", "_gate")

			page := b.Visit("/_gate/login?next=" + sent)
			if page.Status != http.StatusOK {
				t.Fatalf("login page: %d", page.Status)
			}
			form := url.Values{"username": {"alice"}, "password": {e2e.Password}, "csrf_token": {b.Token(page)}}
			if hidden := nextField.FindStringSubmatch(page.Body); hidden != nil {
				form.Set("next", html.UnescapeString(hidden[1]))
			}
			check := func(by string, form url.Values) {
				a := f.gate.Browser(t).With(b).Submit("/_gate/login", form)
				kept, dropped := same(a.Location(), value), a.Location() == "/"
				ok := strings.Contains(r["expected"], "keep") && kept || strings.Contains(r["expected"], "drop") && dropped
				if a.Status != http.StatusSeeOther || !ok {
					t.Errorf("%s: status %d, Location %q, want %s of %s (%s)", by, a.Status, a.Location(), r["expected"], r["shown"], r["why"])
				}
			}
			if kept := form.Get("next"); kept != "" && kept != "/" {
				check("by the form", form)
			}
			if form.Get("next") != value { // a forged form, or one kept from another day
				form.Set("next", value)
				check("by a forged form", form)
			}
		})
	}
}

// same says whether a Location is the value, which may have been escaped on
// the way where a header cannot hold it.
func same(location, value string) bool {
	return location == value || location == strings.NewReplacer(" ", "%20", `"`, "%22", "<", "%3C", ">", "%3E").Replace(value) ||
		location == (&url.URL{Path: value}).EscapedPath()
}
