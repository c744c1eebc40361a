package server

import (
	"context"
	"errors"
	"sync"
	"time"

	"gatehouse/sessions"
)

// live knows what is being forwarded for which session, so that a session's
// end reaches what began before it: a WebSocket, an event stream, a long
// download. The zero value is ready.
type live struct {
	mu sync.Mutex
	of map[string]map[*forwarding]struct{} // by the session's key
}

// A forwarding is one request on its way.
type forwarding struct{ end func() }

// add registers a request; its result takes it out again (proxy.Options.Live).
func (l *live) add(i sessions.Info, end func()) (over func()) {
	f := &forwarding{end}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = map[string]map[*forwarding]struct{}{}
	}
	if l.of[i.Key] == nil {
		l.of[i.Key] = map[*forwarding]struct{}{}
	}
	l.of[i.Key][f] = struct{}{}
	return func() { l.remove(i.Key, f) }
}

func (l *live) remove(key string, f *forwarding) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.of[key], f)
	if len(l.of[key]) == 0 {
		delete(l.of, key)
	}
}

// cut ends all that is forwarded for a session.
func (l *live) cut(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for f := range l.of[key] {
		f.end()
	}
}

func (l *live) keys() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	keys := make([]string, 0, len(l.of))
	for k := range l.of {
		keys = append(keys, k)
	}
	return keys
}

// watch cuts what belongs to sessions that have ended by themselves, or by
// another Manager's hand, until ctx is done. It asks the store, which answers
// from memory, once a second for each session that has something under way.
func (l *live) watch(ctx context.Context, store sessions.Store) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for _, key := range l.keys() {
			if _, err := store.Load(ctx, key); errors.Is(err, sessions.ErrNotFound) {
				l.cut(key)
			}
		}
	}
}
