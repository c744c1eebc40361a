package sessions

import (
	"context"
	"time"
)

// SetClock makes the store believe in another time.
func (s *Redis) SetClock(now func() time.Time) { s.now = now }

// WithStep lets each step take longer: a machine that runs tests is slow.
func (o RedisOptions) WithStep(d time.Duration) RedisOptions {
	o.step = d
	return o
}

// SetStep changes how long a step may take, and returns how long it was.
func (s *Redis) SetStep(d time.Duration) (before time.Duration) {
	before, s.step = s.step, d
	return before
}

// Prefix is what stands before its keys.
func (s *Redis) Prefix() string { return s.prefix }

// Believes reports whether the cache is asked.
func (c *CachedDB) Believes() bool { return c.believed("") != "" }

// Holds reports whether the cache has the record and is believed.
func (c *CachedDB) Holds(ctx context.Context, key string) bool {
	epoch := c.believed(key)
	if epoch == "" {
		return false
	}
	_, found, _, err := c.cache.get(ctx, epoch, key)
	return err == nil && found
}
