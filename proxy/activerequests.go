package proxy

import (
	"sync"
	"time"

	"gatehouse/sessions"
)

// ActiveRequests knows what is being forwarded for which session, so that a session's
// end reaches what began before it: a WebSocket, an event stream, a long
// download. It outlives a configuration. The zero value is ready; safe for
// concurrent use.
type ActiveRequests struct {
	mu sync.Mutex
	of map[string]*exchange // by the session's key: the head of a list
}

// Cut breaks off what is forwarded for the session with the key, which has
// ended. What may have changed something is answered first: Cut is called again
// for as long as Sessions has the session.
func (l *ActiveRequests) Cut(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for s := l.of[key]; s != nil; s = s.next {
		s.end(now)
	}
}

// Moved reports whether bytes that are a use of the session with the key have
// moved since it was asked last.
func (l *ActiveRequests) Moved(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	moved := false
	for s := l.of[key]; s != nil; s = s.next {
		if n := s.moved(); n != s.counted {
			s.counted, moved = n, true
		}
	}
	return moved
}

// Sessions returns the sessions for which something is being forwarded, in no
// order.
func (l *ActiveRequests) Sessions() []sessions.Info {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]sessions.Info, 0, len(l.of))
	for _, s := range l.of {
		all = append(all, s.id.Session)
	}
	return all
}

// add puts a passage with an identity into the lists; a nil Live has none.
func (l *ActiveRequests) add(s *exchange) {
	if l == nil || s.id == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.of == nil {
		l.of = map[string]*exchange{}
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
func (l *ActiveRequests) remove(s *exchange) {
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
