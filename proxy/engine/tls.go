package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
)

// errSpeaksHTTP2 means that the upstream chose HTTP/2, which it was offered.
var errSpeaksHTTP2 = errors.New("upstream speaks HTTP/2")

const alpnHTTP2, alpnHTTP1 = "h2", "http/1.1"

// dialTLS connects and completes the handshake within d.Timeout (0: no limit). With
// offerHTTP2 the upstream may choose HTTP/2: the caller has to check NegotiatedProtocol.
func dialTLS(ctx context.Context, d *net.Dialer, network, address string, c *tls.Config, offerHTTP2 bool) (*tls.Conn, *recordConn, error) {
	if d.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d.Timeout)
		defer cancel()
	}
	nc, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, nil, fmt.Errorf("connect: %w", err)
	}
	c = c.Clone()
	c.NextProtos = []string{alpnHTTP1}
	if offerHTTP2 {
		c.NextProtos = []string{alpnHTTP2, alpnHTTP1}
	}
	rc := &recordConn{Conn: nc}
	tc := tls.Client(rc, c)
	if err := tc.HandshakeContext(ctx); err != nil {
		_ = nc.Close()
		return nil, nil, fmt.Errorf("TLS: %w", err)
	}
	return tc, rc, nil
}

// A recordConn is between a tls.Conn and its socket, and never returns bytes of more
// than one TLS record. So surplus bytes of the upstream stay where they can be
// noticed: in the socket, in b, or in the record that was decrypted last, but not
// among bytes that tls.Conn has read ahead.
type recordConn struct {
	net.Conn
	b       [512]byte
	r, w    int // b[r:w] has been read and not been returned
	head    [recordHead]byte
	have    int  // bytes of head that have come
	left    int  // bytes of the record, behind its head
	looking bool // Read does not wait
}

const recordHead = 5 // type, version, length (RFC 8446, 5.1)

// Read implements net.Conn.
func (c *recordConn) Read(p []byte) (int, error) {
	if c.r == c.w {
		if c.looking {
			return 0, os.ErrDeadlineExceeded
		}
		if c.left > 0 { // b is not needed
			n, err := c.Conn.Read(p[:min(len(p), c.left)])
			c.left -= n
			return n, err //nolint:wrapcheck // tls.Conn must see it as it is
		}
		n, err := c.Conn.Read(c.b[:])
		c.r, c.w = 0, n
		if n == 0 {
			return 0, err //nolint:wrapcheck // tls.Conn must see it as it is
		}
	}
	if c.left > 0 {
		n := copy(p, c.b[c.r:min(c.w, c.r+c.left)])
		c.r += n
		c.left -= n
		return n, nil
	}
	n := copy(p, c.b[c.r:min(c.w, c.r+recordHead-c.have)])
	copy(c.head[c.have:], p[:n])
	c.r += n
	if c.have += n; c.have == recordHead {
		c.have, c.left = 0, int(c.head[3])<<8|int(c.head[4])
	}
	return n, nil
}

// buffered reports whether bytes of a record have been read from the socket, but not
// the whole record.
func (c *recordConn) buffered() bool { return c.r < c.w || c.have > 0 || c.left > 0 }

// next returns the head of the next record, as far as it has been read; nil in the
// middle of a record.
func (c *recordConn) next() []byte {
	if c.left > 0 {
		return nil // in the middle of a record
	}
	return append(c.head[:c.have:c.have], c.b[c.r:min(c.w, c.r+recordHead-c.have)]...)
}

// leftover returns, without blocking, whether tc holds decrypted bytes (isNoisy) or none
// (isQuiet). While it reads from tc, looking keeps Read away from the socket.
func (c *recordConn) leftover(tc net.Conn) idleState {
	c.looking = true
	defer func() { c.looking = false }()
	var b [1]byte
	switch n, err := tc.Read(b[:]); {
	case n > 0:
		return isNoisy
	case errors.Is(err, os.ErrDeadlineExceeded):
		return isQuiet
	}
	return isClosed
}

// isAlert reports whether the head of a record is that of an alert, with which TLS
// announces the end of a connection.
func isAlert(head []byte) bool {
	const alert, applicationData = 21, 23 // RFC 8446, 5.1; in TLS 1.3 all records look like application data
	const sealed = 2 + 1 + 16             // an alert, its type and the tag
	return len(head) >= recordHead && (head[0] == alert || head[0] == applicationData && head[3] == 0 && head[4] == sealed)
}
