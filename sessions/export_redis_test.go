package sessions

import "time"

// SetClock makes the store believe in another time.
func (s *Redis) SetClock(now func() time.Time) { s.now = now }

// Prefix is what stands before its keys.
func (s *Redis) Prefix() string { return s.prefix }
