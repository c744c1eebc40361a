package engine

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"testing"
	"time"
)

// The response timeout ends with the head of the answer. A download that took longer
// was cut off if the upstream was always ahead of the visitor, so that nobody ever
// waited for it.
func TestDownloadMayTakeLongerThanTheResponseTimeout(t *testing.T) {
	t.Parallel()
	const size = 64 << 20 // more than all socket buffers hold
	for name, head := range map[string]string{
		"of known length": fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n", size),
		"until it closes": "HTTP/1.1 200 OK\r\n\r\n",
		"in chunks":       fmt.Sprintf("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n", size),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			up := upstream(t, func(c *net.TCPConn, br *bufio.Reader, _ int) {
				readHead(br)
				say(c, head+string(make([]byte, 1<<20))) // from the beginning there is more than is read at once
				pour(c, size-1<<20)
				if name == "in chunks" {
					say(c, "\r\n0\r\n\r\n")
				}
			})
			const limit = 500 * time.Millisecond
			g := front(t, HTTP1Options{Address: up.addr, Timeouts: Timeouts{Response: limit, Stall: 20 * time.Second}}, nil)
			body := fetch(t, g.URL)
			<-time.After(limit + limit/2)
			if n, err := io.Copy(io.Discard, body); n != size || err != nil {
				t.Errorf("%d of %d bytes, %v", n, size, err)
			}
		})
	}
}
