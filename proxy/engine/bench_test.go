package engine

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"
)

// BenchmarkForward carries a small answer; engine-only leaves net/http's
// server out. Compare it with BenchmarkReverseProxy.
func BenchmarkForward(b *testing.B) {
	for _, size := range []int{1 << 10, 100 << 10} {
		b.Run(fmt.Sprintf("engine-only/%d", size), func(b *testing.B) {
			up := NewHTTP1(HTTP1Options{Address: benchUpstream(b, size).addr, Timeouts: short})
			defer up.Close()
			in := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/x", nil)
			header := HeaderOf(http.Header{"Accept": {"*/*"}, "User-Agent": {"bench"}, "X-Forwarded-For": {"192.0.2.1"}})
			w := &discard{h: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.h)
				r := Request{In: in, Method: "GET", Target: "/x", Host: "a.test", Header: header}
				if err := up.Forward(w, &r); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("served/%d", size), func(b *testing.B) {
			benchServed(b, front(b, HTTP1Options{Address: benchUpstream(b, size).addr}, func(*Request) {}).Listener.Addr().String(), size)
		})
	}
}

// BenchmarkTransport carries the same over http.Transport.
func BenchmarkTransport(b *testing.B) {
	for _, size := range []int{1 << 10, 100 << 10} {
		b.Run(fmt.Sprintf("served/%d", size), func(b *testing.B) {
			up := NewTransport(TransportOptions{Address: benchUpstream(b, size).addr, Timeouts: short})
			defer up.Close()
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, in *http.Request) {
				if err := up.Forward(w, request(in)); err != nil {
					b.Error(err)
				}
			}))
			defer s.Close()
			benchServed(b, s.Listener.Addr().String(), size)
		})
	}
}

func BenchmarkReverseProxy(b *testing.B) {
	for _, size := range []int{1 << 10, 100 << 10} {
		b.Run(fmt.Sprintf("served/%d", size), func(b *testing.B) {
			target := &url.URL{Scheme: "http", Host: benchUpstream(b, size).addr}
			tr := &http.Transport{DisableCompression: true}
			defer tr.CloseIdleConnections()
			s := httptest.NewServer(&httputil.ReverseProxy{
				Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(target); r.SetXForwarded() },
				Transport: tr,
			})
			defer s.Close()
			benchServed(b, s.Listener.Addr().String(), size)
		})
	}
}

func benchAnswer(size int) string {
	return fmt.Sprintf("HTTP/1.1 200 OK\r\nServer: bench\r\nDate: Sun, 22 Nov 2026 12:00:00 GMT\r\nContent-Type: text/plain\r\n"+
		"Content-Length: %d\r\nLast-Modified: Sun, 22 Nov 2026 12:00:00 GMT\r\nETag: \"x\"\r\nAccept-Ranges: bytes\r\n\r\n%s",
		size, strings.Repeat("x", size))
}

// benchServed asks over one connection of its own, which allocates nothing.
func benchServed(b *testing.B, addr string, size int) {
	b.Helper()
	c, err := new(net.Dialer).DialContext(b.Context(), "tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer shut(c)
	br := bufio.NewReaderSize(c, 64<<10)
	ask := []byte("GET /x HTTP/1.1\r\nHost: a.test\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n")
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Write(ask); err != nil {
			b.Fatal(err)
		}
		for {
			line, err := br.ReadSlice('\n')
			if err != nil {
				b.Fatal(err)
			}
			if len(line) == 2 {
				break
			}
		}
		if _, err := br.Discard(size); err != nil {
			b.Fatal(err)
		}
	}
}

// benchUpstream answers each request with the same bytes and allocates
// nothing meanwhile.
func benchUpstream(b *testing.B, size int) *rawUpstream {
	b.Helper()
	answer := []byte(benchAnswer(size))
	return upstream(b, func(c *net.TCPConn, br *bufio.Reader, _ int) {
		for {
			line, err := br.ReadSlice('\n')
			if err != nil {
				return
			}
			if len(line) == 2 {
				_, _ = c.Write(answer)
			}
		}
	})
}

// discard is a visitor who takes everything.
type discard struct{ h http.Header }

func (d *discard) Header() http.Header              { return d.h }
func (d *discard) WriteHeader(int)                  {}
func (d *discard) Write(p []byte) (int, error)      { return len(p), nil }
func (d *discard) FlushError() error                { return nil }
func (d *discard) SetWriteDeadline(time.Time) error { return nil }
