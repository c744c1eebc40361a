package proxy

import "sync/atomic"

// A limiter limits how many requests of a route are in flight: from the decision
// that a request may pass to the end of its answer, or of the protocol that its
// connection switched to. Requests over the limit fail at once; there is no queue.
// The zero value has no limit. Safe for concurrent use.
type limiter struct {
	max   int64 // 0: no limit
	taken atomic.Int64
}

// acquire takes a slot and reports whether one was free. Each acquired slot must be
// released exactly once.
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

// release frees a slot.
func (s *limiter) release() {
	if s.max > 0 {
		s.taken.Add(-1)
	}
}
