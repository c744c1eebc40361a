package engine

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"
)

// upgrade hands both connections over to another protocol and relays until
// both have ended, one has failed, or the request is cancelled.
func (x *transportExchange) upgrade(res *http.Response) *Error {
	upstream, ok := res.Body.(io.ReadWriteCloser)
	protocol := res.Header.Get("Upgrade")
	switch {
	case x.r.Upgrade == "":
		return &Error{Kind: Protocol, Err: errors.New("upstream switches protocols, which nobody asked for")}
	case len(res.Header["Upgrade"]) != 1 || !strings.EqualFold(protocol, x.r.Upgrade):
		return &Error{Kind: Protocol, Err: fmt.Errorf("upstream switches to %q, asked for %q", protocol, x.r.Upgrade)}
	case !acceptFits(x.r, res.Header):
		return &Error{Kind: Protocol, Err: errors.New("101 whose Sec-WebSocket-Accept does not fit the key")}
	case !ok:
		return &Error{Kind: Protocol, Err: errors.New("upstream's connection cannot be taken over")}
	}
	if err := x.take(res.StatusCode, res.Header); err != nil {
		x.forget()
		return &Error{Kind: Refused, Err: err}
	}
	h := x.w.Header()
	visitor, buffered, err := x.rc.Hijack()
	if err != nil {
		x.forget()
		return &Error{Kind: Visitor, Err: fmt.Errorf("take over the visitor's connection: %w", err)}
	}
	defer visitor.Close() //nolint:errcheck // nothing is left to be done about it
	_ = visitor.SetDeadline(time.Time{})
	if x.r.Switched != nil {
		defer x.r.Switched()()
	}
	end := func() {
		_ = upstream.Close()
		_ = visitor.Close()
	}
	cut := context.AfterFunc(x.r.In.Context(), end)
	defer cut()
	x.r.Breaker.Arm(end)
	_ = visitor.SetWriteDeadline(after(handover))
	if err := writeStandardSwitch(buffered.Writer, h, protocol); err != nil {
		return nil // the visitor has left; there is nobody to answer
	}
	_ = visitor.SetWriteDeadline(time.Time{})
	// The rest is read from the connection itself: net/http's reader would
	// cancel the request at the end of the visitor's direction.
	early, _ := buffered.Peek(buffered.Reader.Buffered())
	from := io.MultiReader(bytes.NewReader(early), visitor)
	if x.r.FromVisitor != nil {
		from = &seenReader{from, x.r.FromVisitor}
	}
	standardTunnel(visitor, from, upstream)
	return nil
}

// A seenReader tells what is read from it.
type seenReader struct {
	r   io.Reader
	see func(p []byte)
}

func (s *seenReader) Read(p []byte) (int, error) {
	n, err := s.r.Read(p)
	if n > 0 {
		s.see(p[:n])
	}
	return n, err //nolint:wrapcheck // io.Copy knows its end by the bare error
}

func writeStandardSwitch(w *bufio.Writer, h http.Header, protocol string) error {
	h["Connection"], h["Upgrade"] = []string{"Upgrade"}, []string{protocol}
	_, _ = w.WriteString("HTTP/1.1 101 Switching Protocols\r\n") // an error shows at Flush
	if err := h.Write(w); err != nil {
		return fmt.Errorf("write head: %w", err)
	}
	_, _ = w.WriteString("\r\n")
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write head: %w", err)
	}
	return nil
}

// standardTunnel copies both ways; from is what the visitor sends. What ends one way is passed on as the end
// of that way; the other goes on. A failure ends both.
func standardTunnel(visitor net.Conn, from io.Reader, upstream io.ReadWriteCloser) {
	ended := make(chan error, 2)
	go func() { ended <- copyAndEnd(upstream, from) }()
	go func() { ended <- copyAndEnd(visitor, upstream) }()
	for range 2 {
		if err := <-ended; err != nil {
			_ = upstream.Close()
			_ = visitor.Close()
		}
	}
}

func copyAndEnd(to io.Writer, from io.Reader) error {
	if _, err := io.Copy(to, from); err != nil {
		return fmt.Errorf("relay: %w", err)
	}
	half, ok := to.(interface{ CloseWrite() error })
	if !ok {
		return errors.New("relay: the other side cannot be half closed")
	}
	if err := half.CloseWrite(); err != nil {
		return fmt.Errorf("close one way: %w", err)
	}
	return nil
}
