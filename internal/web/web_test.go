package web_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/web"
)

func networks(tb testing.TB, list ...string) web.Networks {
	tb.Helper()
	var n web.Networks
	for _, s := range list {
		n = append(n, netip.MustParsePrefix(s))
	}
	return n
}

// begin gives the Info of a request from peer with the header lines.
func begin(tb testing.TB, trusted web.Networks, peer string, lines ...string) *web.Info {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodGet, "http://app.example.test/", nil)
	r.RemoteAddr = peer
	for _, l := range lines {
		k, v, _ := strings.Cut(l, ": ")
		r.Header.Add(k, v)
	}
	var info *web.Info
	web.RequestInfo(trusted)(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { info = web.From(r.Context()) })).
		ServeHTTP(httptest.NewRecorder(), r)
	return info
}

func TestClientAddress(t *testing.T) {
	trusted := networks(t, "127.0.0.0/8", "10.0.0.0/8", "2001:db8::/32")
	for name, c := range map[string]struct {
		peer, xff string
		want      string
	}{
		"no header":                          {"127.0.0.1:1", "", "127.0.0.1"},
		"one hop":                            {"127.0.0.1:1", "203.0.113.7", "203.0.113.7"},
		"the client wrote the first":         {"127.0.0.1:1", "198.51.100.1, 203.0.113.7", "203.0.113.7"},
		"past trusted hops":                  {"127.0.0.1:1", "198.51.100.1, 203.0.113.7, 10.1.2.3", "203.0.113.7"},
		"all are trusted":                    {"127.0.0.1:1", "10.9.9.9, 10.1.2.3", "10.9.9.9"},
		"junk ends the walk":                 {"127.0.0.1:1", "203.0.113.7, junk, 10.1.2.3", "10.1.2.3"},
		"empty parts count for nothing":      {"127.0.0.1:1", "198.51.100.1, 203.0.113.7,, 10.1.2.3, ,", "203.0.113.7"},
		"nothing but empty parts":            {"127.0.0.1:1", " ,,", "127.0.0.1"},
		"mapped IPv4 counts as IPv4":         {"[::ffff:127.0.0.1]:1", "198.51.100.1, ::ffff:10.1.2.3", "198.51.100.1"},
		"a port is cut off":                  {"127.0.0.1:1", "203.0.113.7:4711", "203.0.113.7"},
		"IPv6 in brackets":                   {"127.0.0.1:1", "[2001:db9::1]:443", "2001:db9::1"},
		"an untrusted peer is not believed":  {"203.0.113.9:1", "127.0.0.1", "203.0.113.9"},
		"a zone does not hide an address":    {"127.0.0.1:1", "198.51.100.1, fe80::1%eth0", "fe80::1"},
		"an untrusted peer with a long list": {"203.0.113.9:1", strings.Repeat("10.0.0.1,", 100) + "10.0.0.1", "203.0.113.9"},
	} {
		t.Run(name, func(t *testing.T) {
			var lines []string
			if c.xff != "" {
				lines = append(lines, "X-Forwarded-For: "+c.xff)
			}
			if got := begin(t, trusted, c.peer, lines...).Client.String(); got != c.want {
				t.Errorf("client is %s, want %s", got, c.want)
			}
		})
	}
}

func TestOnlyATrustedPeerSaysSchemeHostAndID(t *testing.T) {
	lines := []string{"X-Forwarded-Proto: https", "X-Forwarded-Host: evil.test", "X-Request-Id: from-the-proxy"}
	stranger := begin(t, nil, "127.0.0.1:1", lines...)
	if stranger.Scheme != "http" || stranger.Host != "app.example.test" || stranger.ID == "from-the-proxy" || stranger.Trusted {
		t.Errorf("a stranger is believed: %+v", stranger)
	}
	proxy := begin(t, networks(t, "127.0.0.1/32"), "127.0.0.1:1", lines...)
	if proxy.Scheme != "https" || proxy.Host != "evil.test" || proxy.ID != "from-the-proxy" || !proxy.Trusted {
		t.Errorf("a trusted proxy is not believed: %+v", proxy)
	}
	for said, want := range map[string]string{"wss": "https", "ws": "http"} { // as Traefik has it
		if socket := begin(t, networks(t, "127.0.0.1/32"), "127.0.0.1:1", "X-Forwarded-Proto: "+said); socket.Scheme != want {
			t.Errorf("%s is taken for %s, want %s", said, socket.Scheme, want)
		}
	}
	odd := begin(t, networks(t, "127.0.0.1/32"), "127.0.0.1:1", "X-Forwarded-Proto: javascript", "X-Request-Id: a\x1b[31mb")
	if odd.Scheme != "http" || strings.Contains(odd.ID, "\x1b") {
		t.Errorf("odd values are taken over: %+v", odd)
	}
}

