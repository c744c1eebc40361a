package server

import (
	"net"
	"time"
)

// lingerMost bounds how long a connection stays open while the client keeps
// sending.
const lingerMost = 30 * time.Second

// lingerThenClose closes a connection whose client may still be sending a body.
// If a socket is closed while bytes are unread, or receives more bytes later, the
// system resets the connection: the client loses a response that is on the way,
// or shows an error instead. So the sending side is closed first, and what
// arrives is discarded: until the client closes, until nothing arrives for
// times.linger, and for lingerMost at most (RFC 9112, 9.6).
//
// This is for an application's response that the engine passes on in the middle
// of a body (engine.Visitor.AbandonBody): the handler has returned and the
// connection is at its end. Our own responses to a request whose body has not
// been read use web.Linger. That runs in the handler, so it sees the end of the
// body, a stop of the server waits for it, and it works with any server of
// net/http. It allows longer pauses, for browsers that send a large form before
// they look at the response.
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
	discard(c.socket, begin.Add(lingerMost), c.times.linger)
}

// discard reads until the end of the stream, an error, the time end, or a pause
// without a byte, whichever comes first.
func discard(from net.Conn, end time.Time, pause time.Duration) {
	for b := make([]byte, 16<<10); ; {
		until := time.Now().Add(pause)
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
