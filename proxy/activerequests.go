package proxy

import (
	"sync"
	"time"

	"gatehouse/sessions"
)

// ActiveRequests is the index of the requests that are being forwarded, by
// session, so that the end of a session reaches what began before it: a
// WebSocket, an event stream, a long download. It outlives a configuration. The
// zero value is ready for use. Safe for concurrent use.
type ActiveRequests struct {
	mu   sync.Mutex
	list map[string]*activeRequest // the head of a list, by Session.Key
}

// Cut breaks off what is forwarded for the session with the key, which has
// ended. A request that may have changed something is answered first, within
// a bound; call Cut again for as long as Sessions returns the session.
func (l *ActiveRequests) Cut(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for a := l.list[key]; a != nil; a = a.next {
		a.cut(now)
	}
}

// Moved reports whether bytes that are a use of the session with the key have
// moved since the last call for it.
func (l *ActiveRequests) Moved(key string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	moved := false
	for a := l.list[key]; a != nil; a = a.next {
		if n := a.moved(); n != a.counted {
			a.counted, moved = n, true
		}
	}
	return moved
}

// Sessions returns the sessions for which something is being forwarded, in no
// particular order.
func (l *ActiveRequests) Sessions() []sessions.Info {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]sessions.Info, 0, len(l.list))
	for _, a := range l.list {
		all = append(all, *a.session)
	}
	return all
}

// add puts a into the index if it has a session. A nil *ActiveRequests does
// nothing.
func (l *ActiveRequests) add(a *activeRequest) {
	if l == nil || a.session == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.list == nil {
		l.list = map[string]*activeRequest{}
	}
	key := a.session.Key
	a.prev, a.next = nil, l.list[key]
	if a.next != nil {
		a.next.prev = a
	}
	l.list[key] = a
}

// remove takes a out of the index. When it returns, nothing breaks a off any
// more.
func (l *ActiveRequests) remove(a *activeRequest) {
	if l == nil || a.session == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	key := a.session.Key
	if a.next != nil {
		a.next.prev = a.prev
	}
	switch {
	case a.prev != nil:
		a.prev.next = a.next
	case a.next != nil:
		l.list[key] = a.next
	default:
		delete(l.list, key)
	}
}