func FuzzForwardedFor(f *testing.F) {
	f.Add("203.0.113.7, 10.1.2.3")
	f.Add("::ffff:10.0.0.1, [::1]:80, x")
	trusted := web.Networks{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("127.0.0.0/8")}
	f.Fuzz(func(t *testing.T, xff string) {
		// Whatever a client puts to the left, what the proxy appended decides.
		info := begin(t, trusted, "127.0.0.1:1", "X-Forwarded-For: "+xff+", 203.0.113.7")
		if got := info.Client.String(); got != "203.0.113.7" {
			t.Errorf("%q makes the client %s", xff, got)
		}
	})
}

func TestIsNavigation(t *testing.T) {
	for name, c := range map[string]struct {
		header string
		want   bool
	}{
		"fetch metadata says so":       {"Sec-Fetch-Mode: navigate", true},
		"fetch metadata says no":       {"Sec-Fetch-Mode: cors\nAccept: text/html", false},
		"an old browser":               {"Accept: text/html,application/xhtml+xml", true},
		"a library with Accept */*":    {"Accept: */*", false},
		"XMLHttpRequest for some HTML": {"Accept: text/html\nX-Requested-With: XMLHttpRequest", false},
		"a WebSocket":                  {"Sec-Fetch-Mode: websocket\nUpgrade: websocket", false},
		"nothing":                      {"", false},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		for l := range strings.SplitSeq(c.header, "\n") {
			if k, v, ok := strings.Cut(l, ": "); ok {
				r.Header.Set(k, v)
			}
		}
		if got := web.IsNavigation(r); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

// server runs h behind the whole chain.
func server(t *testing.T, log io.Writer, h web.Handler) *httptest.Server {
	t.Helper()
	pages, err := web.NewPages(web.Branding{})
	if err != nil {
		t.Fatal(err)
	}
	l := slog.New(slog.NewJSONHandler(log, nil))
	s := httptest.NewServer(web.Chain(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := h(w, r); err != nil {
			pages.Answer(w, r, err)
		}
	}), web.RequestInfo(nil), web.RecordAnswer(web.AccessLog(l)), web.Recover(l, pages.Answer)))
	t.Cleanup(s.Close)
	return s
}

func get(t *testing.T, url string, header ...string) (*http.Response, string, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range header {
		k, v, _ := strings.Cut(l, ": ")
		req.Header.Set(k, v)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, "", err
	}
	defer resp.Body.Close() //nolint:errcheck // a test
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

func TestThePageNeverShowsTheLogsText(t *testing.T) {
	var log bytes.Buffer
	s := server(t, &log, func(http.ResponseWriter, *http.Request) error {
		return fmt.Errorf("while answering: %w", web.Fail(http.StatusBadGateway, "", errors.New("dial 10.0.0.7:3000: refused")))
	})
	for _, accept := range []string{"text/html", "application/json"} {
		resp, body, err := get(t, s.URL, "Accept: "+accept) //nolint:bodyclose // get closes it
		if err != nil || resp.StatusCode != http.StatusBadGateway || strings.Contains(body, "10.0.0.7") {
			t.Errorf("%s: %v, %v, %s", accept, resp.Status, err, body)
		}
		if id := resp.Header.Get("X-Request-Id"); id == "" || !strings.Contains(body, id) {
			t.Errorf("%s: the id %q is not in %s", accept, id, body)
		}
		for k, want := range map[string]string{
			"Cache-Control": "no-store", "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff",
			"Referrer-Policy": "same-origin", "X-Robots-Tag": "noindex",
		} {
			if got := resp.Header.Get(k); got != want {
				t.Errorf("%s: %s is %q", accept, k, got)
			}
		}
		if csp := resp.Header.Get("Content-Security-Policy"); !strings.Contains(csp, "default-src 'none'") || !strings.Contains(csp, "frame-ancestors 'none'") {
			t.Errorf("%s: policy %q", accept, csp)
		}
	}
	if !strings.Contains(log.String(), "10.0.0.7") {
		t.Errorf("the log does not say why: %s", log.String())
	}
}

func TestAPanicIsA500AndTheServerGoesOn(t *testing.T) {
	var log bytes.Buffer
	s := server(t, &log, func(http.ResponseWriter, *http.Request) error { panic("boom") })
	for range 2 {
		resp, body, err := get(t, s.URL) //nolint:bodyclose // get closes it
		if err != nil || resp.StatusCode != http.StatusInternalServerError || strings.Contains(body, "boom") {
			t.Fatalf("%v, %v", resp, err)
		}
	}
	if n := strings.Count(log.String(), `"msg":"panic"`); n != 2 {
		t.Errorf("%d panics are logged, want 2", n)
	}
}

// A guard that swallows http.ErrAbortHandler turns half an answer into a
// whole one.
func TestABrokenAnswerLooksBroken(t *testing.T) {
	for name, fail := range map[string]func(){
		"abort": func() { panic(http.ErrAbortHandler) },
		"panic": func() { panic("in the middle") },
	} {
		t.Run(name, func(t *testing.T) {
			s := server(t, io.Discard, func(w http.ResponseWriter, _ *http.Request) error {
				_, _ = io.WriteString(w, "half")
				w.(http.Flusher).Flush()
				fail()
				return nil
			})
			if _, body, err := get(t, s.URL); err == nil { //nolint:bodyclose // get closes it
				t.Errorf("the visitor sees a whole answer: %q", body)
			}
		})
	}
}

func TestAnErrorAfterTheAnswerHasBegunBreaksItOff(t *testing.T) {
	s := server(t, io.Discard, func(w http.ResponseWriter, _ *http.Request) error {
		_, _ = io.WriteString(w, "half")
		w.(http.Flusher).Flush()
		return errors.New("too late")
	})
	if _, body, err := get(t, s.URL); err == nil { //nolint:bodyclose // get closes it
		t.Errorf("the visitor sees a whole answer: %q", body)
	}
}

func TestTheRecorderWaitsForTheFinalStatus(t *testing.T) {
	type seen struct {
		status int
		bytes  int64
	}
	done := make(chan seen, 1)
	s := httptest.NewServer(web.RecordAnswer(func(_ *http.Request, rec *web.Recorder, _ time.Duration) {
		done <- seen{rec.Status, rec.Bytes()}
	})(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.Copy(w, strings.NewReader("gone"))
	})))
	defer s.Close()
	resp, body, err := get(t, s.URL) //nolint:bodyclose // get closes it
	if err != nil || resp.StatusCode != http.StatusNotFound || body != "gone" {
		t.Errorf("the visitor gets %v, %q, %v", resp, body, err)
	}
	if got := <-done; got != (seen{http.StatusNotFound, 4}) {
		t.Errorf("recorded %+v", got)
	}
}

