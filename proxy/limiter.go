package proxy

import "sync/atomic"

// A limiter bounds how many requests of a route are under way at a time: from the
// decision that a request may pass to the end of its answer, or of the protocol
// that its connection switched to. Requests over the limit fail at once; there
// is no queue. The zero value bounds nothing. Safe for concurrent use.
type limiter struct {
	max   int64 // 0: no bound
	taken atomic.Int64
}

// acquire takes a slot and reports whether one was free. Each one that was taken
// has to be released.
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
