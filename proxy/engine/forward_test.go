package engine

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

func TestForwardWritesTheRequest(t *testing.T) {
	heads := make(chan string, 1)
	up := upstream(t, func(c *net.TCPConn, br *bufio.Reader, _ int) {
		heads <- readHead(br)
		say(c, "HTTP/1.1 204 No Content\r\n\r\n")
	})
	g := front(t, HTTP1Options{Address: up.addr}, func(r *Request) {
		r.Target = "/a%2Fb//c;d?x=%zz&y;z"
		r.Host = "inner.test"
		r.Trailers = true
		r.Header = HeaderOf(http.Header{
			"X-One": {"1"}, "x-lower": {"2"}, "Cookie": {"a=b; c=d"}, "X-Two": {"a", "b"},
			// none of these is the caller's to set:
			"Host": {"evil.test"}, "Content-Length": {"7"}, "Transfer-Encoding": {"chunked"}, "transfer-encoding": {"chunked"},
			"Connection": {"X-One"}, "Te": {"gzip"}, "Upgrade": {"h2c"}, "Trailer": {"X"}, "Keep-Alive": {"9"},
		})
	})
	exchangeRaw(t, g, get)
	head := <-heads
	if !strings.HasPrefix(head, "GET /a%2Fb//c;d?x=%zz&y;z HTTP/1.1\r\nHost: inner.test\r\n") {
		t.Errorf("begins wrong: %q", head)
	}
	want := map[string]bool{
		"GET /a%2Fb//c;d?x=%zz&y;z HTTP/1.1": true, "Host: inner.test": true, "X-One: 1": true, "X-Lower: 2": true,
		"Cookie: a=b; c=d": true, "X-Two: a": true, "X-Two: b": true, "Connection: TE": true, "TE: trailers": true,
	}
	for line := range strings.SplitSeq(strings.TrimSuffix(head, "\r\n\r\n"), "\r\n") {
		if !want[line] {
			t.Errorf("unwanted line %q", line)
		}
		delete(want, line)
	}
	if len(want) > 0 {
		t.Errorf("missing: %v", want)
	}
}

func TestForwardRefusesWhatWouldSplitARequest(t *testing.T) {
	up := says(t, "HTTP/1.1 204 x\r\n\r\n")
	tests := map[string]func(*Request){
		"CR LF in a value":  func(r *Request) { r.Header.Set("X-User", "alice\r\nX-Admin: 1") },
		"LF in a value":     func(r *Request) { r.Header.Set("X-User", "alice\nX-Admin: 1") },
		"NUL in a value":    func(r *Request) { r.Header.Set("X-User", "a\x00") },
		"colon in a name":   func(r *Request) { r.Header.Set("X: y", "a") },
		"empty name":        func(r *Request) { r.Header.Set("", "a") },
		"space in target":   func(r *Request) { r.Target = "/ HTTP/1.1\r\nX-Admin: 1" },
		"empty target":      func(r *Request) { r.Target = "" },
		"CR LF in host":     func(r *Request) { r.Host = "a\r\nX-Admin: 1" },
		"space in a method": func(r *Request) { r.Method = "GET /" },
		"CONNECT":           func(r *Request) { r.Method = "CONNECT" },
		"LF in upgrade":     func(r *Request) { r.Upgrade = "websocket\nX: y" },
	}
	for name, change := range tests {
		t.Run(name, func(t *testing.T) {
			g := front(t, HTTP1Options{Address: up.addr}, change)
			exchangeRaw(t, g, get)
			if err := <-g.errs; kind(err) != Invalid {
				t.Errorf("got %v, want kind %s", err, Invalid)
			}
		})
	}
}

