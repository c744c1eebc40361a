package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"

	"gatehouse/internal/web"
	"gatehouse/proxy/engine"
)

// statusGone is what nginx calls a request whose visitor left; nobody sees it
// but the log.
const statusGone = 499

// failed turns what the engine says into an answer, and counts it when it is
// the upstream's fault. What the error holds (the upstream's address, say)
// goes to the log only.
func (s *exchange) failed(w http.ResponseWriter, err error) error {
	if s.asked {
		web.AddVary(w.Header(), "Cookie")
	}
	if s.in.ProtoMajor == 1 && s.in.ContentLength != 0 {
		// What is left of the body must not be taken for the next request.
		w.Header().Set("Connection", "close")
	}
	if s.unkept != nil { // not the upstream's fault
		return web.Fail(http.StatusServiceUnavailable, "", s.unkept)
	}
	var e *engine.Error
	if !errors.As(err, &e) {
		return web.Fail(http.StatusBadGateway, "", err)
	}
	switch e.Kind {
	case engine.TooLarge:
		return s.tooLarge(err)
	case engine.Invalid:
		return web.Fail(http.StatusBadRequest, "", err)
	case engine.Visitor:
		return s.visitorFailed(err)
	}
	s.p.metrics.UpstreamError(s.route.label, e.Kind)
	if e.Kind == engine.Timeout || timedOut(e.Err) {
		return web.Fail(http.StatusGatewayTimeout, "", err)
	}
	return web.Fail(http.StatusBadGateway, "", err)
}

// broke is told of an answer that the upstream broke off. The visitor has a
// part of it, so all that is left is to say so in the log.
func (s *exchange) broke(e *engine.Error) {
	s.info.Failure = web.Fail(http.StatusBadGateway, "", fmt.Errorf("upstream broke off its answer: %w", e.Err))
	s.p.metrics.UpstreamError(s.route.label, e.Kind)
}

func (s *exchange) visitorFailed(err error) error {
	switch {
	case timedOut(err): // first, because net/http ends the context then as well
		return web.Fail(http.StatusRequestTimeout, "The request did not arrive in time.", err)
	case errors.Is(err, io.ErrUnexpectedEOF): // the end of half a body: who sent it may still be reading
		return web.Fail(http.StatusBadRequest, "", err)
	case s.in.Context().Err() != nil, errors.Is(err, context.Canceled):
		return web.Fail(statusGone, "The request was broken off.", err)
	default:
		return web.Fail(http.StatusBadRequest, "", err)
	}
}

func timedOut(err error) bool {
	var n net.Error
	return errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || errors.As(err, &n) && n.Timeout()
}
