package proxy

import (
	"bufio"
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/textproto"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/value"
)

// everywhere runs f over HTTP/1.1, HTTP/1.1 with TLS and HTTP/2, with each
// engine.
func everywhere(t *testing.T, f func(t *testing.T, s setting)) {
	t.Helper()
	for _, https := range []bool{false, true} {
		t.Run(map[bool]string{false: "h1", true: "h2"}[https], func(t *testing.T) {
			engines(t, func(t *testing.T, s setting) {
				t.Helper()
				s.https = https
				f(t, s)
			})
		})
	}
}

// behind opens a house in front of a real server.
func behind(t *testing.T, s setting, handler http.HandlerFunc, change ...func(c *RouteConfig)) *house {
	t.Helper()
	up := httptest.NewServer(handler)
	t.Cleanup(up.Close)
	c := fixture(up.URL)
	for _, f := range change {
		f(&c)
	}
	return open(t, s, c)
}

func (h *house) request(tb testing.TB, method, path string, body io.Reader) *http.Request {
	tb.Helper()
	scheme := "http://"
	if h.TLS != nil {
		scheme = "https://"
	}
	ctx, cancel := context.WithTimeout(tb.Context(), 20*time.Second)
	tb.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, method, scheme+host+path, body)
	if err != nil {
		tb.Fatal(err)
	}
	r.Header.Set("Cookie", ourCookie+"=alice")
	return r
}

func (h *house) do(tb testing.TB, r *http.Request) *http.Response {
	tb.Helper()
	res, err := h.client(tb).Do(r)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = res.Body.Close() })
	return res
}

func TestEventsArriveAtOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, s setting) {
		t.Helper()
		next := make(chan bool)
		h := behind(t, s, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			rc := http.NewResponseController(w)
			_ = rc.Flush()
			for i := range 3 {
				select {
				case <-next:
				case <-r.Context().Done():
					return
				}
				_, _ = fmt.Fprintf(w, "data: %d\n\n", i)
				_ = rc.Flush()
			}
		})
		res := h.do(t, h.request(t, "GET", "/events", nil)) //nolint:bodyclose // do sees to it
		br := bufio.NewReader(res.Body)
		for i := range 3 {
			next <- true
			line, err := br.ReadString('\n')
			if err != nil || line != fmt.Sprintf("data: %d\n", i) {
				t.Fatalf("event %d: %q, %v", i, line, err)
			}
			_, _ = br.ReadString('\n')
		}
		if rest, err := io.ReadAll(br); err != nil || len(rest) > 0 {
			t.Errorf("end: %q, %v", rest, err)
		}
	})
}

// Both directions move at the same time.
func TestBothWaysAtOnce(t *testing.T) {
	everywhere(t, func(t *testing.T, s setting) {
		t.Helper()
		h := behind(t, s, func(w http.ResponseWriter, r *http.Request) {
			rc := http.NewResponseController(w)
			_ = rc.EnableFullDuplex()
			_ = rc.Flush()
			br := bufio.NewReader(r.Body)
			for {
				line, err := br.ReadString('\n')
				if err != nil {
					return
				}
				_, _ = io.WriteString(w, "got "+line)
				_ = rc.Flush()
			}
		})
		pr, pw := io.Pipe()
		res := h.do(t, h.request(t, "POST", "/talk", pr)) //nolint:bodyclose // do sees to it
		br := bufio.NewReader(res.Body)
		for _, word := range []string{"one", "two", "three"} {
			_, _ = io.WriteString(pw, word+"\n")
			if line, err := br.ReadString('\n'); err != nil || line != "got "+word+"\n" {
				t.Fatalf("%q, %v", line, err)
			}
		}
		_ = pw.Close()
		if _, err := io.ReadAll(br); err != nil {
			t.Errorf("end: %v", err)
		}
	})
}

func TestBigBodies(t *testing.T) {
	everywhere(t, func(t *testing.T, s setting) {
		t.Helper()
		h := behind(t, s, func(w http.ResponseWriter, r *http.Request) {
			sum := sha256.New()
			n, err := io.Copy(sum, r.Body)
			if err != nil {
				return
			}
			w.Header().Set("X-Length", strconv.FormatInt(r.ContentLength, 10))
			_, _ = fmt.Fprintf(w, "%d %x\n", n, sum.Sum(nil))
			_, _ = w.Write(bytes.Repeat([]byte("0123456789abcdef"), 1<<16))
		})
		data := bytes.Repeat([]byte("fedcba9876543210"), 1<<17) // 2 MiB
		want := fmt.Sprintf("%d %x", len(data), sha256.Sum256(data))
		for length, body := range map[string]io.Reader{strconv.Itoa(len(data)): bytes.NewReader(data), "-1": io.MultiReader(bytes.NewReader(data))} {
			res := h.do(t, h.request(t, "PUT", "/x", body)) //nolint:bodyclose // do sees to it
			got, err := io.ReadAll(res.Body)
			first, rest, _ := strings.Cut(string(got), "\n")
			if err != nil || first != want || len(rest) != 1<<20 || res.Header.Get("X-Length") != length {
				t.Errorf("length %s: %q, %d more bytes, X-Length %s, %v", length, first, len(rest), res.Header.Get("X-Length"), err)
			}
		}
	})
}

