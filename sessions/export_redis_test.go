package sessions

import "time"

// SetClock makes the store believe in another time.
func (s *Redis) SetClock(now func() time.Time) { s.now = now }
