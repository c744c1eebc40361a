package portal_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"gatehouse/auth"
)

// Whatever we sign and hand out: one changed character, and it is nothing.
func TestEveryChangedCookieCountsForNothing(t *testing.T) {
	g := newGate(t)
	b := g.browser(t).signIn("alice", alicesPassword)
	token, cookies := b.token("/_gate/logout"), b.cookies()
	for _, name := range []string{"gatehouse", "gatehouse_csrf"} {
		for i, c := range cookies[name] {
			for _, other := range []string{"A", "z", "_"} {
				if other == string(c) {
					continue
				}
				b.setCookie(name, cookies[name][:i]+other+cookies[name][i+1:])
				if name == "gatehouse" && b.who() != "" {
					t.Fatalf("a session cookie changed at %d opens a session", i)
				}
				if name == "gatehouse_csrf" {
					b.post("/_gate/sessions/end-others", "csrf_token", token).want(t, http.StatusForbidden, "")
				}
			}
		}
		b.setCookie(name, cookies[name])
	}
	b.post("/_gate/sessions/end-others", "csrf_token", token).want(t, http.StatusSeeOther, "/_gate/")
}

// Of two cookies of ours that differ, one was planted: neither counts. One that
// we did not sign is not one of ours, but another gate's on another port.
func TestTwoCSRFCookiesCountForNothing(t *testing.T) {
	g := newGate(t)
	attacker := g.browser(t)
	attacker.get("/_gate/login")
	for planted, want := range map[string]int{
		attacker.cookies()["gatehouse_csrf"]: http.StatusForbidden,
		"another_gates":                      http.StatusSeeOther,
	} {
		b := g.browser(t)
		token := b.token("/_gate/login")
		r := b.request(http.MethodPost, "/_gate/login", strings.NewReader("csrf_token="+token+"&username=alice&password=correct+horse+battery+staple"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Cookie", "gatehouse_csrf="+planted) // the jar adds the other
		a := b.do(r)
		if a.StatusCode != want {
			t.Errorf("beside %s: %s, want %d", planted, a.Status, want)
		}
		if want == http.StatusForbidden && !strings.Contains(a.body, "two different cookies") {
			t.Errorf("the page does not say why:\n%s", a.body)
		}
	}
	if !strings.Contains(g.log.String(), "two cookies gatehouse_csrf") || !strings.Contains(g.log.String(), `"msg":"csrf.failure"`) {
		t.Errorf("the log does not say why:\n%s", g.log)
	}
}

// A proxy may send the whole address in the request line (RFC 9112, 3.2.2).
func TestChallengeOfAnAbsoluteTarget(t *testing.T) {
	g := newGate(t)
	for target, want := range map[string]string{
		"http://app.example.test/a?b=c":  "/_gate/login?next=/a%3Fb%3Dc",
		"http://app.example.test":        "/_gate/login?next=/",
		"http://app.example.test?x":      "/_gate/login?next=/%3Fx",
		"http://evil.test//evil.test/":   "/_gate/login?next=/",
		"/wiki//page":                    "/_gate/login?next=/wiki//page",
		"/a?u=http://evil.test/":         "/_gate/login?next=/a%3Fu%3Dhttp%3A//evil.test/",
		"/http://evil.test":              "/_gate/login?next=/http%3A//evil.test",
		"http://app.example.test/_gate/": "/_gate/login?next=/",
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil)
		r.Header.Set("Accept", "text/html")
		w := httptest.NewRecorder()
		if err := g.portal.Challenge(w, r, auth.NeedLogin); err != nil || w.Header().Get("Location") != want {
			t.Errorf("%s: to %q, %v; want %q", target, w.Header().Get("Location"), err, want)
		}
	}
}

func TestTheOneScriptKeepsTheFragment(t *testing.T) {
	g := newGate(t)
	a := g.browser(t).get("/_gate/login?next=/app")
	if !strings.Contains(a.body, "location.hash") || strings.Count(a.body, "<script") != 1 {
		t.Error("the script is missing, or there are more")
	}
	if csp := a.Header.Get("Content-Security-Policy"); strings.Count(csp, "'sha256-") != 2 || !strings.Contains(csp, "script-src 'sha256-") {
		t.Errorf("the policy does not name it: %s", csp)
	}
}
