package server

import (
	"context"
	"time"
)

// every calls f each time that d has passed, until ctx is done.
func every(ctx context.Context, d time.Duration, f func()) {
	tick := time.NewTicker(d)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			f()
		}
	}
}

// sweepEvery is the time between two sweeps.
const sweepEvery = 5 * time.Minute

// sweep removes expired sessions, and counts of sign-in attempts, every few
// minutes until ctx is done.
func (s *Server) sweep(ctx context.Context) {
	every(ctx, sweepEvery, func() {
		n, err := s.site.Load().sessions.DeleteExpired(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.Error("expired sessions not removed", "error", err)
		} else if n > 0 {
			s.log.Info("expired sessions removed", "count", n)
		}
		if c, ok := s.shared.storage.counter.(interface {
			Purge(ctx context.Context) error
		}); ok {
			if err := c.Purge(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("counts of tries to sign in not removed", "error", err)
			}
		}
	})
}
