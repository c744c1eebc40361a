package proxy

import (
	"sync"

	"gatehouse/sessions"
)

// Live knows what is being forwarded for which session, so that a session's
// end reaches what began before it: a WebSocket, an event stream, a long
// download. It outlives a configuration. The zero value is ready; safe for
// concurrent use.
type Live struct {
	mu sync.Mutex
	of map[string]*passage // by the session's key: the head of a list
}

// Cut breaks off all that is forwarded for the session with the key.
func (l *Live) Cut(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for s := l.of[key]; s != nil; s = s.next {
		s.breaker.Break()
	}
}

// Sessions returns the sessions for which something is being forwarded, in no
// order.
func (l *Live) Sessions() []sessions.Info {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]sessions.Info, 0, len(l.of))
	for _, s := range l.of {
		all = append(all, s.id.Session)
	}
	return all
}

// add puts a passage with an identity into the lists; a nil Live has none.
func (l *Live) add(s *passage) {
	if l == nil || s.id == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = map[string]*passage{}
	}
	key := s.id.Session.Key
	s.prev, s.next = nil, l.of[key]
	if s.next != nil {
		s.next.prev = s
	}
	l.of[key] = s
}

// remove takes it out again. When it returns, nobody breaks the passage off
// any more.
func (l *Live) remove(s *passage) {
	if l == nil || s.id == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	key := s.id.Session.Key
	if s.next != nil {
		s.next.prev = s.prev
	}
	switch {
	case s.prev != nil:
		s.prev.next = s.next
	case s.next != nil:
		l.of[key] = s.next
	default:
		delete(l.of, key)
	}
}
