package proxy

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"
	"time"

	"gatehouse/internal/web"
)

// BenchmarkServeHTTP carries a small answer from a raw upstream to a writer
// that drops it, so that what the proxy itself allocates can be seen.
func BenchmarkServeHTTP(b *testing.B) {
	for name, path := range map[string]string{"signed-in": "/x", "public": "/public/x"} {
		b.Run(name, func(b *testing.B) {
			h := open(b, setting{}, fixture("http://"+keepAlive(b)))
			info := &web.Info{Context: b.Context(), Peer: netip.MustParseAddr("192.0.2.1"), Client: netip.MustParseAddr("192.0.2.1"), Scheme: "https", Host: host, ID: "id"}
			r := httptest.NewRequestWithContext(info, http.MethodGet, path, nil)
			r.Host = host
			r.Header = http.Header{"Cookie": {ourCookie + "=alice"}, "Accept": {"text/html"}, "User-Agent": {"bench"}}
			w := &dropped{h: http.Header{}}
			b.ReportAllocs()
			for b.Loop() {
				clear(w.h)
				if err := h.proxy.ServeHTTP(w, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// keepAlive is an upstream that answers each request that has no body.
func keepAlive(b *testing.B) (addr string) {
	b.Helper()
	l, err := (&net.ListenConfig{}).Listen(b.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { closing(l) })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer closing(c)
				in := bufio.NewReader(c)
				for {
					line, err := in.ReadSlice('\n')
					if err != nil {
						return
					}
					if len(line) == 2 {
						_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Type: text/plain\r\n\r\nok")
					}
				}
			}()
		}
	}()
	return l.Addr().String()
}

// dropped is a writer that keeps nothing of a body.
type dropped struct{ h http.Header }

func (d *dropped) Header() http.Header              { return d.h }
func (d *dropped) WriteHeader(int)                  {}
func (d *dropped) Write(p []byte) (int, error)      { return len(p), nil }
func (d *dropped) FlushError() error                { return nil }
func (d *dropped) SetWriteDeadline(time.Time) error { return nil }
