package engine

import (
	"bufio"
	"context"
	"net"
	"net/http"
	"time"
)

// A Visitor is the client's side of one request: all that the engine does with
// the client's connection goes through it. A ResponseWriter that is given to
// Upstream.Forward and implements Visitor is used as it is. Any other one is
// driven by an http.ResponseController, as those of net/http and their wrappers
// can be, and by the VisitorConn of the request's context.
//
// A Visitor may implement io.ReaderFrom as well. Large answers from a plain
// connection go through it then, which lets the kernel move them from socket
// to socket.
//
// While the handler's goroutine writes, another one may read the request's
// body and set the read deadline. Nothing else happens at once.
type Visitor interface {
	http.ResponseWriter

	// FlushError sends what has been written and is still buffered. The engine
	// does not look at the error: a connection that has failed also fails the
	// next Write, or ends the request's context.
	FlushError() error

	// SetReadDeadline bounds the reads of the request's body that are under way
	// and those to come. The zero time removes the bound. At the end of the body
	// over HTTP/1 the Visitor removes it by itself, before it begins to wait for
	// the client's departure.
	SetReadDeadline(t time.Time) error

	// SetWriteDeadline bounds writes in the same way. Over HTTP/2 a deadline that
	// passes ends the stream even if nothing is being written. Over HTTP/1 the
	// Visitor removes it before the next request.
	SetWriteDeadline(t time.Time) error

	// Hijack hands over the connection of an HTTP/1.1 request, without deadlines,
	// and what of it has been read ahead. Nobody else reads, writes or closes it
	// afterwards.
	Hijack() (net.Conn, *bufio.ReadWriter, error)

	// SetReason replaces the usual reason phrase of the answer with this status.
	// It is called at most once, before WriteHeader, and over HTTP/1 only.
	SetReason(status int, reason string)

	// AbandonBody announces that the rest of the request's body is not read. It is
	// called before the head of the answer is written, over HTTP/1 only, and may
	// be called more than once. The connection is to be closed behind the answer,
	// but not before the client has had time to read it (RFC 9112, 9.6).
	AbandonBody()
}

// A controlled Visitor is a ResponseWriter of net/http, or a wrapper of one.
type controlled struct {
	http.ResponseWriter
	http.ResponseController
	ctx context.Context //nolint:containedctx // the request's, which leads to its VisitorConn
}

// FlushError implements Visitor.
func (c *controlled) FlushError() error { return c.Flush() }

// SetReason implements Visitor.
func (c *controlled) SetReason(status int, reason string) {
	if v := visitorOf(c.ctx); v != nil && v.SetReason != nil {
		v.SetReason(status, reason)
	}
}

// AbandonBody implements Visitor.
func (c *controlled) AbandonBody() {
	if v := visitorOf(c.ctx); v != nil && v.AbandonBody != nil {
		v.AbandonBody()
	}
}
