package pgstore

import (
	"context"
	"time"
)

// SetClock makes the store believe in another time.
func (s *Store) SetClock(now func() time.Time) { s.now = now }

// SetPatience changes how long a call may take, and returns how long it was.
func (s *Store) SetPatience(d time.Duration) (before time.Duration) {
	before, s.patience = s.patience, d
	return before
}

// Believes reports whether the cache is asked.
func (c *Cached) Believes() bool { return c.believed("") != "" }

// Holds reports whether the cache has the record and is believed.
func (c *Cached) Holds(ctx context.Context, key string) bool {
	epoch := c.believed(key)
	if epoch == "" {
		return false
	}
	_, found, _, err := c.cache.Get(ctx, epoch, key)
	return err == nil && found
}
