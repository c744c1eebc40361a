package engine

import "time"

const (
	// failuresInRow takes a member out that can be connected. One is not
	// enough: it may be the fault of what was asked for.
	failuresInRow = 5
	firstPause    = time.Second
	longestPause  = 30 * time.Second
)

// A backend is a Member and how it does. Balanced.mu guards it.
type backend struct {
	Member
	active   int       // requests under way
	failures int       // in a row
	failed   time.Time // the last time

	sick   bool          // the last health check failed
	until  time.Time     // not asked before, and out until it answers; zero: not so
	pause  time.Duration // the last one
	trying bool          // a request tries whether it is back
}

// isOut says whether the member is known to be in trouble.
func (m *backend) isOut() bool { return m.sick || !m.until.IsZero() }

// isDue says whether somebody should try whether it is back.
func (m *backend) isDue(now time.Time) bool {
	return !m.sick && !m.until.IsZero() && !m.trying && !now.Before(m.until)
}

// isReady says whether requests should go to it.
func (m *backend) isReady(now time.Time) bool { return !m.isOut() || m.isDue(now) }

// recover forgets the failures of requests.
func (m *backend) recover() {
	m.failures, m.until, m.pause, m.trying = 0, time.Time{}, 0, false
}

// fail notes a failure. Those of requests that were under way when the member
// went out do not make its pause any longer.
func (m *backend) fail(now time.Time, trial, atOnce bool) {
	m.failed = now
	m.failures++
	if trial || m.until.IsZero() && (atOnce || m.failures >= failuresInRow) {
		m.pause = min(max(2*m.pause, firstPause), longestPause)
		m.until = now.Add(m.pause)
	}
}

// checked notes the result of a health check. Who is well is tried by the next
// request, if requests have failed before: one page that works is not all.
func (m *backend) checked(now time.Time, ok bool) {
	m.sick = !ok
	switch {
	case !ok:
		m.failed = now
	case !m.until.IsZero():
		m.until = now
	}
}