func TestTrailersOfAnswers(t *testing.T) {
	everywhere(t, func(t *testing.T, s setting) {
		t.Helper()
		h := behind(t, s, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Sum, X-Forwarded-User")
			_, _ = io.WriteString(w, "body")
			_ = http.NewResponseController(w).Flush()
			w.Header().Set("X-Sum", "1")
			w.Header().Set("X-Forwarded-User", "root")
			w.Header().Set(http.TrailerPrefix+"X-Late", "2")
			w.Header().Set(http.TrailerPrefix+"Set-Cookie", ourCookie+"=x")
		})
		res := h.do(t, h.request(t, "GET", "/x", nil)) //nolint:bodyclose // do sees to it
		if body, err := io.ReadAll(res.Body); err != nil || string(body) != "body" {
			t.Fatalf("%q, %v", body, err)
		}
		if res.Trailer.Get("X-Sum") != "1" || res.Trailer.Get("X-Late") != "2" {
			t.Errorf("trailers %v, want X-Sum and X-Late", res.Trailer)
		}
		for _, name := range []string{"X-Forwarded-User", "Set-Cookie"} {
			if v := res.Trailer.Values(name); len(v) > 0 && v[0] != "" {
				t.Errorf("trailer %s: %q passed", name, v)
			}
		}
	})
}

func TestInterimAnswers(t *testing.T) {
	everywhere(t, func(t *testing.T, s setting) {
		t.Helper()
		h := behind(t, s, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Link", "</a.css>; rel=preload")
			w.Header().Set("Set-Cookie", ourCookie+"=x")
			w.WriteHeader(http.StatusEarlyHints)
			w.Header().Del("Link")
			w.Header().Set("X-Final", "1")
			w.WriteHeader(http.StatusNotFound)
		})
		r := h.request(t, "GET", "/x", nil)
		var hints []string
		r = r.WithContext(httptrace.WithClientTrace(r.Context(), &httptrace.ClientTrace{Got1xxResponse: func(code int, h textproto.MIMEHeader) error {
			hints = append(hints, fmt.Sprintf("%d %q %q", code, h["Link"], h["Set-Cookie"]))
			return nil
		}}))
		res := h.do(t, r) //nolint:bodyclose // do sees to it
		if want := []string{`103 ["</a.css>; rel=preload"] []`}; !slices.Equal(hints, want) {
			t.Errorf("interim answers %q, want %q", hints, want)
		}
		if res.StatusCode != http.StatusNotFound || res.Header.Get("X-Final") != "1" || res.Header.Get("Link") != "" {
			t.Errorf("final answer %d %v", res.StatusCode, res.Header)
		}
	})
}

// 100 Continue is the upstream's to say.
func TestExpectIsRelayed(t *testing.T) {
	engines(t, func(t *testing.T, s setting) {
		t.Helper()
		h := behind(t, s, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/refuse" {
				w.Header().Set("Connection", "close")
				w.WriteHeader(http.StatusExpectationFailed)
				return
			}
			body, _ := io.ReadAll(r.Body)
			_, _ = fmt.Fprintf(w, "%s", body)
		})
		for path, want := range map[string]string{"/refuse": "417", "/take": "100"} {
			c := h.dial(t)
			_, _ = io.WriteString(c, "POST "+path+" HTTP/1.1\r\nHost: "+host+"\r\n"+aliceLine+"Expect: 100-continue\r\nContent-Length: 3\r\n\r\n")
			br := bufio.NewReader(c)
			line, err := br.ReadString('\n')
			if err != nil || !strings.HasPrefix(line, "HTTP/1.1 "+want) {
				t.Errorf("%s: %q, %v, want %s first", path, line, err, want)
				continue
			}
			if want != "100" {
				continue
			}
			_, _ = br.ReadString('\n')
			_, _ = io.WriteString(c, "abc")
			res, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(res.Body); string(body) != "abc" {
				t.Errorf("body %q, %v", body, err)
			}
			_ = res.Body.Close()
		}
	})
}

