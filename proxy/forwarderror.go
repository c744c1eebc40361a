package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"gatehouse/internal/web"
	"gatehouse/proxy/engine"
)

// statusGone is the status of a request whose client left, as nginx has it. It
// is seen in the log only.
const statusGone = 499

// Requests that the limiter turns away are counted beside the kinds of
// engine.Error.
const kindBusy = "busy"

var errBusy = errors.New("max_requests of the route are under way")

// failed returns the answer to a request that could not be forwarded to the
// end, and counts the failure if it is the upstream's. What err says, such as
// the upstream's address, goes to the log only.
func (s *exchange) failed(w http.ResponseWriter, err error) error {
	if s.in.ProtoMajor == 1 && s.in.ContentLength != 0 {
		// What is left of the body must not be taken for the next request.
		w.Header().Set("Connection", "close")
	}
	if s.data.failed != nil { // an answer filter refused the answer; the upstream did nothing wrong
		return web.Fail(http.StatusServiceUnavailable, "", s.data.failed)
	}
	var e *engine.Error
	if !errors.As(err, &e) {
		return web.Fail(http.StatusBadGateway, "", err)
	}
	switch e.Kind {
	case engine.TooLarge:
		return s.route.tooLarge(err)
	case engine.Invalid:
		return web.Fail(http.StatusBadRequest, "", err)
	case engine.VisitorFault:
		return clientError(s.in.Context(), err)
	}
	s.p.metrics.UpstreamError(s.route.label, e.Kind)
	if e.Kind == engine.Timeout || timedOut(e.Err) {
		return web.Fail(http.StatusGatewayTimeout, "", err)
	}
	return web.Fail(http.StatusBadGateway, "", err)
}

// busy turns a request away before the upstream hears of it. There is no
// queue, so that an upstream that hangs does not make the gate hang.
func (s *exchange) busy() error {
	s.p.metrics.UpstreamError(s.route.label, kindBusy)
	return web.Later(http.StatusServiceUnavailable, "Too many requests are under way here. Please try again in a moment.", time.Second, errBusy)
}

// broke is told by the engine that the upstream broke off an answer that the
// client has a part of already. All that is left is to note it for the access
// line.
func (s *exchange) broke(e *engine.Error) {
	s.info.Failure = web.Fail(http.StatusBadGateway, "", fmt.Errorf("upstream broke off its answer: %w", e.Err))
	s.p.metrics.UpstreamError(s.route.label, e.Kind)
}

// clientError returns the answer to a failure on the client's side: a body
// that did not arrive, or a client that left.
func clientError(ctx context.Context, err error) error {
	switch {
	case timedOut(err): // first, because net/http ends the context then as well
		return web.Fail(http.StatusRequestTimeout, "The request did not arrive in time.", err)
	case errors.Is(err, io.ErrUnexpectedEOF): // half a body: whoever sent it may still read
		return web.Fail(http.StatusBadRequest, "", err)
	case ctx.Err() != nil, errors.Is(err, context.Canceled):
		return web.Fail(statusGone, "The request was broken off.", err)
	default:
		return web.Fail(http.StatusBadRequest, "", err)
	}
}

// timedOut reports whether err is a deadline that passed.
func timedOut(err error) bool {
	var n net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}
