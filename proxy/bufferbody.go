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

// bufferBody reads a body of unknown length into memory before the request is
// forwarded, so that the upstream gets a Content-Length: without one, WSGI and CGI
// applications see an empty body. A body over the limit is refused (413), because
// in chunks it would look empty to such an application, and a truncated one would
// look complete.
//
// A client that waits for 100 Continue gets it from the gate. Trailers are dropped:
// they have no place behind a body with a length.
//
// It returns the writer to pass to the engine, which is w if the body is not
// buffered. Its errors are of type *engine.Error, as Forward's are.
func (s *exchange) bufferBody(w http.ResponseWriter) (http.ResponseWriter, error) {
	limit := s.route.bufferLimit()
	if limit == 0 || s.in.ContentLength >= 0 || s.in.Body == nil || s.in.Body == http.NoBody {
		return w, nil
	}
	body, err := readWhole(w, s.in, limit, s.route.conf.Timeouts.Stall.D(), &s.active.breaker)
	if err != nil {
		if s.in.ProtoMajor == 1 {
			w.Header().Set("Connection", "close") // the rest of the body must not be read as the next request
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

// bufferLimit returns the size in bytes up to which bodies are buffered, the
// smaller of buffer_body and max_body; 0 if the route does not buffer.
func (r *route) bufferLimit() int64 {
	limit, most := int64(r.conf.BufferBody), int64(r.conf.MaxBody)
	if most > 0 {
		return min(limit, most)
	}
	return limit
}

// tooLarge returns the 413 answer. If the buffer limit was exceeded, the message to
// the client names it.
func (r *route) tooLarge(err error) error {
	if errors.Is(err, errUnbuffered) {
		msg := fmt.Sprintf("Without a Content-Length, no more than %v can be sent here.", value.Size(r.bufferLimit()))
		return web.Fail(http.StatusRequestEntityTooLarge, msg, err)
	}
	return web.Refuse(http.StatusRequestEntityTooLarge, "")
}

// errUnbuffered is logged for a body that is too large to buffer.
var errUnbuffered = errors.New("body without Content-Length is over buffer_body")

// readWhole reads a body of at most limit bytes. Each read has to return within
// stall; 0 means no timeout. It fails with VisitorFault when the client disconnects
// or the session ends (breaker), and with TooLarge when the body is over the limit.
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

// A bufferedWriter is the ResponseWriter of a request whose body has been read
// completely. It ignores read deadlines. The engine sets one for each read of a
// body, but net/http still reads from the connection to notice the client
// disconnecting, and would mistake an expired deadline for that.
type bufferedWriter struct{ http.ResponseWriter }

// Unwrap returns the wrapped writer, for http.ResponseController.
func (w *bufferedWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// SetReadDeadline does nothing and returns nil: there is nothing left to read.
func (w *bufferedWriter) SetReadDeadline(time.Time) error { return nil }

// ReadFrom implements io.ReaderFrom, so that the kernel can copy an answer (splice)
// where the wrapped writer supports it.
func (w *bufferedWriter) ReadFrom(r io.Reader) (int64, error) {
	if to, ok := w.ResponseWriter.(io.ReaderFrom); ok {
		return to.ReadFrom(r) //nolint:wrapcheck // it is the writer's own
	}
	return io.Copy(struct{ io.Writer }{w.ResponseWriter}, r)
}
