package proxy

import "sync/atomic"

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
