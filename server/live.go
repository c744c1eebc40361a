package server

import (
	"context"
	"sync"
	"time"
)

const (
	watchEvery    = 500 * time.Millisecond // how long what is under way may outlive its session
	watchers      = 16                     // sessions that are asked about at a time
	watchPatience = 5 * time.Second
)

// watch cuts what is forwarded for sessions that do not count any more, until
// ctx is done: those that have ended by themselves or by another process, and
// those whose account has gone, was disabled or has got another password, in
// the database or by a reload. Who ends a session here cuts at once, see ended.
//
// It asks the site that new requests get, again and again for each session
// that has something under way; the answers come from memory.
func (s *Server) watch(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		s.cutEnded(ctx, s.site.Load().gate.Counts)
	}
}

// cutEnded asks about every session that has something under way. What cannot
// be told goes on: a store that is gone for a while signs nobody out.
func (s *Server) cutEnded(ctx context.Context, counts func(ctx context.Context, key string) (bool, error)) {
	keys := s.parts.live.Keys()
	if len(keys) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, watchPatience)
	defer cancel()
	todo := make(chan string)
	var wg sync.WaitGroup
	for range min(watchers, len(keys)) { // a store that is slow for one must not delay the others
		wg.Go(func() {
			for key := range todo {
				if ok, err := counts(ctx, key); !ok && err == nil {
					s.parts.live.Cut(key)
				}
			}
		})
	}
	for _, key := range keys {
		todo <- key
	}
	close(todo)
	wg.Wait()
}
