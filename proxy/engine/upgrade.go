package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

const (
	tunnelBuffer = 2 << 10 // at least, for each direction
	handover     = 10 * time.Second
)

// mayUpgrade returns an error for a 101 that was not requested, names another protocol
// than was requested, comes before the end of the request, or does not complete the
// WebSocket handshake.
func (x *exchange) mayUpgrade(a *answer) error {
	switch {
	case x.r.Upgrade == "":
		return answerError("101 that nobody asked for")
	case !strings.EqualFold(a.upgrade, x.r.Upgrade):
		return answerError("101 to another protocol than was asked for")
	case !x.bodyInHead() && (x.sender == nil || !x.sender.sent.Load()):
		return answerError("101 before the end of the request")
	case !acceptFits(x.r, x.Header()):
		return answerError("101 whose Sec-WebSocket-Accept does not fit the key")
	}
	return nil
}

// upgrade connects the visitor and the upstream for the new protocol, and returns when
// that has ended. It always closes both connections, except that the visitor's stays open
// if it cannot be taken over, which is an Error of kind Refused.
func (x *exchange) upgrade(a *answer) *Error {
	defer x.drop()
	visitor, rw, err := x.Hijack()
	if err != nil {
		x.resetHeaders()
		return &Error{Kind: Refused, Err: fmt.Errorf("take over the visitor's connection: %w", err)}
	}
	defer visitor.Close() //nolint:errcheck // nothing can be done about it
	ended := func() {}
	if x.r.Switched != nil {
		ended = x.r.Switched()
	}
	defer ended()

	if !x.up.leaving.forget(x.c) { // the visitor left at this moment
		return nil
	}
	x.c.readWithin(0)
	x.c.writeWithin(0)
	end := func() {
		_ = visitor.Close()
		x.c.close()
	}
	stop := context.AfterFunc(x.r.In.Context(), end)
	defer stop()
	x.r.Breaker.Arm(end)

	_ = visitor.SetWriteDeadline(after(handover))
	if err := writeSwitch(rw.Writer, x.Header(), a.upgrade); err != nil {
		return nil
	}
	_ = visitor.SetWriteDeadline(time.Time{})
	tunnel(visitor, rw.Reader, x.c, x.r.FromVisitor)
	return nil
}

// writeSwitch writes the 101 with the fields of h, because net/http writes nothing
// to a hijacked connection.
func writeSwitch(w *bufio.Writer, h http.Header, protocol string) error {
	b := []byte("HTTP/1.1 101 Switching Protocols\r\n")
	for name, values := range h {
		var err error
		if b, err = appendFields(b, name, values); err != nil {
			return err
		}
	}
	b = append(b, "Connection: Upgrade\r\n"...)
	b = appendField(b, "Upgrade", protocol)
	b = append(b, "\r\n"...)
	if _, err := w.Write(b); err != nil {
		return err
	}
	return w.Flush()
}

// tunnel copies both directions until both have ended. What either side sent early
// is in early and in c's buffer. see is called with what the visitor sends; nil: it
// is not.
//
// Thousands of tunnels may be idle, so they allocate no buffers: each direction
// uses the one that the handshake was read into, which nothing else uses any more.
// early is not read from: net/http would take the visitor's half-close for their
// departure, and cancel the request.
func tunnel(visitor net.Conn, early *bufio.Reader, c *conn, see func(p []byte)) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		pipe(visitor, c.nc, c.buffered(), c.in, nil)
	}()
	first, _ := early.Peek(early.Buffered())
	pipe(c.nc, visitor, first, first[:cap(first)], see)
	<-done
}

// pipe sends first, and then all that is read from src, to dst. b is the buffer to
// use, and may hold first. At the end of src, dst is closed for writing, so that
// the other direction can go on. An error closes both. see is called with each
// piece before it is sent; nil: it is not.
func pipe(dst, src net.Conn, first, b []byte, see func(p []byte)) {
	err := copyAll(dst, src, first, b, see)
	if half, ok := dst.(interface{ CloseWrite() error }); ok && err == nil {
		err = half.CloseWrite()
	} else if !ok {
		err = errors.ErrUnsupported
	}
	if err != nil {
		_ = dst.Close()
		_ = src.Close()
	}
}

func copyAll(dst io.Writer, src io.Reader, first, b []byte, see func(p []byte)) error {
	if see == nil {
		see = func([]byte) {}
	}
	if len(first) > 0 {
		see(first)
		if _, err := dst.Write(first); err != nil {
			return err
		}
	}
	if len(b) < tunnelBuffer {
		b = make([]byte, tunnelBuffer)
	}
	for {
		n, err := src.Read(b)
		if n > 0 {
			see(b[:n])
			if _, err := dst.Write(b[:n]); err != nil {
				return err
			}
		}
		switch {
		case err == io.EOF: // only the bare one is an end
			return nil
		case err != nil:
			return err
		}
	}
}
