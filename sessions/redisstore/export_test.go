package redisstore

import "time"

// SetClock makes the store believe in another time.
func (s *Store) SetClock(now func() time.Time) { s.now = now }

// SetTimeout changes how long a command may take, and returns how long it was.
func (s *Store) SetTimeout(d time.Duration) (before time.Duration) {
	before, s.timeout = s.timeout, d
	return before
}

// Prefix is what stands before its keys.
func (s *Store) Prefix() string { return s.prefix }
