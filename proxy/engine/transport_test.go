package engine

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/web"
)

// patient is for handshakes on a busy machine.
var patient = Timeouts{Connect: 10 * time.Second, Response: 10 * time.Second, Stall: 10 * time.Second}

// sealed is upstream with TLS; the options lead there.
func sealed(t *testing.T, serve func(c net.Conn, br *bufio.Reader, n int)) (*rawUpstream, TransportOptions) {
	t.Helper()
	s := httptest.NewTLSServer(nil)
	own := &tls.Config{Certificates: s.TLS.Certificates, MinVersion: tls.VersionTLS12}
	roots := s.Client().Transport.(*http.Transport).TLSClientConfig.RootCAs //nolint:forcetypeassert // it is one
	s.Close()
	u := upstream(t, func(c *net.TCPConn, _ *bufio.Reader, n int) {
		tc := tls.Server(c, own)
		serve(tc, bufio.NewReader(tc), n)
		_ = tc.CloseWrite()
	})
	return u, TransportOptions{Address: u.addr, TLS: &tls.Config{RootCAs: roots, ServerName: "example.com", MinVersion: tls.VersionTLS12}, Timeouts: patient}
}

// before starts a gate in front of any upstream.
func before(t *testing.T, up Upstream, change func(*Request)) *gate {
	t.Helper()
	g := &gate{errs: make(chan error, 1000)}
	h := http.HandlerFunc(func(w http.ResponseWriter, in *http.Request) {
		r := request(in)
		if change != nil {
			change(r)
		}
		w.Header().Set("X-Own", "1")
		defer func() {
			if v := recover(); v != nil {
				g.note(errors.New("aborted"))
				panic(v)
			}
		}()
		err := up.Forward(w, r)
		if err != nil {
			for name := range w.Header() {
				if name != "X-Own" && name != "Connection" {
					t.Errorf("the upstream's %s is left after %v", name, err)
				}
			}
			w.Header().Set("X-Kind", kind(err))
			w.WriteHeader(http.StatusBadGateway)
		}
		g.note(err)
	})
	g.Server = httptest.NewUnstartedServer(web.Chain(h, web.RecordAnswer()))
	knowsVisitors(g.Config)
	g.Start()
	t.Cleanup(func() {
		g.Close()
		up.Close()
	})
	return g
}

// heard is hears with TLS.
func heard(t *testing.T, answer string) (o TransportOptions, asked *atomic.Int32, end <-chan struct{}) {
	t.Helper()
	ended := make(chan struct{}, 10)
	asked = new(atomic.Int32)
	_, o = sealed(t, func(c net.Conn, br *bufio.Reader, _ int) {
		readHead(br)
		asked.Add(1)
		say(c, answer)
		_, _ = io.Copy(io.Discard, br)
		ended <- struct{}{}
	})
	return o, asked, ended
}

