package server

import (
	"context"
	"errors"
	"time"

	"gatehouse/sessions"
)

// watch cuts what is forwarded for sessions that have ended by themselves, or
// by another Manager's hand, until ctx is done. Once a second it asks the
// store, which answers from memory, for each session that has something under
// way.
func (s *Server) watch(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, key := range s.parts.live.Keys() {
			if _, err := s.parts.state.store.Load(ctx, key); errors.Is(err, sessions.ErrNotFound) {
				s.parts.live.Cut(key)
			}
		}
	}
}
