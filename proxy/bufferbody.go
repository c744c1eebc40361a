package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"gatehouse/internal/value"
	"gatehouse/internal/web"
	"gatehouse/proxy/engine"
)

// bufferBody reads a body of unknown length before the upstream is asked, so
// that it can be told the length: WSGI and CGI applications read nothing
// otherwise. What is longer than the route allows is 413; passing it on in
// chunks would look like an empty body there, and half of it would look whole.
//
// A visitor who waits for 100 Continue gets it from us, who want the body now;
// trailers, which have no place behind a length, are dropped.
//
// The writer that it gives is the one for the engine. An error is one as the
// engine's are.
func (s *exchange) bufferBody(w http.ResponseWriter) (http.ResponseWriter, error) {
	limit := s.route.bufferLimit()
	if limit == 0 || s.in.ContentLength >= 0 || s.in.Body == nil || s.in.Body == http.NoBody {
		return w, nil
	}
	body, err := s.readWhole(w, limit)
	if err != nil {
		if s.in.ProtoMajor == 1 {
			w.Header().Set("Connection", "close") // the rest is not the next request
		}
		return nil, err
	}
	in := s.in.WithContext(s.in.Context()) // a shallow copy
	in.Body, in.ContentLength, in.TransferEncoding, in.Trailer = body, body.left, nil, nil
	if body.left == 0 {
		in.Body = http.NoBody
	}
	s.in, s.out.In = in, in
	s.out.Header.Delete("Expect")
	return &bufferedWriter{w}, nil
}

// bufferLimit is the most that is read; 0: nothing is.
func (r *route) bufferLimit() int64 {
	limit, most := int64(r.conf.BufferBody), int64(r.conf.MaxBody)
	if most > 0 {
		return min(limit, most)
	}
	return limit
}

// tooLarge says what could have been sent, where that is not plain.
func (r *route) tooLarge(err error) error {
	if errors.Is(err, errUnbuffered) {
		msg := fmt.Sprintf("Without a Content-Length, no more than %v can be sent here.", value.Size(r.bufferLimit()))
		return web.Fail(http.StatusRequestEntityTooLarge, msg, err)
	}
	return web.Refuse(http.StatusRequestEntityTooLarge, "")
}

// errUnbuffered is what the log says of a body that is too long for it.
var errUnbuffered = errors.New("body without Content-Length is over buffer_body")

// readWhole reads a body of limit bytes at most, for each part of which the
// visitor has as long as timeouts.stall says. It also ends when the session
// does.
func (s *exchange) readWhole(w http.ResponseWriter, limit int64) (*chunkBuffer, error) {
	rc := http.NewResponseController(w)
	ctx := s.in.Context()
	cut := func() { _ = rc.SetReadDeadline(time.Unix(1, 0)) }
	defer context.AfterFunc(ctx, cut)()
	s.active.breaker.Arm(cut)
	defer s.active.breaker.Arm(nil)
	body := &chunkBuffer{}
	for {
		space := body.space(limit)
		if stall := s.route.conf.Timeouts.Stall.D(); stall > 0 {
			_ = rc.SetReadDeadline(time.Now().Add(stall))
		}
		if ctx.Err() != nil || s.active.breaker.Broken() {
			return nil, &engine.Error{Kind: engine.VisitorFault, Err: errors.New("visitor left, or was signed out")}
		}
		n, err := s.in.Body.Read(space)
		if body.left+int64(n) > limit {
			return nil, &engine.Error{Kind: engine.TooLarge, Err: errUnbuffered}
		}
		body.wrote(n)
		switch {
		case err == io.EOF: // only the bare one is an end; a wrapped one is a break
			_ = rc.SetReadDeadline(time.Time{})
			return body, nil
		case err != nil:
			return nil, &engine.Error{Kind: engine.VisitorFault, Err: fmt.Errorf("read body: %w", err)}
		}
	}
}

// chunkBuffer are a body in memory. They grow without being copied, never hold more
// than the limit, and let go of what has been read.
type chunkBuffer struct {
	list [][]byte
	left int64 // bytes to read; while it is written: bytes that are there
}

const (
	firstBlock = 4 << 10
	largeBlock = 64 << 10
)

// space gives room for more; for one byte outside of the blocks when limit
// bytes are there, to see whether that was all.
func (b *chunkBuffer) space(limit int64) []byte {
	if b.left == limit {
		return make([]byte, 1)
	}
	last := len(b.list) - 1
	if last < 0 || len(b.list[last]) == cap(b.list[last]) {
		size := int64(firstBlock)
		if last >= 0 {
			size = min(2*int64(cap(b.list[last])), largeBlock)
		}
		b.list = append(b.list, make([]byte, 0, min(size, limit-b.left)))
		last++
	}
	end := b.list[last]
	return end[len(end):cap(end)]
}

// wrote says how much of space has been filled.
func (b *chunkBuffer) wrote(n int) {
	if n > 0 {
		last := len(b.list) - 1
		b.list[last] = b.list[last][:len(b.list[last])+n]
		b.left += int64(n)
	}
}

// Read gives what is left.
func (b *chunkBuffer) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	for len(b.list[0]) == 0 {
		b.list[0], b.list = nil, b.list[1:]
	}
	n := copy(p, b.list[0])
	b.list[0] = b.list[0][n:]
	b.left -= int64(n)
	return n, nil
}

// Close is there to make it a body.
func (b *chunkBuffer) Close() error { return nil }

// A bufferedWriter is the writer of a request that has been read to its end. The
// engine bounds each read of a body by a deadline on the visitor's connection;
// net/http reads on there to see him leave, and must not take the deadline for
// that.
type bufferedWriter struct{ http.ResponseWriter }

// Unwrap is for http.ResponseController.
func (w *bufferedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// SetReadDeadline does nothing: nothing is read.
func (w *bufferedWriter) SetReadDeadline(time.Time) error { return nil }

// ReadFrom lets the kernel move an answer, where it can.
func (w *bufferedWriter) ReadFrom(r io.Reader) (int64, error) {
	if to, ok := w.ResponseWriter.(io.ReaderFrom); ok {
		return to.ReadFrom(r) //nolint:wrapcheck // it is the writer's own
	}
	return io.Copy(struct{ io.Writer }{w.ResponseWriter}, r)
}
