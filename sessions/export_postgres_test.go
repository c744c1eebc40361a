package sessions

import "time"

// SetClock makes the store believe in another time.
func (s *Postgres) SetClock(now func() time.Time) { s.now = now }

// SetPatience changes how long a call may take, and returns how long it was.
func (s *Postgres) SetPatience(d time.Duration) (before time.Duration) {
	before, s.patience = s.patience, d
	return before
}
