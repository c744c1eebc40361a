package server

import (
	"context"
	"time"
)

// sweep removes expired sessions and old counts of sign-in attempts from the
// store, every five minutes until ctx is done. Neither counts any more before
// that: this only frees space.
func (s *Server) sweep(ctx context.Context) {
	const every = 5 * time.Minute
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
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
	}
}
