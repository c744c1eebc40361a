package server

import (
	"context"
	"sync"
	"time"

	"gatehouse/sessions"
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
		gate := s.site.Load().auth
		s.cutEnded(ctx, gate.Counts, gate.Used)
	}
}

// cutEnded asks about every session that has something under way, and records
// a use of those in which something has moved. What cannot be told goes on: a
// store that is gone for a while signs nobody out.
func (s *Server) cutEnded(ctx context.Context, counts func(ctx context.Context, i sessions.Info) (bool, error), used func(ctx context.Context, i sessions.Info)) {
	all := s.parts.live.Sessions()
	if len(all) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, watchPatience)
	defer cancel()
	todo := make(chan sessions.Info)
	var wg sync.WaitGroup
	for range min(watchers, len(all)) { // a store that is slow for one must not delay the others
		wg.Go(func() {
			for i := range todo {
				switch ok, err := counts(ctx, i); {
				case err != nil:
				case !ok:
					s.parts.live.Cut(i.Key)
				case s.parts.live.Moved(i.Key):
					used(ctx, i)
				}
			}
		})
	}
	for _, i := range all {
		todo <- i
	}
	close(todo)
	wg.Wait()
}