func TestAnswersWithoutBody(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, s setting) {
		t.Helper()
		h := behind(t, s, func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/head":
				w.Header().Set("Content-Length", "1234")
			case "/204":
				w.WriteHeader(http.StatusNoContent)
			case "/304":
				w.Header().Set("Etag", `"x"`)
				w.WriteHeader(http.StatusNotModified)
			case "/range":
				http.ServeContent(w, r, "x.txt", time.Time{}, strings.NewReader("0123456789"))
			}
		})
		res := h.do(t, h.request(t, "HEAD", "/head", nil)) //nolint:bodyclose // do sees to it
		if res.StatusCode != http.StatusOK || res.ContentLength != 1234 {
			t.Errorf("HEAD: %d, length %d", res.StatusCode, res.ContentLength)
		}
		for path, want := range map[string]int{"/204": 204, "/304": 304} {
			if res := h.do(t, h.request(t, "GET", path, nil)); res.StatusCode != want { //nolint:bodyclose // do sees to it
				t.Errorf("%s: %d", path, res.StatusCode)
			}
		}
		r := h.request(t, "GET", "/range", nil)
		r.Header.Set("Range", "bytes=2-4")
		res = h.do(t, r) //nolint:bodyclose // do sees to it
		if body, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusPartialContent || string(body) != "234" || res.Header.Get("Content-Range") != "bytes 2-4/10" {
			t.Errorf("range: %d %q %v", res.StatusCode, body, res.Header)
		}
	})
}

func TestVisitorLeaves(t *testing.T) {
	everywhere(t, func(t *testing.T, s setting) {
		t.Helper()
		left := make(chan bool)
		h := behind(t, s, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "begun")
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			close(left)
		})
		res := h.do(t, h.request(t, "GET", "/x", nil))
		_, _ = io.ReadFull(res.Body, make([]byte, 5))
		_ = res.Body.Close()
		select {
		case <-left:
		case <-time.After(5 * time.Second):
			t.Error("the upstream goes on for a visitor who has left")
		}
	})
}

// Half an answer must not look whole, over either protocol.
func TestUpstreamBreaksOff(t *testing.T) {
	everywhere(t, func(t *testing.T, s setting) {
		t.Helper()
		for name, answer := range map[string]string{
			"length": "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf",
			"chunks": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
		} {
			up := record(t, answer)
			h := open(t, s, fixture(up.url()))
			res, err := h.client(t).Do(h.request(t, "GET", "/x", nil))
			if err != nil {
				continue // broken before the head could be read
			}
			if body, err := io.ReadAll(res.Body); err == nil {
				t.Errorf("%s: %d %q looks whole", name, res.StatusCode, body)
			}
			_ = res.Body.Close()
		}
	})
}

func TestMaxBody(t *testing.T) {
	everywhere(t, func(t *testing.T, s setting) {
		t.Helper()
		var mu sync.Mutex
		var whole []int
		h := behind(t, s, func(_ http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				whole = append(whole, len(body))
			}
		}, func(c *RouteConfig) { c.MaxBody = value.Size(100_000) })
		for _, tt := range []struct {
			body io.Reader
			want int
		}{
			{strings.NewReader(strings.Repeat("x", 100_000)), 200},
			{strings.NewReader(strings.Repeat("x", 100_001)), 413},
			{io.MultiReader(strings.NewReader(strings.Repeat("x", 100_000))), 200},
			{io.MultiReader(strings.NewReader(strings.Repeat("x", 300_000))), 413},
		} {
			res, err := h.client(t).Do(h.request(t, "POST", "/x", tt.body))
			if err != nil {
				if tt.want == 200 {
					t.Error(err)
				}
				continue // cut off while it sent more
			}
			if res.StatusCode != tt.want {
				t.Errorf("status %d, want %d", res.StatusCode, tt.want)
			}
			_ = res.Body.Close()
		}
		mu.Lock()
		defer mu.Unlock()
		if !slices.Equal(whole, []int{100_000, 100_000}) {
			t.Errorf("upstream took bodies of %d bytes for whole", whole)
		}
	})
}

func TestTimeouts(t *testing.T) {
	t.Parallel()
	engines(t, func(t *testing.T, s setting) {
		t.Helper()
		release := make(chan bool)
		defer close(release)
		h := behind(t, s, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			select {
			case <-release:
			case <-r.Context().Done():
			}
		}, func(c *RouteConfig) {
			c.Timeouts.Response = value.Duration(50 * time.Millisecond)
			c.Timeouts.Stall = value.Duration(200 * time.Millisecond)
		})
		if answer := h.get(t, "/x", aliceLine); status(answer) != "504" {
			t.Errorf("silent upstream: %q, want 504", answer)
		}
		// A visitor who does not send what he announced is cut off.
		answer := h.raw(t, "POST /x HTTP/1.1\r\nHost: "+host+"\r\n"+aliceLine+"Content-Length: 100000\r\n\r\nabc")
		if s := status(answer); s != "408" && s != "499" && s != "" {
			t.Errorf("stalling visitor: %q, want 408, 499 or the end", answer)
		}
	})
}

