package sessions

import "time"

// SetClock makes the store believe in another time.
func (s *Redis) SetClock(now func() time.Time) { s.now = now }

// WithStep lets each step take longer: a machine that runs tests is slow.
func (o RedisOptions) WithStep(d time.Duration) RedisOptions {
	o.step = d
	return o
}

// Prefix is what stands before its keys.
func (s *Redis) Prefix() string { return s.prefix }
