package engine

import (
	"bufio"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// Over HTTP/2 a deadline that passes ends the stream even if nothing is read or
// written. Neither deadline may be in force while the upstream takes its time.
func TestSlowUpstreamOfAnHTTP2Visitor(t *testing.T) {
	const limit = time.Second // a busy machine sends nothing for a while as well
	const pause = 2 * limit
	const large = 8 << 20 // more than all socket buffers hold
	tests := map[string]struct {
		body  string
		serve func(c net.Conn, br *bufio.Reader)
	}{
		"silent behind an interim answer": {"", func(c net.Conn, _ *bufio.Reader) {
			say(c, "HTTP/1.1 103 Early Hints\r\n\r\n")
			<-time.After(pause)
			say(c, ok)
		}},
		"does not take the body for a while": {strings.Repeat("x", large), func(c net.Conn, br *bufio.Reader) {
			<-time.After(pause)
			_, _ = io.CopyN(io.Discard, br, large)
			say(c, ok)
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up := upstream(t, func(c *net.TCPConn, br *bufio.Reader, _ int) {
				if readHead(br) != "" {
					tt.serve(c, br)
				}
			})
			g := unstarted(t, HTTP1Options{Address: up.addr, Timeouts: Timeouts{Response: 20 * time.Second, Stall: limit}}, nil)
			g.EnableHTTP2 = true
			g.StartTLS()
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, g.URL, strings.NewReader(tt.body))
			if err != nil {
				t.Fatal(err)
			}
			tr := &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true} //nolint:gosec // the test's own server
			defer tr.CloseIdleConnections()
			res, err := tr.RoundTrip(req)
			if err != nil {
				t.Fatalf("%v; the engine: %v", err, <-g.errs)
			}
			defer shut(res.Body)
			b, err := io.ReadAll(res.Body)
			if res.ProtoMajor != 2 || res.StatusCode != http.StatusOK || string(b) != "ok" || err != nil {
				t.Errorf("%s, %q, %v", res.Status, b, err)
			}
		})
	}
}