func TestForwardRelaysAnswers(t *testing.T) {
	big := strings.Repeat("0123456789abcdef", 20<<10) // more than any buffer
	tests := []struct{ name, request, answer, want string }{
		{"length", get, "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: then\r\n\r\nhello", "HTTP/1.1 200 OK|Content-Length: 5|Date: then|Connection: close||hello"},
		{"large, with length", get, fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\nDate: d\r\n\r\n%s", len(big), big), fmt.Sprintf("HTTP/1.1 200 OK|Content-Length: %d|Date: d|Connection: close||%s", len(big), big)},
		{"chunked", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nDate: d\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", "HTTP/1.1 200 OK|Content-Length: 5|Date: d|Connection: close||abcde"},
		{"trailers", get, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nDate: d\r\nTrailer: X-Sum, Set-Cookie\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 9\r\nSet-Cookie: a=b\r\nContent-Length: 50\r\nX-Two: 2\r\n\r\n", "HTTP/1.1 200 OK|Date: d|Connection: close|Transfer-Encoding: chunked||3|abc|0|X-Sum: 9|X-Two: 2||"},
		{"HTTP/1.0", get, "HTTP/1.0 404 Not Found\r\nDate: d\r\n\r\nuntil the end", "HTTP/1.1 404 Not Found|Date: d|Connection: close|Transfer-Encoding: chunked||d|until the end|0||"},
		{"HEAD", strings.Replace(get, "GET", "HEAD", 1), "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nDate: d\r\n\r\n", "HTTP/1.1 200 OK|Content-Length: 5|Date: d|Connection: close||"},
		{"304", get, "HTTP/1.1 304 Not Modified\r\nETag: \"x\"\r\nContent-Length: 5\r\nDate: d\r\n\r\n", "HTTP/1.1 304 Not Modified|Date: d|Etag: \"x\"|Connection: close||"},
		{"204", get, "HTTP/1.1 204 No Content\r\nDate: d\r\n\r\n", "HTTP/1.1 204 No Content|Date: d|Connection: close||"},
		{"1xx", get, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: d\r\n\r\n", "HTTP/1.1 103 Early Hints|Link: </x>||HTTP/1.1 200 OK|Content-Length: 0|Date: d|Connection: close||"},
		{"no 1xx to HTTP/1.0", "GET /x HTTP/1.0\r\nHost: a.test\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\nDate: d\r\n\r\n", "HTTP/1.0 200 OK|Content-Length: 0|Date: d||"},
		{"no type is guessed", get, "HTTP/1.1 200 OK\r\nContent-Length: 6\r\nDate: d\r\n\r\n<html>", "HTTP/1.1 200 OK|Content-Length: 6|Date: d|Connection: close||<html>"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			up := upstream(t, func(c *net.TCPConn, br *bufio.Reader, _ int) {
				readHead(br)
				say(c, tt.answer)
			})
			g := front(t, HTTP1Options{Address: up.addr}, nil)
			got := strings.ReplaceAll(exchangeRaw(t, g, tt.request), "\r\n", "|")
			if got != tt.want {
				t.Errorf("got  %.300q\nwant %.300q", got, tt.want)
			}
		})
	}
}

func TestForwardRefusesBadAnswers(t *testing.T) {
	for name, answer := range badAnswers {
		t.Run(name, func(t *testing.T) {
			// The upstream keeps the connection open: the verdict must not wait for its end.
			up := says(t, answer)
			g := front(t, HTTP1Options{Address: up.addr}, nil)
			got := exchangeRaw(t, g, get)
			if err := <-g.errs; kind(err) != Protocol {
				t.Errorf("got %v, want kind %s", err, Protocol)
			}
			if i := strings.LastIndex(got, "HTTP/1.1 502"); i < 0 || strings.Contains(got[i:], "X-A") || strings.Contains(got[i:], "Link") {
				t.Errorf("the visitor got %.200q", got)
			}
			if len(g.idle()) > 0 {
				t.Error("the connection was kept")
			}
		})
	}
}

// The files in testdata/cases/upstream-responses that concern the engine.
func TestForwardCases(t *testing.T) {
	tests := map[string]struct{ kind, want string }{
		"u04-cl-te":            {Protocol, "502"},
		"u05-two-cl":           {Protocol, "502"},
		"u06-neg-cl":           {Protocol, "502"},
		"u09-chunk-cut":        {"aborted", "200"},
		"u13-code-99":          {Protocol, "502"},
		"u14-code-1000":        {Protocol, "502"},
		"u17-1xx-flood":        {Protocol, "502"},
		"u23-trailer-override": {"", "200"},
		"u28-fold":             {"", "X-A: a b"},
		"u29-bare-cr":          {Protocol, "502"},
		"u31-location-crlf":    {"", "Location: /x%0d%0aSet-Cookie:%20a=b\r\n"},
		"u37-401-basic":        {"", "Www-Authenticate: Basic realm=\"x\"\r\n"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			answer, err := os.ReadFile(filepath.Join("..", "..", "testdata", "cases", "upstream-responses", name+".http")) //nolint:gosec // G304: names stand above
			if err != nil {
				t.Fatal(err)
			}
			up := upstream(t, func(c *net.TCPConn, br *bufio.Reader, _ int) {
				readHead(br)
				_, _ = c.Write(answer)
			})
			g := front(t, HTTP1Options{Address: up.addr}, nil)
			got := exchangeRaw(t, g, get)
			err = <-g.errs
			if outcome(err) != tt.kind {
				t.Errorf("got %v, want %q", err, tt.kind)
			}
			if !strings.Contains(got, tt.want) || strings.Contains(got, "Set-Cookie: ") {
				t.Errorf("the visitor got %.200q", got)
			}
			if tt.kind == "aborted" && strings.HasSuffix(got, "0\r\n\r\n") {
				t.Error("half an answer looks whole")
			}
		})
	}
}

func TestForwardHalfAnAnswerNeverLooksWhole(t *testing.T) {
	reset := func(c *net.TCPConn) { _ = c.SetLinger(0) }
	tests := map[string]struct {
		answer string
		end    func(*net.TCPConn)
	}{
		"length":                 {"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf", nil},
		"chunk cut":              {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nhalf", nil},
		"last chunk missing":     {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n", nil},
		"trailers cut":           {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n0\r\nX-A: b\r\n", nil},
		"until close, but reset": {"HTTP/1.1 200 OK\r\n\r\nhalf", reset},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			relayed := make(chan struct{})
			up := upstream(t, func(c *net.TCPConn, br *bufio.Reader, _ int) {
				readHead(br)
				say(c, tt.answer)
				if tt.end != nil {
					<-relayed
					tt.end(c)
				}
			})
			g := front(t, HTTP1Options{Address: up.addr}, nil)
			_, br := ask(t, g, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			res, err := http.ReadResponse(br, nil) //nolint:bodyclose // closed below
			close(relayed)
			if err == nil {
				var b []byte
				b, err = io.ReadAll(res.Body)
				shut(res.Body)
				if len(b) > 4 {
					t.Errorf("read %q", b)
				}
			}
			if err == nil {
				t.Error("the visitor took half an answer for a whole one")
			}
		})
	}
}

func TestForwardErrors(t *testing.T) {
	t.Parallel()
	t.Run("nobody listens", func(t *testing.T) {
		l := listen(t, "tcp", "127.0.0.1:0")
		shut(l)
		g := front(t, HTTP1Options{Address: l.Addr().String()}, nil)
		exchangeRaw(t, g, get)
		if err := <-g.errs; kind(err) != Connect {
			t.Errorf("got %v", err)
		}
	})
	answers := map[string]struct {
		serve func(c *net.TCPConn, quit <-chan struct{})
		want  string
	}{
		"silence":                        {func(_ *net.TCPConn, quit <-chan struct{}) { <-quit }, Timeout},
		"silence after half a head":      {func(c *net.TCPConn, quit <-chan struct{}) { say(c, "HTTP/1.1 200 OK\r\nX-A"); <-quit }, Timeout},
		"silence after 1xx":              {func(c *net.TCPConn, quit <-chan struct{}) { say(c, "HTTP/1.1 102 x\r\n\r\n"); <-quit }, Timeout},
		"closed at once":                 {func(*net.TCPConn, <-chan struct{}) {}, Aborted},
		"closed after half a head":       {func(c *net.TCPConn, _ <-chan struct{}) { say(c, "HTTP/1.1 200 OK\r\nX-A") }, Aborted},
		"reset":                          {func(c *net.TCPConn, _ <-chan struct{}) { _ = c.SetLinger(0) }, Aborted},
		"closed after an interim answer": {func(c *net.TCPConn, _ <-chan struct{}) { say(c, "HTTP/1.1 103 x\r\n\r\n") }, Aborted},
	}
	for name, tt := range answers {
		t.Run(name, func(t *testing.T) {
			quit := make(chan struct{})
			up := upstream(t, func(c *net.TCPConn, br *bufio.Reader, _ int) {
				readHead(br)
				tt.serve(c, quit)
			})
			g := front(t, HTTP1Options{Address: up.addr, Timeouts: Timeouts{Response: 150 * time.Millisecond}}, nil)
			got := exchangeRaw(t, g, get)
			close(quit)
			if err := <-g.errs; kind(err) != tt.want {
				t.Errorf("got %v, want kind %s", err, tt.want)
			}
			if !strings.Contains(got, "HTTP/1.1 502") || strings.Contains(got, "X-A") {
				t.Errorf("the visitor got %q", got)
			}
			if n := up.conns.Load(); n != 1 {
				t.Errorf("%d connections: a fresh one must not be tried twice", n)
			}
		})
	}
}

func TestForwardAnswerHook(t *testing.T) {
	up := says(t, "HTTP/1.1 103 x\r\nLink: </x>\r\n\r\nHTTP/1.1 200 OK\r\nX-Secret: s\r\nContent-Length: 2\r\n\r\nok")
	t.Run("sees and changes each head", func(t *testing.T) {
		var seen []int
		g := front(t, HTTP1Options{Address: up.addr}, func(r *Request) {
			r.Answer = func(status int, h http.Header) error {
				seen = append(seen, status)
				h.Del("X-Secret")
				h.Set("X-Added", "1")
				return nil
			}
		})
		got := exchangeRaw(t, g, get)
		if fmt.Sprint(seen) != "[103 200]" || strings.Contains(got, "Secret") || strings.Count(got, "X-Added: 1\r\n") != 2 {
			t.Errorf("saw %v, the visitor got %q", seen, got)
		}
	})
	t.Run("refuses", func(t *testing.T) {
		no := errors.New("no")
		g := front(t, HTTP1Options{Address: up.addr}, func(r *Request) {
			r.Answer = func(int, http.Header) error { return no }
		})
		got := exchangeRaw(t, g, get)
		if err := <-g.errs; kind(err) != Refused || !errors.Is(err, no) {
			t.Errorf("got %v", err)
		}
		if strings.Contains(got, "Link") {
			t.Errorf("fields of a refused answer are left: %q", got)
		}
	})
}

func TestForwardKeepsTheCallersOwnFields(t *testing.T) {
	up := says(t, "HTTP/1.1 200 OK\r\nConnection: X-Request-Id\r\nX-Request-Id: theirs\r\nContent-Length: 0\r\n\r\n")
	u := NewHTTP1(HTTP1Options{Address: up.addr})
	defer u.Close()
	w := httptest.NewRecorder()
	w.Header().Set("X-Request-Id", "ours")
	if err := u.Forward(w, request(httptest.NewRequestWithContext(t.Context(), "GET", "/", nil))); err != nil {
		t.Fatal(err)
	}
	if got := w.Header()["X-Request-Id"]; len(got) != 1 || got[0] != "ours" {
		t.Errorf("got %q", got)
	}
}

func TestForwardUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.sock")
	l := listen(t, "unix", path)
	body := strings.Repeat("x", 1<<20)
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { //nolint:gosec // a test
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		say(w, body)
	})}
	go func() { _ = s.Serve(l) }()
	defer shut(s)
	g := front(t, HTTP1Options{Network: "unix", Address: path}, nil)
	for range 3 {
		if got := exchangeRaw(t, g, get); !strings.HasSuffix(got, "\r\n\r\n"+body) {
			t.Errorf("got %d bytes", len(got))
		}
	}
	if n := len(g.idle()); n != 1 {
		t.Errorf("%d idle connections, want the same one each time", n)
	}
}

func TestForwardOverHTTP2(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
			t.Error(err)
		}
		w.Header().Set("Trailer", "X-Sum")
		w.WriteHeader(http.StatusEarlyHints)
		n, _ := io.Copy(w, r.Body)
		w.Header().Set("X-Sum", strconv.FormatInt(n, 10))
	}))
	defer up.Close()
	g := unstarted(t, HTTP1Options{Address: up.Listener.Addr().String()}, nil)
	g.EnableHTTP2 = true
	g.StartTLS()
	body := strings.Repeat("x", 1<<20)
	res, err := g.Client().Do(post(t, g.URL, io.MultiReader(strings.NewReader(body))))
	if err != nil {
		t.Fatal(err)
	}
	defer shut(res.Body)
	b, err := io.ReadAll(res.Body)
	if err != nil || string(b) != body || res.ProtoMajor != 2 || res.Trailer.Get("X-Sum") != strconv.Itoa(len(body)) {
		t.Errorf("got %d bytes over %s, trailers %v, %v", len(b), res.Proto, res.Trailer, err)
	}
	g.Client().CloseIdleConnections()
}

