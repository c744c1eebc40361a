package engine

import "time"

const (
	// failuresInRow is how many requests must fail in a row to take out a member
	// that accepts connections. One is not enough: it may be the request's fault.
	failuresInRow = 5
	firstPause    = time.Second      // the pause after the first failure
	longestPause  = 30 * time.Second // the limit of the pause, which doubles each time
)

// A backend is a Member and its state, which Balanced.mu guards.
type backend struct {
	Member
	active   int       // requests under way
	failures int       // in a row
	failed   time.Time // when the last failure was

	sick   bool          // the last health check failed
	until  time.Time     // when a request may try whether it is back; zero: not out by failed requests
	pause  time.Duration // the current or last pause; 0: none since it was back
	trying bool          // a request is trying whether it is back; others stay away
}

// isOut reports whether the member is out, by its health check or by failed requests.
func (m *backend) isOut() bool { return m.sick || !m.until.IsZero() }

// isDue reports whether a request should try whether the member is back.
func (m *backend) isDue(now time.Time) bool {
	return !m.sick && !m.until.IsZero() && !m.trying && !now.Before(m.until)
}

// isReady reports whether requests should go to the member.
func (m *backend) isReady(now time.Time) bool { return !m.isOut() || m.isDue(now) }

// recover brings the member back after failures of requests.
func (m *backend) recover() {
	m.failures, m.until, m.pause, m.trying = 0, time.Time{}, 0, false
}

// fail records a failure. trial means that the request was one that tried whether
// the member is back: only its failure makes the pause longer, not that of requests
// that were under way before. atOnce takes the member out at the first failure.
func (m *backend) fail(now time.Time, trial, atOnce bool) {
	m.failed = now
	m.failures++
	if trial || m.until.IsZero() && (atOnce || m.failures >= failuresInRow) {
		m.pause = min(max(2*m.pause, firstPause), longestPause)
		m.until = now.Add(m.pause)
	}
}

// checked records the result of a health check. If requests have failed before, a
// good result does not bring the member back by itself: the next request tries it,
// because one page that works is not all of an application.
func (m *backend) checked(now time.Time, ok bool) {
	m.sick = !ok
	switch {
	case !ok:
		m.failed = now
	case !m.until.IsZero():
		m.until = now
	}
}