func TestTheAccessLineHasNoQueryAndNoCookie(t *testing.T) {
	var log bytes.Buffer
	s := server(t, &log, func(http.ResponseWriter, *http.Request) error { return web.Refuse(http.StatusNotFound, "") })
	if _, _, err := get(t, s.URL+"/a%0ab?token=hunter2", "Cookie: gatehouse=hunter2"); err != nil { //nolint:bodyclose // get closes it
		t.Fatal(err)
	}
	line := strings.TrimSpace(log.String())
	var fields map[string]any
	if err := json.Unmarshal([]byte(line), &fields); err != nil || strings.Contains(line, "hunter2") {
		t.Errorf("%v: %s", err, line)
	}
	if fields["path"] != "/a%0ab" || fields["status"] != float64(404) {
		t.Errorf("%s", line)
	}
}

func TestRetryAfterIsAtLeastASecond(t *testing.T) {
	for wait, want := range map[time.Duration]string{0: "1", time.Millisecond: "1", time.Second: "1", 1500 * time.Millisecond: "2", time.Hour: "3600"} {
		if got := web.Later(429, "", wait, nil).Header.Get("Retry-After"); got != want {
			t.Errorf("%v: %s, want %s", wait, got, want)
		}
	}
}

func TestAPageAllowsExactlyItsOwnBlocks(t *testing.T) {
	p, err := web.NewPage("x", `<style>{{style}}</style><style>p{color:red}</style><script>let a = 1</script><p>{{.}}</p>`, web.Branding{}, "sample")
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := p.Write(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), 200, "<script>alert(1)</script>"); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(w.Body.String(), "<script>alert") {
		t.Errorf("the data are not escaped: %s", w.Body)
	}
	csp := w.Header().Get("Content-Security-Policy")
	if strings.Count(csp, "'sha256-") != 3 || strings.Contains(csp, "unsafe") {
		t.Errorf("policy %q", csp)
	}
	for name, src := range map[string]string{
		"data in a script": `<script>let a = {{.}}</script>`,
		"broken template":  `{{if}}`,
		"unknown field":    `{{.Nothing}}`,
	} {
		if _, err := web.NewPage("x", src, web.Branding{}, struct{}{}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

// TestPolicyNamesTheScriptAsItIsSent: html/template takes comments out of
// scripts and styles, and a browser hashes what arrives. The script of the
// login page was blocked because of its comment.
func TestPolicyNamesTheScriptAsItIsSent(t *testing.T) {
	p, err := web.NewPage("x", "<script>\n// why\nlet a = \"//\"; /* and */ let b\n</script><style>p{/* why */color:red}</style>", web.Branding{}, "sample")
	if err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	if err := p.Write(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil), 200, "sample"); err != nil {
		t.Fatal(err)
	}
	for _, block := range regexp.MustCompile(`(?s)<(?:script|style)>(.*?)</`).FindAllStringSubmatch(w.Body.String(), -1) {
		sum := sha256.Sum256([]byte(block[1]))
		if want := "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"; !strings.Contains(w.Header().Get("Content-Security-Policy"), want) {
			t.Errorf("%q has the hash %s, which is not in the policy %s", block[1], want, w.Header().Get("Content-Security-Policy"))
		}
	}
}

func TestVaryIsAddedOnce(t *testing.T) {
	h := http.Header{"Vary": {"Accept-Encoding, cookie"}}
	web.AddVary(h, "Cookie")
	web.AddVary(h, "Origin")
	web.AddVary(h, "Origin")
	if got := strings.Join(h["Vary"], "|"); got != "Accept-Encoding, cookie|Origin" {
		t.Errorf("Vary is %q", got)
	}
}
