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

// statusGone is the status of a request whose client disconnected, as in nginx. It
// is only logged, never sent.
const statusGone = 499

// kindBusy counts requests over max_requests among the upstream errors, besides the
// kinds of engine.Error.
const kindBusy = "busy"

// errBusy is logged for a request over max_requests.
var errBusy = errors.New("max_requests of the route are under way")

// failed returns the answer to a request whose forwarding failed with err before an
// answer began, and counts the failure if it is the upstream's. The text of err,
// which may hold the upstream's address, is only logged.
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

// busy returns the 503 for a request over max_requests. There is no queue, so an
// upstream that hangs does not make the gate hang.
func (s *exchange) busy() error {
	s.p.metrics.UpstreamError(s.route.label, kindBusy)
	return web.Later(http.StatusServiceUnavailable, "Too many requests are under way here. Please try again in a moment.", time.Second, errBusy)
}

// broke is called by the engine when the upstream fails in the middle of an answer.
// The client already has a part of it, so the failure is only logged and counted.
func (s *exchange) broke(e *engine.Error) {
	s.info.Failure = web.Fail(http.StatusBadGateway, "", fmt.Errorf("upstream broke off its answer: %w", e.Err))
	s.p.metrics.UpstreamError(s.route.label, e.Kind)
}

// clientError returns the answer to a failure on the client's side: 408 for a body
// that is too slow, 400 for an incomplete or malformed one, 499 for a client that
// disconnected.
func clientError(ctx context.Context, err error) error {
	switch {
	case timedOut(err): // checked first, because net/http cancels the context then too
		return web.Fail(http.StatusRequestTimeout, "The request did not arrive in time.", err)
	case errors.Is(err, io.ErrUnexpectedEOF): // an incomplete body; the client may still read the answer
		return web.Fail(http.StatusBadRequest, "", err)
	case ctx.Err() != nil, errors.Is(err, context.Canceled):
		return web.Fail(statusGone, "The request was broken off.", err)
	default:
		return web.Fail(http.StatusBadRequest, "", err)
	}
}

// timedOut reports whether err is due to a deadline that passed.
func timedOut(err error) bool {
	var n net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}
