package engine

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"
)

// takes is an upstream that reads n bytes behind the head, answers ok, and
// hands over what it read.
func takes(t *testing.T, n int) (*rawUpstream, <-chan string) {
	t.Helper()
	got := make(chan string, 10)
	return upstream(t, func(c *net.TCPConn, br *bufio.Reader, _ int) {
		head := readHead(br)
		b := make([]byte, n)
		_, _ = io.ReadFull(br, b)
		got <- head + string(b)
		say(c, ok)
	}), got
}

func TestRequestBodies(t *testing.T) {
	big := strings.Repeat("b", smallBody+1)
	const begin = " / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n"
	tests := []struct{ name, sent, want string }{
		{"none", "GET" + begin + "\r\n", "GET / HTTP/1.1\r\nHost: a\r\n\r\n"},
		{"POST without a body", "POST" + begin + "\r\n", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"},
		{"length 0", "DELETE" + begin + "Content-Length: 0\r\n\r\n", "DELETE / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"},
		{"small", "POST" + begin + "Content-Length: 3\r\n\r\nabc", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc"},
		{"GET with a body", "GET" + begin + "Content-Length: 3\r\n\r\nabc", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"},
		{
			"large", fmt.Sprintf("PUT%sContent-Length: %d\r\n\r\n%s", begin, len(big), big),
			fmt.Sprintf("PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%s", len(big), big),
		},
		{"chunked, empty", "POST" + begin + "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"},
		{"chunked", "POST" + begin + "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
		{
			"trailers that were announced", "POST" + begin + "Transfer-Encoding: chunked\r\nTrailer: X-Sum, X-Absent\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 9\r\nX-Not-Announced: 1\r\n\r\n",
			"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: X-Absent, X-Sum\r\n\r\n3\r\nabc\r\n0\r\nX-Sum: 9\r\n\r\n",
		},
		{
			"trailers that may not be", "POST" + begin + "Transfer-Encoding: chunked\r\nTrailer: Cookie, X-Taken-Out\r\n\r\n0\r\nCookie: a=b\r\nX-Taken-Out: 1\r\n\r\n",
			"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			i := strings.Index(tt.want, "\r\n\r\n") + 4
			up, got := takes(t, len(tt.want)-i)
			g := front(t, HTTP1Options{Address: up.addr}, func(r *Request) {
				r.Header = nil
				delete(r.In.Trailer, "X-Taken-Out")
			})
			if answer := exchangeRaw(t, g, tt.sent); !strings.HasSuffix(answer, "ok") {
				t.Errorf("the visitor got %q", answer)
			}
			if s := <-got; s != tt.want {
				t.Errorf("the upstream got %.200q, want %.200q", s, tt.want)
			}
		})
	}
}

// Half a body must never look whole to the upstream.
func TestAbortedBodyNeverLooksWhole(t *testing.T) {
	half := strings.Repeat("h", 40<<10)
	tests := map[string]string{
		"length":            "Content-Length: 100000\r\n\r\n" + half,
		"chunked":           "Transfer-Encoding: chunked\r\n\r\na000\r\n" + half + "\r\n",
		"inside a chunk":    "Transfer-Encoding: chunked\r\n\r\nb000\r\n" + half,
		"malformed chunk":   "Transfer-Encoding: chunked\r\n\r\na000\r\n" + half + "\r\nxyz\r\n",
		"trailers cut":      "Transfer-Encoding: chunked\r\n\r\na000\r\n" + half + "\r\n0\r\nX-A: b",
		"small, cut early ": "Content-Length: 100\r\n\r\nh",
	}
	for name, rest := range tests {
		t.Run(name, func(t *testing.T) {
			got := make(chan string, 1)
			up := upstream(t, func(_ *net.TCPConn, br *bufio.Reader, _ int) {
				b, _ := io.ReadAll(br)
				got <- string(b)
			})
			g := front(t, HTTP1Options{Address: up.addr}, nil)
			c, _ := ask(t, g, "POST / HTTP/1.1\r\nHost: a\r\n"+rest)
			_ = c.(*net.TCPConn).CloseWrite()
			if err := <-g.errs; kind(err) != VisitorFault {
				t.Errorf("got %v, want kind %s", err, VisitorFault)
			}
			if up.conns.Load() == 0 {
				return // the best answer
			}
			s := <-got
			if strings.HasSuffix(s, "0\r\n\r\n") || len(s) > len(half)+500 {
				t.Errorf("the upstream got %d bytes, the last of them %q", len(s), s[max(0, len(s)-20):])
			}
		})
	}
}

func TestMaxBody(t *testing.T) {
	tests := map[string]struct {
		rest  string
		conns int32
	}{
		"declared": {"Content-Length: 50000\r\n\r\n", 0},
		"chunked":  {"Transfer-Encoding: chunked\r\n\r\na000\r\n" + strings.Repeat("x", 40<<10) + "\r\na000\r\n" + strings.Repeat("x", 40<<10) + "\r\n0\r\n\r\n", 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			got := make(chan int, 1)
			up := upstream(t, func(_ *net.TCPConn, br *bufio.Reader, _ int) {
				b, _ := io.ReadAll(br)
				got <- strings.Count(string(b), "x")
			})
			g := front(t, HTTP1Options{Address: up.addr}, func(r *Request) { r.MaxBody = 45000 })
			_, br := ask(t, g, "POST / HTTP/1.1\r\nHost: a\r\n"+tt.rest)
			if line, _ := br.ReadString('\n'); !strings.Contains(line, "502") {
				t.Errorf("the visitor got %q", line)
			}
			if err := <-g.errs; kind(err) != TooLarge {
				t.Errorf("got %v, want kind %s", err, TooLarge)
			}
			if tt.conns > 0 { // first, because a connection is counted only once it was accepted
				if n := <-got; n > 45000 {
					t.Errorf("the upstream got %d bytes", n)
				}
			}
			if n := up.conns.Load(); n != tt.conns {
				t.Errorf("%d connections, want %d", n, tt.conns)
			}
		})
	}
}

func TestExpectContinue(t *testing.T) {
	t.Parallel()
	const head = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
	t.Run("the upstream's 100 is relayed, and not before", func(t *testing.T) {
		word := make(chan struct{})
		got := make(chan string, 1)
		up := upstream(t, func(c *net.TCPConn, br *bufio.Reader, _ int) {
			if !strings.Contains(readHead(br), "Expect: 100-continue\r\n") {
				t.Error("the expectation did not arrive")
			}
			<-word
			say(c, "HTTP/1.1 100 Continue\r\n\r\n")
			b := make([]byte, 4)
			_, _ = io.ReadFull(br, b)
			got <- string(b)
			say(c, ok)
		})
		g := front(t, HTTP1Options{Address: up.addr}, nil)
		c, br := ask(t, g, head)
		_ = c.SetReadDeadline(time.Now().Add(150 * time.Millisecond))
		if b, err := br.ReadByte(); err == nil {
			t.Fatalf("%q came before the upstream's word", b)
		}
		_ = c.SetReadDeadline(time.Now().Add(10 * time.Second))
		close(word)
		if h := readHead(br); h != "HTTP/1.1 100 Continue\r\n\r\n" {
			t.Fatalf("got %q", h)
		}
		say(c, "body")
		if b, _ := io.ReadAll(br); !strings.HasPrefix(string(b), "HTTP/1.1 200") || !strings.HasSuffix(string(b), "ok") {
			t.Errorf("got %q", b)
		}
		if b := <-got; b != "body" {
			t.Errorf("the upstream got %q", b)
		}
	})
	t.Run("a final answer comes instead", func(t *testing.T) {
		up := says(t, "HTTP/1.1 417 No\r\nContent-Length: 2\r\n\r\nno")
		g := front(t, HTTP1Options{Address: up.addr}, nil)
		got := exchangeRaw(t, g, strings.Replace(head, "Connection: close\r\n", "", 1))
		if !strings.HasPrefix(got, "HTTP/1.1 417") || !strings.HasSuffix(got, "no") || strings.Contains(got, "100 Continue") {
			t.Errorf("got %q", got)
		}
		if len(g.idle()) > 0 {
			t.Error("a connection that still waits for a body was kept")
		}
	})
	t.Run("an upstream that never heard of it", func(t *testing.T) {
		up, got := takes(t, 4)
		g := front(t, HTTP1Options{Address: up.addr, Continue: 50 * time.Millisecond}, nil)
		c, br := ask(t, g, head)
		if h := readHead(br); h != "HTTP/1.1 100 Continue\r\n\r\n" {
			t.Fatalf("got %q", h)
		}
		say(c, "body")
		if b, _ := io.ReadAll(br); !strings.HasSuffix(string(b), "ok") {
			t.Errorf("got %q", b)
		}
		if s := <-got; !strings.HasSuffix(s, "\r\n\r\nbody") {
			t.Errorf("the upstream got %q", s)
		}
	})
	t.Run("HTTP/1.0 knows no 100", func(t *testing.T) {
		up, got := takes(t, 4)
		g := front(t, HTTP1Options{Address: up.addr}, nil)
		if s := exchangeRaw(t, g, strings.Replace(head, "HTTP/1.1", "HTTP/1.0", 1)+"body"); !strings.HasSuffix(s, "ok") {
			t.Errorf("got %q", s)
		}
		if s := <-got; strings.Contains(s, "Expect") {
			t.Errorf("the upstream got %q", s)
		}
	})
}

// An upstream may answer before it has the body. Whatever it does then, the
// answer counts.
func TestEarlyAnswer(t *testing.T) {
	t.Parallel()
	const early = "HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nearly"
	tests := map[string]func(c *net.TCPConn, br *bufio.Reader){
		"keeps reading": func(c *net.TCPConn, br *bufio.Reader) { say(c, early); _, _ = io.Copy(io.Discard, br) },
		"stops reading": func(c *net.TCPConn, _ *bufio.Reader) {
			say(c, early)
			_ = c.SetReadBuffer(1)
			_, _ = io.ReadFull(c, make([]byte, 1))
		},
		"closes": func(c *net.TCPConn, _ *bufio.Reader) { say(c, early) },
		"says close": func(c *net.TCPConn, br *bufio.Reader) {
			say(c, strings.Replace(early, "\r\n", "\r\nConnection: close\r\n", 1))
			_, _ = io.Copy(io.Discard, br)
		},
		"half-closes and reads on": func(c *net.TCPConn, br *bufio.Reader) {
			say(c, early)
			_ = c.CloseWrite()
			_, _ = io.Copy(io.Discard, br)
		},
	}
	for name, serve := range tests {
		t.Run(name, func(t *testing.T) {
			up := upstream(t, func(c *net.TCPConn, br *bufio.Reader, _ int) {
				readHead(br)
				serve(c, br)
			})
			g := front(t, HTTP1Options{Address: up.addr}, nil)
			c, br := ask(t, g, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n")
			go pour(c, 100000000) // fails when the answer is there
			if h := readHead(br); !strings.HasPrefix(h, "HTTP/1.1 413") || !strings.Contains(h, "Connection: close\r\n") {
				t.Errorf("the visitor got %q", h)
			}
			b := make([]byte, 5)
			if _, err := io.ReadFull(br, b); string(b) != "early" {
				t.Errorf("the visitor got %q, %v", b, err)
			}
			shut(c)
			g.wait(t)
		})
	}
}

// After an early answer that does not refuse the body, the body goes on.
func TestBodyGoesOnAfterEarlyAnswer(t *testing.T) {
	const size = 4 << 20
	got := make(chan int64, 1)
	up := upstream(t, func(c *net.TCPConn, br *bufio.Reader, _ int) {
		readHead(br)
		say(c, ok)
		n, _ := io.Copy(io.Discard, io.LimitReader(br, size))
		got <- n
	})
	g := front(t, HTTP1Options{Address: up.addr}, nil)
	c, br := ask(t, g, fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size))
	if h := readHead(br); !strings.HasPrefix(h, "HTTP/1.1 200") {
		t.Fatalf("got %q", h)
	}
	_, _ = io.CopyN(c, zeros{}, size)
	if n := <-got; n != size {
		t.Errorf("the upstream got %d bytes", n)
	}
	if err := <-g.errs; err != nil {
		t.Error(err)
	}
}

// An upstream that echoes must not make both sides wait for each other.
func TestEcho(t *testing.T) {
	const size = 8 << 20
	up := upstream(t, func(c *net.TCPConn, br *bufio.Reader, _ int) {
		readHead(br)
		_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size)
		_, _ = io.Copy(c, io.LimitReader(br, size))
	})
	g := front(t, HTTP1Options{Address: up.addr}, nil)
	c, br := ask(t, g, fmt.Sprintf("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n", size))
	go pour(c, size)
	readHead(br)
	if n, err := io.Copy(io.Discard, io.LimitReader(br, size)); n != size {
		t.Errorf("got %d bytes back, %v", n, err)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

func pour(w io.Writer, n int64) { _, _ = io.CopyN(w, zeros{}, n) }

// A body's reader that panics on the sender's goroutine must not end the
// process.
func TestPanickingBody(t *testing.T) {
	up := upstream(t, func(_ *net.TCPConn, br *bufio.Reader, _ int) { _, _ = io.Copy(io.Discard, br) })
	g := front(t, HTTP1Options{Address: up.addr}, func(r *Request) {
		r.In = r.In.Clone(r.In.Context())
		r.In.Body = io.NopCloser(panicky{})
		r.In.ContentLength = -1
	})
	if got := exchangeRaw(t, g, get); !strings.Contains(got, "X-Kind: visitor") {
		t.Errorf("got %q", got)
	}
}

type panicky struct{}

func (panicky) Read([]byte) (int, error) { panic("broken reader") }

// A body of any size must pass in constant memory, in either direction.
func TestConstantMemory(t *testing.T) {
	const size, rest = 1 << 30, 128 << 20 // the first goes from socket to socket
	up := upstream(t, func(c *net.TCPConn, br *bufio.Reader, _ int) {
		for {
			switch method, _, _ := strings.Cut(readHead(br), " "); method {
			case "GET":
				_, _ = fmt.Fprintf(c, "HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size)
				_, _ = io.CopyN(c, zeros{}, size)
			case "POST":
				_, _ = io.CopyN(io.Discard, br, rest)
				say(c, "HTTP/1.1 200 OK\r\n\r\n")
				_, _ = io.CopyN(c, zeros{}, rest)
				return
			default:
				return
			}
		}
	})
	g := front(t, HTTP1Options{Address: up.addr}, nil)
	peak := watchHeap(t)

	_, br := ask(t, g, get)
	readHead(br)
	if n, err := io.Copy(io.Discard, br); n != size {
		t.Errorf("%d bytes, %v", n, err)
	}
	req := httptest.NewRequestWithContext(t.Context(), http.MethodPost, g.URL, io.LimitReader(zeros{}, rest))
	req.RequestURI = ""
	req.ContentLength = rest
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer shut(res.Body)
	if n, err := io.Copy(io.Discard, res.Body); n != rest || err != nil {
		t.Errorf("%d bytes, %v", n, err)
	}
	if grown := peak(); grown > 16<<20 {
		t.Errorf("the heap has grown by %d KiB", grown>>10)
	}
}

// watchHeap measures the heap until the function that it returns is called,
// which returns by how much it has grown at most.
func watchHeap(t *testing.T) func() int64 {
	t.Helper()
	heap := func() int64 {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc) //nolint:gosec // G115: no heap is that large
	}
	runtime.GC()
	before, peak := heap(), int64(0)
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
				peak = max(peak, heap())
			}
		}
	}()
	return func() int64 {
		close(quit)
		<-done
		return peak - before
	}
}