func TestTransportVisitorLeaves(t *testing.T) {
	tests := []struct{ name, request, answer, waitFor string }{
		{"while the upstream is silent", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "", ""},
		{"in an event stream", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n", "data: 1"},
		{"in a chunked answer", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n", "abc"},
		{"in an answer of known length", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\nabc", "abc"},
		{"in its own body", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\nabc", "HTTP/1.1 102 x\r\n\r\n", "102"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o, asked, ended := heard(t, tt.answer)
			o.Timeouts = Timeouts{Connect: 10 * time.Second}
			g := before(t, NewTransport(o), nil)
			c, br := ask(t, g, tt.request)
			seen := ""
			for !strings.Contains(seen, tt.waitFor) {
				b, err := br.ReadByte()
				if err != nil {
					t.Fatalf("%v after %q", err, seen)
				}
				seen += string(b)
			}
			within(t, "the upstream to be asked", func() bool { return asked.Load() > 0 })
			shut(c)
			select {
			case <-ended:
			case <-time.After(5 * time.Second):
				t.Fatal("the upstream was not told")
			}
			if err := <-g.errs; kind(err) != VisitorFault && (err == nil || err.Error() != "aborted") {
				t.Errorf("got %v", err)
			}
		})
	}
}

// An upstream that answers our leave with one of its own must not make half an
// answer look whole to a visitor whose session has ended.
func TestTransportBrokenOffAnswerNeverLooksWhole(t *testing.T) {
	for range 20 { // it is a race
		o, _, _ := heard(t, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: 1\n\n")
		var b Canceler
		g := before(t, NewTransport(o), func(r *Request) { r.Breaker = &b })
		_, br := ask(t, g, get)
		readHead(br)
		if line, _ := br.ReadString('1'); !strings.Contains(line, "data: 1") {
			t.Fatalf("the visitor got %q", line)
		}
		b.Break()
		if rest, _ := io.ReadAll(br); strings.HasSuffix(string(rest), "0\r\n\r\n") {
			t.Error("the answer looks whole")
		}
		if err := <-g.errs; err == nil || err.Error() != "aborted" {
			t.Errorf("got %v", err)
		}
	}
}

func TestTransportVisitorStallsSending(t *testing.T) {
	t.Parallel()
	for name, rest := range map[string]string{
		"known length": "Content-Length: 100000\r\n\r\nabc",
		"chunked":      "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			o, _, _ := heard(t, "")
			o.Timeouts = Timeouts{Stall: 200 * time.Millisecond}
			g := before(t, NewTransport(o), nil)
			c, _ := ask(t, g, "POST / HTTP/1.1\r\nHost: a\r\n"+rest)
			defer shut(c)
			if err := <-g.errs; kind(err) != VisitorFault {
				t.Errorf("got %v, want kind %s", err, VisitorFault)
			}
		})
	}
}

func TestTransportVisitorStallsTaking(t *testing.T) {
	t.Parallel()
	for name, head := range map[string]string{
		"known length": fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", 1<<30),
		"unknown":      "HTTP/1.1 200 OK\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			_, o := sealed(t, func(c net.Conn, br *bufio.Reader, _ int) {
				readHead(br)
				say(c, head)
				pour(c, 1<<30)
			})
			o.Timeouts = Timeouts{Stall: 200 * time.Millisecond}
			g := before(t, NewTransport(o), nil)
			c, _ := ask(t, g, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")
			defer shut(c)
			select {
			case err := <-g.errs:
				if err == nil || err.Error() != "aborted" {
					t.Errorf("got %v", err)
				}
			case <-time.After(10 * time.Second):
				t.Fatal("the visitor is waited for")
			}
		})
	}
}

