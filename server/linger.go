package server

import (
	"net"
	"time"
)

// lingerMost bounds how long a connection stays open for one who goes on
// sending.
const lingerMost = 30 * time.Second

// lingerThenClose closes a connection whose visitor may be sending still. A
// socket that is closed with bytes unread, or that gets more of them, breaks the
// connection off, and the visitor loses an answer that is on the way, or sees an
// error in place of it. So the visitor is told first that nothing more comes, and
// what comes from there is thrown away: until the end, for linger while nothing
// comes, and for lingerMost in all (RFC 9112, 9.6).
func (c *visitor) lingerThenClose() {
	defer func() { _ = c.closeNow() }()
	begin := time.Now()
	if c.secure != nil {
		_ = c.secure.SetWriteDeadline(begin.Add(c.times.linger))
		_ = c.secure.CloseWrite()
	}
	if half, ok := c.socket.(interface{ CloseWrite() error }); !ok || half.CloseWrite() != nil {
		return
	}
	drop(c.socket, begin.Add(lingerMost), c.times.linger)
}

// drop reads until the end, an error, the time end, or patience without a byte.
func drop(from net.Conn, end time.Time, patience time.Duration) {
	for b := make([]byte, 16<<10); ; {
		until := time.Now().Add(patience)
		if until.After(end) {
			until = end
		}
		if from.SetReadDeadline(until) != nil {
			return
		}
		if _, err := from.Read(b); err != nil {
			return
		}
	}
}