// An upstream that has begun its answer may be silent for longer than a
// visitor may stall.
func TestSilentUpstreamMayGoOn(t *testing.T) {
	for name, s := range map[string]setting{
		"h1/http1": {}, "h1/standard": {standard: true}, "h2/http1": {https: true}, "h2/standard": {standard: true, https: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			silentUpstream(t, s)
		})
	}
}

func silentUpstream(t *testing.T, s setting) {
	t.Helper()
	h := behind(t, s, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, "first ")
		_ = http.NewResponseController(w).Flush()
		<-time.After(1400 * time.Millisecond) // a silence, not a wait for something
		_, _ = io.WriteString(w, "second")
	}, func(c *RouteConfig) { c.Timeouts.Stall = value.Duration(time.Second) })
	res := h.do(t, h.request(t, "POST", "/x", strings.NewReader("body"))) //nolint:bodyclose // do sees to it
	if body, err := io.ReadAll(res.Body); err != nil || string(body) != "first second" {
		t.Errorf("%q, %v", body, err)
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	up := &httptest.Server{Listener: l, Config: &http.Server{ReadHeaderTimeout: time.Minute, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, r.Host) //nolint:gosec // G705: a test
	})}}
	up.Start()
	defer up.Close()
	engines(t, func(t *testing.T, s setting) {
		t.Helper()
		c := fixture("unix:" + path)
		c.HostHeader = upstreamHost
		h := open(t, s, c)
		if answer := h.get(t, "/x", aliceLine); !strings.HasSuffix(answer, "\nlocalhost") {
			t.Errorf("answer %q", answer)
		}
	})
}

// The certificate of an upstream is verified: another's is a 502.
func TestUpstreamWithTLS(t *testing.T) {
	up := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("reached") }))
	up.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	up.StartTLS()
	defer up.Close()
	h := open(t, setting{}, fixture(up.URL))
	if answer := h.get(t, "/x", aliceLine); status(answer) != "502" || strings.Contains(answer, "x509") {
		t.Errorf("answer %q, want 502", answer)
	}
	if !strings.Contains(h.log.String(), "x509") {
		t.Errorf("the log does not say why: %s", h.log)
	}
}

// CVE class of u25: a request is repeated when an idle connection turns out to
// be dead, but never one that might have done something.
func TestRepeatedRequests(t *testing.T) {
	engines(t, func(t *testing.T, s setting) {
		t.Helper()
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		defer closing(l)
		var mu sync.Mutex
		seen := map[string]int{}
		var done sync.WaitGroup
		defer done.Wait()
		defer closing(l)
		done.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				done.Go(func() { // answers once, reads one more request, and hangs up
					defer closing(c)
					br := bufio.NewReader(c)
					for i := range 2 {
						r, err := http.ReadRequest(br)
						if err != nil {
							return
						}
						mu.Lock()
						seen[r.Method+" "+r.URL.Path]++
						mu.Unlock()
						if i == 0 {
							_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
						}
					}
				})
			}
		})
		for i, tt := range []struct{ line, more, want string }{
			{"GET", "", "200"}, {"POST", "", "502"}, {"POST", "Idempotency-Key: x\r\n", "502"}, {"POST", "Content-Length: 3\r\n\r\nabc", "502"},
		} {
			h := open(t, s, fixture("http://"+l.Addr().String()))
			h.get(t, "/warm", aliceLine)
			path := fmt.Sprintf("/%d", i)
			answer := h.raw(t, tt.line+" "+path+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n"+aliceLine+tt.more+"\r\n")
			if status(answer) != tt.want {
				t.Errorf("%s %s: %q, want %s", tt.line, tt.more, answer, tt.want)
			}
			mu.Lock()
			if n := seen[tt.line+" "+path]; tt.want == "502" && n != 1 {
				t.Errorf("%s %s came %d times", tt.line, tt.more, n)
			}
			mu.Unlock()
			h.proxy.Close() // hang up, so that the upstream can end
		}
	})
}

// A body that nobody wants holds nobody up: neither a slow one, nor one that
// never comes (slowloris by body).
func TestUnwantedBody(t *testing.T) {
	up := record(t, okAnswer)
	h := open(t, setting{}, fixture(up.url()))
	h.proxy.unreadTime = 200 * time.Millisecond
	c := h.dial(t)
	start := time.Now()
	_, _ = io.WriteString(c, "POST /private/x HTTP/1.1\r\nHost: "+host+"\r\nContent-Length: 100\r\n\r\nabc")
	answer, err := io.ReadAll(c)
	if took := time.Since(start); err != nil || took > 5*time.Second || !strings.Contains(string(answer), " 303 ") {
		t.Errorf("after %v: %q, %v", took, answer, err)
	}
	up.empty(t)
}