// Half an answer must not look whole.
func TestTransportUpstreamBreaksOff(t *testing.T) {
	for name, answer := range map[string]string{
		"known length": "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf",
		"chunked":      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n",
		"in a chunk":   "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\nhalf",
	} {
		t.Run(name, func(t *testing.T) {
			_, o := sealed(t, func(c net.Conn, br *bufio.Reader, _ int) {
				readHead(br)
				say(c, answer)
			})
			g := before(t, NewTransport(o), nil)
			_, br := ask(t, g, get)
			res, err := http.ReadResponse(br, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer shut(res.Body)
			if _, err := io.ReadAll(res.Body); err == nil {
				t.Error("the answer looks whole")
			}
			if err := <-g.errs; err == nil || err.Error() != "aborted" {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestTransportRelaysInterimAnswersAndTrailers(t *testing.T) {
	got := make(chan string, 1)
	_, o := sealed(t, func(c net.Conn, br *bufio.Reader, _ int) {
		head := readHead(br)
		b, _ := io.ReadAll(io.LimitReader(br, int64(len("5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n"))))
		got <- head + string(b)
		say(c, "HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\nX-Own: 2\r\n\r\n")
		say(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: X-Hop\r\nX-Hop: 1\r\nX-Own: 2\r\n\r\n2\r\nok\r\n0\r\nX-Check: 7\r\nSet-Cookie: a=b\r\n\r\n")
	})
	g := before(t, NewTransport(o), nil)
	s := exchangeRaw(t, g, "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTrailer: X-Sum\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n")
	if !strings.HasPrefix(s, "HTTP/1.1 103 Early Hints\r\n") || !strings.Contains(s, "Link: </a.css>") || !strings.HasSuffix(s, "2\r\nok\r\n0\r\nX-Check: 7\r\n\r\n") {
		t.Errorf("the visitor got %q", s)
	}
	if strings.Contains(s, "X-Hop") || strings.Contains(s, "X-Own: 2") || strings.Contains(s, "Set-Cookie") {
		t.Errorf("the visitor got %q", s)
	}
	if r := <-got; !strings.Contains(r, "Trailer: X-Sum\r\n") || !strings.HasSuffix(r, "0\r\nX-Sum: 1\r\n\r\n") {
		t.Errorf("the upstream got %q", r)
	}
}

func TestTransportAnswerHookRefuses(t *testing.T) {
	for name, answer := range map[string]string{
		"an interim answer": "HTTP/1.1 103 Early Hints\r\nX-Bad: 1\r\n\r\n" + ok,
		"the final answer":  "HTTP/1.1 200 OK\r\nX-Bad: 1\r\nContent-Length: 2\r\n\r\nok",
	} {
		t.Run(name, func(t *testing.T) {
			o, _, _ := heard(t, answer)
			g := before(t, NewTransport(o), func(r *Request) {
				r.Answer = func(_ int, h http.Header) error {
					if h.Get("X-Bad") != "" {
						return errors.New("bad")
					}
					return nil
				}
			})
			if s := exchangeRaw(t, g, get); !strings.Contains(s, "X-Kind: refused") {
				t.Errorf("the visitor got %q", s)
			}
		})
	}
}

func TestTransportEarlyAnswer(t *testing.T) {
	t.Parallel()
	const early = "HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nearly"
	for name, after := range map[string]func(c net.Conn, br *bufio.Reader){
		"keeps reading": func(_ net.Conn, br *bufio.Reader) { _, _ = io.Copy(io.Discard, br) },
		"half-closes and reads on": func(c net.Conn, br *bufio.Reader) {
			_ = c.(*tls.Conn).CloseWrite()
			_, _ = io.Copy(io.Discard, br)
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, o := sealed(t, func(c net.Conn, br *bufio.Reader, _ int) {
				readHead(br)
				say(c, early)
				after(c, br)
			})
			g := before(t, NewTransport(o), nil)
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

func TestTransportMaxBody(t *testing.T) {
	chunk := "a000\r\n" + strings.Repeat("x", 40<<10) + "\r\n"
	for name, rest := range map[string]string{
		"declared": "Content-Length: 50000\r\n\r\n",
		"chunked":  "Transfer-Encoding: chunked\r\n\r\n" + chunk + chunk + "0\r\n\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			got := make(chan int, 1)
			up, o := sealed(t, func(_ net.Conn, br *bufio.Reader, _ int) {
				b, _ := io.ReadAll(br)
				got <- strings.Count(string(b), "x")
				if strings.HasSuffix(string(b), "\r\n0\r\n\r\n") {
					t.Error("half a body looks whole")
				}
			})
			g := before(t, NewTransport(o), func(r *Request) { r.MaxBody = 45000 })
			_, br := ask(t, g, "POST / HTTP/1.1\r\nHost: a\r\n"+rest)
			if h := readHead(br); !strings.Contains(h, "X-Kind: too_large") || !strings.Contains(h, "Connection: close") {
				t.Errorf("the visitor got %q", h)
			}
			if name == "chunked" {
				if n := <-got; n > 45000 {
					t.Errorf("the upstream got %d bytes", n)
				}
			} else if up.conns.Load() > 0 {
				t.Error("the upstream was asked")
			}
		})
	}
}

// What may have been acted upon is not sent again.
func TestTransportRepeatsHarmlessRequestsOnly(t *testing.T) {
	for request, want := range map[string]string{
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n":                                                  "",
		"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 0\r\n\r\n":                            Aborted,
		"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nIdempotency-Key: 1\r\nContent-Length: 0\r\n\r\n":      Aborted,
		"DELETE / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n":                                               "",
		"BREW / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n":                                                 Aborted,
		"PUT / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello":                        Aborted,
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n": Aborted,
	} {
		t.Run(request, func(t *testing.T) {
			var second atomic.Int32
			_, o := sealed(t, func(c net.Conn, br *bufio.Reader, n int) {
				readHead(br)
				if n > 1 {
					second.Add(1)
				}
				say(c, ok)
				if readHead(br) != "" { // the connection dies with the request on it
					second.Add(1)
				}
			})
			g := before(t, NewTransport(o), nil)
			exchangeRaw(t, g, get)
			g.wait(t)
			exchangeRaw(t, g, request)
			if err := <-g.errs; outcome(err) != want {
				t.Errorf("got %v, want %q", err, want)
			}
			times := int32(1)
			if want == "" {
				times = 2
			}
			if n := second.Load(); n != times {
				t.Errorf("it was sent %d times, want %d", n, times)
			}
		})
	}
}

// An upstream that takes nothing of a body does not answer either.
func TestTransportUpstreamDoesNotTakeTheBody(t *testing.T) {
	t.Parallel()
	done := make(chan struct{})
	_, o := sealed(t, func(_ net.Conn, br *bufio.Reader, _ int) {
		readHead(br)
		<-done
	})
	o.Timeouts = Timeouts{Response: 300 * time.Millisecond}
	g := before(t, NewTransport(o), nil)
	c, _ := ask(t, g, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000000\r\n\r\n")
	go pour(c, 1000000000)
	select {
	case err := <-g.errs:
		if kind(err) != Timeout {
			t.Errorf("got %v, want kind %s", err, Timeout)
		}
	case <-time.After(10 * time.Second):
		t.Error("the upstream is waited for")
	}
	shut(c)
	close(done)
}

func TestTransportPanickingBody(t *testing.T) {
	o, _, _ := heard(t, "")
	g := before(t, NewTransport(o), func(r *Request) {
		r.In = r.In.Clone(r.In.Context())
		r.In.Body = io.NopCloser(panicky{})
		r.In.ContentLength = -1
	})
	if got := exchangeRaw(t, g, get); !strings.Contains(got, "X-Kind: visitor") {
		t.Errorf("got %q", got)
	}
}

func TestTransportRefusesWhatIsNoRequest(t *testing.T) {
	o, asked, _ := heard(t, ok)
	for name, change := range map[string]func(*Request){
		"CONNECT":               func(r *Request) { r.Method = http.MethodConnect },
		"method":                func(r *Request) { r.Method = "GE T" },
		"target":                func(r *Request) { r.Target = "/ HTTP/1.1\r\nX: y" },
		"host":                  func(r *Request) { r.Host = "a b" },
		"value":                 func(r *Request) { r.Header.Set("X-A", "1\r\nX-B: 2") },
		"name":                  func(r *Request) { r.Header.Set("X A", "1") },
		"upgrade":               func(r *Request) { r.Upgrade = "x\r\ny" },
		"path of two slashes":   func(r *Request) { r.Target = "//evil/%zz" },
		"target with a control": func(r *Request) { r.Target = "/\x00" },
	} {
		g := before(t, NewTransport(o), change)
		if got := exchangeRaw(t, g, get); !strings.Contains(got, "X-Kind: invalid") {
			t.Errorf("%s: got %q", name, got)
		}
	}
	if asked.Load() > 0 {
		t.Error("the upstream was asked")
	}
}

// An upstream may think about a request with a body for longer than a visitor
// may stall.
func TestSilentUpstreamAfterABody(t *testing.T) {
	t.Parallel()
	limit := 500 * time.Millisecond
	wait := func(c net.Conn, br *bufio.Reader) {
		readHead(br)
		_, _ = io.ReadFull(br, make([]byte, 5))
		<-time.After(2 * limit)
		say(c, ok)
	}
	const request = "POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 5\r\n\r\nhello"
	t.Run("http1", func(t *testing.T) {
		u := upstream(t, func(c *net.TCPConn, br *bufio.Reader, _ int) { wait(c, br) })
		g := before(t, NewHTTP1(HTTP1Options{Address: u.addr, Timeouts: Timeouts{Stall: limit}}), nil)
		if got := exchangeRaw(t, g, request); !strings.HasSuffix(got, "ok") {
			t.Errorf("got %q", got)
		}
	})
	t.Run("transport", func(t *testing.T) {
		_, o := sealed(t, func(c net.Conn, br *bufio.Reader, _ int) { wait(c, br) })
		o.Timeouts = Timeouts{Stall: limit}
		g := before(t, NewTransport(o), nil)
		if got := exchangeRaw(t, g, request); !strings.HasSuffix(got, "ok") {
			t.Errorf("got %q", got)
		}
	})
}

// An upstream that resets a stream is not waited for until the visitor has
// said something.
func TestH2CUpstreamResetsWhileTheVisitorIsSilent(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	defer s.Close()
	g := before(t, NewTransport(TransportOptions{Address: s.Listener.Addr().String(), H2C: true}), nil)
	_, br := ask(t, g, "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n")
	select {
	case err := <-g.errs:
		if k := kind(err); !slices.Contains([]string{Aborted, Protocol}, k) {
			t.Errorf("got %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("the visitor is waited for")
	}
	if h := readHead(br); !strings.Contains(h, "Connection: close") {
		t.Errorf("the visitor got %q", h)
	}
}

// Breaking off reaches an HTTP/2 upstream at once.
func TestH2CVisitorLeaves(t *testing.T) {
	ended := make(chan struct{})
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(ended)
	}))
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	s.Start()
	defer s.Close()
	g := before(t, NewTransport(TransportOptions{Address: s.Listener.Addr().String(), H2C: true, Timeouts: short}), nil)
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, g.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := g.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer shut(res.Body)
	cancel()
	select {
	case <-ended:
	case <-time.After(5 * time.Second):
		t.Error("the upstream was not told")
	}
	g.wait(t)
}
