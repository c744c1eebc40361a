package server

import (
	"context"
	"sync"
	"time"

	"gatehouse/sessions"
)

// Intervals and limits of watchSessions.
const (
	watchEvery    = 500 * time.Millisecond // how long a request or connection may outlive its session
	watchers      = 16                     // sessions that are checked at the same time
	watchPatience = 5 * time.Second
)

// watchSessions cuts off what is forwarded for sessions that no longer count,
// until ctx is done: sessions that have expired or were ended by another process,
// and those whose account was deleted, disabled, or given another password. A
// session that is ended in this process is cut off at once, by ended.
//
// It asks the site in force about each session that has something under way; the
// answers usually come from memory.
func (s *Server) watchSessions(ctx context.Context) {
	every(ctx, watchEvery, func() {
		a := s.site.Load().auth
		s.cutEnded(ctx, a.Counts, a.Used)
	})
}

// cutEnded asks about every session that has something under way, and records
// activity for those that have moved bytes. If the store cannot tell, the session
// goes on: a store that is away for a while signs nobody out.
func (s *Server) cutEnded(ctx context.Context, counts func(ctx context.Context, i sessions.Info) (bool, error), used func(ctx context.Context, i sessions.Info)) {
	all := s.shared.live.Sessions()
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
					s.shared.live.Cut(i)
				case s.shared.live.Moved(i):
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
