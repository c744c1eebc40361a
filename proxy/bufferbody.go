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
// that the upstream can be told its length: without one, WSGI and CGI
// applications read nothing. A body that is longer than the route allows is
// refused (413), because in chunks it would look empty to such an application,
// and half of it would look whole.
//
// A client that waits for 100 Continue gets it from the gate. Trailers, which
// have no place behind a body with a length, are dropped.
//
// bufferBody returns the writer that the engine has to use. Its errors are like
// the engine's.
func (s *exchange) bufferBody(w http.ResponseWriter) (http.ResponseWriter, error) {
	limit := s.route.bufferLimit()
	if limit == 0 || s.in.ContentLength >= 0 || s.in.Body == nil || s.in.Body == http.NoBody {
		return w, nil
	}
	body, err := readWhole(w, s.in, limit, s.route.conf.Timeouts.Stall.D(), &s.active.breaker)
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

// bufferLimit returns how many bytes of a body are buffered; 0: bodies are not.
func (r *route) bufferLimit() int64 {
	limit, most := int64(r.conf.BufferBody), int64(r.conf.MaxBody)
	if most > 0 {
		return min(limit, most)
	}
	return limit
}

// tooLarge returns the answer to a body that is too large. Where the bound is
// that of buffered bodies, it says so.
func (r *route) tooLarge(err error) error {
	if errors.Is(err, errUnbuffered) {
		msg := fmt.Sprintf("Without a Content-Length, no more than %v can be sent here.", value.Size(r.bufferLimit()))
		return web.Fail(http.StatusRequestEntityTooLarge, msg, err)
	}
	return web.Refuse(http.StatusRequestEntityTooLarge, "")
}

// errUnbuffered is what the log says about a body that is too long to buffer.
var errUnbuffered = errors.New("body without Content-Length is over buffer_body")

// readWhole reads a body of limit bytes at most. Each part of it has to arrive
// within stall; 0: there is no bound. It ends early when the client leaves, and
// when breaker breaks because the session ended.
func readWhole(w http.ResponseWriter, r *http.Request, limit int64, stall time.Duration, breaker *engine.Canceler) (*chunkBuffer, error) {
	rc := http.NewResponseController(w)
	ctx := r.Context()
	cut := func() { _ = rc.SetReadDeadline(time.Unix(1, 0)) }
	defer context.AfterFunc(ctx, cut)()
	breaker.Arm(cut)
	defer breaker.Arm(nil)
	body := &chunkBuffer{}
	for {
		space := body.space(limit)
		if stall > 0 {
			_ = rc.SetReadDeadline(time.Now().Add(stall))
		}
		if ctx.Err() != nil || breaker.Broken() {
			return nil, &engine.Error{Kind: engine.VisitorFault, Err: errors.New("visitor left, or was signed out")}
		}
		n, err := r.Body.Read(space)
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

// A bufferedWriter is the writer of a request whose body was read to its end.
// The engine bounds each read of a body by a deadline on the client's
// connection. net/http reads on there to see the client leave, and would take
// a deadline that passes for that.
type bufferedWriter struct{ http.ResponseWriter }

// Unwrap returns the writer, for http.ResponseController.
func (w *bufferedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// SetReadDeadline does nothing, because nothing is left to read.
func (w *bufferedWriter) SetReadDeadline(time.Time) error { return nil }

// ReadFrom lets the kernel copy an answer where it can.
func (w *bufferedWriter) ReadFrom(r io.Reader) (int64, error) {
	if to, ok := w.ResponseWriter.(io.ReaderFrom); ok {
		return to.ReadFrom(r) //nolint:wrapcheck // it is the writer's own
	}
	return io.Copy(struct{ io.Writer }{w.ResponseWriter}, r)
}
