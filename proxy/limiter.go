package proxy

import (
	"errors"
	"net/http"
	"sync/atomic"
	"time"

	"gatehouse/internal/web"
)

// limiter bound the requests of a route that are under way at a time, from the
// decision that they may pass to the end of the answer, or of the protocol
// that the connection was handed over to. The zero value bounds nothing.
type limiter struct {
	max   int64 // 0: no bound
	taken atomic.Int64
}

// acquire takes a slot, which leave gives back; false: none is free.
func (s *limiter) acquire() bool {
	if s.max == 0 {
		return true
	}
	if s.taken.Add(1) > s.max {
		s.taken.Add(-1)
		return false
	}
	return true
}

func (s *limiter) release() {
	if s.max > 0 {
		s.taken.Add(-1)
	}
}

var errBusy = errors.New("max_requests of the route are under way")

// kindBusy is counted beside the kinds of engine.Error.
const kindBusy = "busy"

// busy turns a request away before the upstream hears of it. What it can still
// take is its own affair: nobody waits in line here, so that an upstream that
// hangs does not make the gate hang.
func (s *exchange) busy(w http.ResponseWriter) error {
	if s.asked {
		web.AddVary(w.Header(), "Cookie")
	}
	s.p.metrics.UpstreamError(s.route.label, kindBusy)
	return web.Later(http.StatusServiceUnavailable, "Too many requests are under way here. Please try again in a moment.", time.Second, errBusy)
}