// Answers must reach those who asked, whatever goes on at the same time.
func TestForwardManyAtOnce(t *testing.T) {
	up := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b, _ := io.ReadAll(r.Body)
		if len(b)%3 == 0 {
			w.(http.Flusher).Flush()
		}
		_, _ = fmt.Fprintf(w, "%s %s", r.URL.Path, b) //nolint:gosec // G705: read by the test alone
	}))
	defer up.Close()
	g := front(t, HTTP1Options{Address: up.Listener.Addr().String()}, nil)
	client := &http.Client{Transport: &http.Transport{}}
	defer client.CloseIdleConnections()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for j := range 25 {
				body := strings.Repeat(strconv.Itoa(i), j*j*100)
				want := fmt.Sprintf("/%d/%d %s", i, j, body)
				res, err := client.Do(post(t, fmt.Sprintf("%s/%d/%d", g.URL, i, j), strings.NewReader(body))) //nolint:bodyclose // closed below
				if err != nil {
					t.Error(err)
					return
				}
				b, err := io.ReadAll(res.Body)
				shut(res.Body)
				if err != nil || string(b) != want {
					t.Errorf("got %.30q (%d bytes), %v, want %.30q (%d)", b, len(b), err, want, len(want))
				}
			}
		})
	}
	wg.Wait()
}

func post(t *testing.T, url string, body io.Reader) *http.Request {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
	if err != nil {
		t.Error(err)
	}
	return req
}
