//go:build e2e

package gate_test

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/e2e"
)

// TLS 1.2 with CBC is what padding oracles are about.
func TestTLSWithoutCBC(t *testing.T) {
	t.Parallel()
	f := newFixture(t, e2e.HTTPS1)
	tests := []struct {
		name string
		id   uint16
		ok   bool
	}{
		{"CBC", tls.TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA, false},
		{"CBC, 256 bits", tls.TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA, false},
		{"GCM", tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, true},
		{"ChaCha", tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, true},
	}
	for _, tt := range tests {
		c := f.gate.CA.Client()
		c.MaxVersion, c.CipherSuites = tls.VersionTLS12, []uint16{tt.id}
		conn, err := (&tls.Dialer{Config: c}).DialContext(t.Context(), "tcp", f.gate.Addr)
		if (err == nil) != tt.ok {
			t.Errorf("%s: %v", tt.name, err)
		}
		if err == nil {
			_ = conn.Close()
		}
	}
}

// With tls.hsts, every answer over https says so, once: pages of ours, answers
// of the application whatever it says itself, and refusals.
func TestHSTSOnAllAnswers(t *testing.T) {
	t.Parallel()
	const want = "max-age=86400; includeSubDomains"
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Strict-Transport-Security", "max-age=0")
	}))
	t.Cleanup(app.Close)
	gate := e2e.Start(t, e2e.HTTP1, "tls: {hsts: \""+want+"\"}\ntrusted_proxies: [127.0.0.1]\n"+
		"routes:\n  - {upstream: "+app.URL+", access: [{path: /public, public: true}, {}]}\n")
	b := gate.Browser(t)
	for _, path := range []string{"/public/x", "/private/x", "/_gate/login", "/_gate/static/nothing", "/_gate/session", "/private//..%2f"} {
		a := b.Visit(path, "X-Forwarded-Proto: https")
		if got := a.Header["Strict-Transport-Security"]; len(got) != 1 || got[0] != want {
			t.Errorf("%s: %d, %q", path, a.Status, got)
		}
		if got := b.Visit(path).Header["Strict-Transport-Security"]; path != "/public/x" && got != nil {
			t.Errorf("%s: %q over plain http", path, got)
		}
	}
}

// Over HTTP/1 a browser sends all of a form before it looks at the answer: it
// must be able to, or it shows an error in place of the login.
func TestALargeFormWithoutASession(t *testing.T) {
	t.Parallel()
	for _, m := range []e2e.Mode{e2e.HTTP1, e2e.HTTPS1} {
		f := newFixture(t, m)
		for _, path := range []string{"/private/x", "/_gate/login"} {
			conn := f.gate.Dial(t)
			const size = 12 << 20
			_, _ = fmt.Fprintf(conn, "POST %s HTTP/1.1\r\nHost: %s\r\nAccept: text/html\r\nContent-Type: multipart/form-data; boundary=x\r\nContent-Length: %d\r\n\r\n", path, e2e.Host, size)
			for range size >> 16 {
				if _, err := conn.Write(make([]byte, 1<<16)); err != nil {
					t.Fatalf("%s, %s: the form is not taken: %v", m.Name, path, err)
				}
			}
			a := e2e.ReadAnswer(t, bufio.NewReader(conn), http.MethodPost)
			if want := map[string]int{"/private/x": http.StatusSeeOther, "/_gate/login": http.StatusUnsupportedMediaType}[path]; a.Status != want {
				t.Errorf("%s, %s: %d, want %d", m.Name, path, a.Status, want)
			}
		}
		f.app.None(t)
	}
}

// An application that answers in the middle of an upload, and closes, was seen
// by the visitor as a connection that broke: his next bytes met a closed socket
// before he had looked at the answer.
func TestAnEarlyAnswerReachesWhoIsSending(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ head, piece string }{
		"in chunks":     {"Transfer-Encoding: chunked", "1000\r\n" + strings.Repeat("x", 0x1000) + "\r\n"},
		"with a length": {"Content-Length: 100000000", strings.Repeat("x", 0x1000)},
	} {
		for _, m := range []e2e.Mode{e2e.HTTP1, e2e.HTTPS1} {
			t.Run(name+" "+m.Name, func(t *testing.T) {
				t.Parallel()
				url := listen(t, func(conn net.Conn) {
					if _, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
						_, _ = io.WriteString(conn, "HTTP/1.1 413 Request Entity Too Large\r\nContent-Length: 3\r\nConnection: close\r\n\r\nno\n")
						_, _ = io.CopyN(io.Discard, conn, 8)
					}
				})
				gate := e2e.Start(t, m, "routes:\n  - {upstream: \""+url+"\", access: [{public: true}]}\n")
				conn := gate.Dial(t)
				_, _ = fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: %s\r\n%s\r\n\r\n", e2e.Host, tt.head)
				for range 50 { // half a second
					if _, err := io.WriteString(conn, tt.piece); err != nil {
						t.Fatalf("the connection broke before the answer was looked at: %v", err)
					}
					time.Sleep(10 * time.Millisecond)
				}
				a := e2e.ReadAnswer(t, bufio.NewReader(conn), http.MethodPost)
				if a.Status != http.StatusRequestEntityTooLarge || a.Body != "no\n" {
					t.Errorf("%d %q", a.Status, a.Body)
				}
			})
		}
	}
}

// Whoever stops sending behind the request, and reads on, has the answer of an
// application that takes its time.
func TestAHalfClosedVisitor(t *testing.T) {
	t.Parallel()
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		<-time.After(300 * time.Millisecond)
		_, _ = io.WriteString(w, "the answer")
	}))
	t.Cleanup(app.Close)
	gate := e2e.Start(t, e2e.HTTP1, e2e.Standard(app.URL))
	for _, request := range []string{"GET /public/x HTTP/1.1\r\nHost: " + e2e.Host + "\r\n\r\n", "GET /public/x HTTP/1.0\r\nHost: " + e2e.Host + "\r\n\r\n"} {
		conn := gate.Dial(t)
		_, _ = io.WriteString(conn, request)
		_ = conn.(*net.TCPConn).CloseWrite()
		if b, err := io.ReadAll(conn); err != nil || !strings.HasSuffix(string(b), "the answer") {
			t.Errorf("%q, %v", b, err)
		}
	}
}
