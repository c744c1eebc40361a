package proxy

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/value"
)

// several opens a house in front of servers that answer with their number.
func several(t *testing.T, s setting, n int, change func(c *RouteConfig)) (*house, []*httptest.Server) {
	t.Helper()
	var servers []*httptest.Server
	var urls []string
	for i := range n {
		up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Set-Cookie"] = r.URL.Query()["set"]
			_, _ = fmt.Fprintf(w, "%d %q", i, r.Header["Cookie"]) //nolint:gosec // G705: a test
		}))
		t.Cleanup(up.Close)
		servers, urls = append(servers, up), append(urls, up.URL)
	}
	c := fixture("")
	c.Upstreams = urls
	if change != nil {
		change(&c)
	}
	return open(t, s, c), servers
}

// body takes the body off an answer.
func body(answer string) string {
	_, b, _ := strings.Cut(answer, "\n\n")
	return b
}

func TestSeveralUpstreams(t *testing.T) {
	h, servers := several(t, setting{}, 2, nil)
	var got []string
	for range 4 {
		got = append(got, body(h.get(t, "/x", aliceLine)))
	}
	if want := []string{"0 []", "1 []", "0 []", "1 []"}; !slices.Equal(got, want) {
		t.Errorf("answers of %q, want %q", got, want)
	}
	servers[0].Close()
	for range 3 {
		if answer := h.get(t, "/x", aliceLine); body(answer) != "1 []" {
			t.Errorf("answer %q, want one of 1", answer)
		}
	}
	if n := strings.Count(h.log.String(), `level=WARN msg="upstream is out" route=`+host+"/ upstream="+servers[0].Listener.Addr().String()); n != 1 {
		t.Errorf("%d warnings, want one: %s", n, h.log)
	}
	servers[1].Close()
	if answer := h.get(t, "/x", aliceLine); status(answer) != "502" {
		t.Errorf("answer %q, want 502", answer)
	}
}

func sticky(c *RouteConfig) { c.Sticky = "app_upstream" }

// setCookies gives the cookies that an answer sets.
func setCookies(answer string) []string {
	var list []string
	for line := range strings.Lines(answer) {
		if v, ok := strings.CutPrefix(line, "Set-Cookie: "); ok {
			list = append(list, strings.TrimSpace(v))
		}
	}
	return list
}

func TestStickyVisitorStays(t *testing.T) {
	h, servers := several(t, setting{}, 3, sticky)
	first := h.get(t, "/x", aliceLine)
	set := setCookies(first)
	if len(set) != 1 || !strings.HasSuffix(set[0], "; Path=/; HttpOnly; SameSite=Lax") || body(first) != "0 []" {
		t.Fatalf("first answer %q", first)
	}
	value, _, _ := strings.Cut(set[0], ";")
	cookie := "Cookie: other=1; " + value + "; " + ourCookie + "=alice\r\n"
	for range 3 {
		answer := h.get(t, "/x", cookie)
		if body(answer) != `0 ["other=1"]` || len(setCookies(answer)) > 0 {
			t.Errorf("answer %q, want the same upstream, which does not see the cookie", answer)
		}
	}
	servers[0].Close()
	moved := h.get(t, "/x", cookie)
	if set := setCookies(moved); strings.HasPrefix(body(moved), "0") || len(set) != 1 || strings.HasPrefix(set[0], value) {
		t.Errorf("answer %q, want another upstream and its cookie", moved)
	}
}

func TestStickyCookieIsSecureOverHTTPS(t *testing.T) {
	h, _ := several(t, setting{https: true}, 2, sticky)
	res := h.do(t, h.request(t, "GET", "/x", nil)) //nolint:bodyclose // do sees to it
	if set := res.Header["Set-Cookie"]; len(set) != 1 || !strings.HasSuffix(set[0], "; Path=/; HttpOnly; Secure; SameSite=Lax") {
		t.Errorf("cookies %q", set)
	}
}

func TestStickyCookieCannotBeSetByTheUpstream(t *testing.T) {
	h, _ := several(t, setting{}, 2, sticky)
	for _, set := range []string{"app_upstream=evil", "App_Upstream=evil%3B%20Path=/x", "=app_upstream=evil"} {
		answer := h.get(t, "/x?set="+strings.ReplaceAll(set, "=", "%3D"), aliceLine)
		for _, got := range setCookies(answer) {
			if strings.Contains(got, "evil") {
				t.Errorf("%q passes: %q", set, got)
			}
		}
	}
}

func TestStickyCookieIsNotTrusted(t *testing.T) {
	h, _ := several(t, setting{}, 2, sticky)
	one := setCookies(h.get(t, "/x", aliceLine))[0][len("app_upstream="):][:8]
	for name, line := range map[string]string{
		"unknown": "app_upstream=00000000", "empty": "app_upstream=", "address": "app_upstream=127.0.0.1:80",
		"two": "app_upstream=" + one + "; app_upstream=" + one, "line break": "app_upstream=a%0d%0ab",
	} {
		answer := h.get(t, "/x", "Cookie: "+ourCookie+"=alice; "+line+"\r\n")
		if status(answer) != "200" || len(setCookies(answer)) != 1 || strings.Contains(body(answer), "app_upstream") {
			t.Errorf("%s: answer %q, want one with a new cookie", name, answer)
		}
	}
}

func TestStickyCookieIsNoneOfOurs(t *testing.T) {
	for _, name := range []string{"gatehouse", "GATEHOUSE", ourCookie[len("__Host-"):]} {
		c := fixture("")
		c.Upstreams, c.Sticky = []string{"http://127.0.0.1:1", "http://127.0.0.1:2"}, name
		if p, err := New(Options{Routes: []RouteConfig{c}, Auth: &gate{}, Pages: &gate{}}); err == nil {
			p.Close()
			t.Errorf("%q can be a sticky cookie", name)
		}
	}
}

// A health check says nothing of anybody, and ends with the proxy.
func TestHealthChecksEndWithTheProxy(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var seen []string
	var well atomic.Bool
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		seen = append(seen, fmt.Sprint(r.Method, " ", r.Host, r.URL, " ", len(r.Header)))
		mu.Unlock()
		if !well.Load() {
			w.WriteHeader(http.StatusInternalServerError)
		}
	}))
	defer up.Close()
	c := fixture(up.URL)
	c.HostHeader = "wiki.internal"
	c.Health = HealthConfig{Path: "/healthz", Interval: value.Duration(time.Second), Timeout: value.Duration(time.Second)}
	h := open(t, setting{}, c)
	until(t, "warning", func() bool { return strings.Contains(h.log.String(), "upstream is out") })
	well.Store(true)
	until(t, "recovery", func() bool { return strings.Contains(h.log.String(), "upstream is back") })
	h.proxy.Close()
	mu.Lock()
	defer mu.Unlock()
	for _, s := range seen {
		if s != "GET wiki.internal/healthz 2" {
			t.Errorf("check %q", s)
		}
	}
}

// until polls for a condition.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for tick := time.NewTicker(5 * time.Millisecond); !ok(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for the %s", what)
		}
	}
}
