package proxy

import (
	"iter"
	"slices"
	"sync"
	"time"

	"gatehouse/sessions"
)

// ActiveRequests indexes the requests that are being forwarded by their session, so
// that the end of a session reaches what began before it: WebSockets, event
// streams, long downloads. It is shared by successive configurations. The zero
// value is ready for use. Safe for concurrent use.
type ActiveRequests struct {
	mu   sync.Mutex
	list map[string]*activeRequest // the head of a list, by Session.Key
}

// Cut interrupts the requests of a session that has ended, on its host if it has one
// (Info.Covers). A request that may have changed something is answered first, within
// a limit (see activeRequest.cut), so the caller must call Cut again as long as
// Sessions returns the session. It does nothing for an unknown session.
func (l *ActiveRequests) Cut(ended sessions.Info) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	for a := range l.of(&ended) {
		a.cut(now)
	}
}

// Moved reports whether any request of the session, on its host if it has one, has
// transferred bytes since the last call for it that are a use of the session.
func (l *ActiveRequests) Moved(session sessions.Info) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	moved := false
	for a := range l.of(&session) {
		if n := a.moved(); n != a.counted {
			a.counted, moved = n, true
		}
	}
	return moved
}

// of yields the requests of a session. The caller holds l.mu.
func (l *ActiveRequests) of(session *sessions.Info) iter.Seq[*activeRequest] {
	return func(yield func(*activeRequest) bool) {
		for a := l.list[session.Key]; a != nil; a = a.next {
			if session.Covers(a.session) && !yield(a) {
				return
			}
		}
	}
}

// Sessions returns the sessions that have requests in flight, each once for each of
// its hosts, in no particular order.
func (l *ActiveRequests) Sessions() []sessions.Info {
	l.mu.Lock()
	defer l.mu.Unlock()
	all := make([]sessions.Info, 0, len(l.list))
	for _, a := range l.list {
		first := len(all)
		for ; a != nil; a = a.next {
			if !slices.ContainsFunc(all[first:], func(i sessions.Info) bool { return i.Host == a.session.Host }) {
				all = append(all, *a.session)
			}
		}
	}
	return all
}

// add adds a to the index if it has a session. A nil *ActiveRequests does nothing.
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

// remove removes a from the index. After it returns, nothing interrupts a, which
// may then be reused. A nil *ActiveRequests does nothing.
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
