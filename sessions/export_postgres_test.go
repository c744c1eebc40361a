package sessions

import "time"

// SetClock makes the store believe in another time.
func (s *Postgres) SetClock(now func() time.Time) { s.now = now }
