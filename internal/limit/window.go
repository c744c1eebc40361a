package limit

import "time"

// A Window remembers values by key in bounded memory, each for one span at least and
// two at most. A value that was set in the span under way is fresh, one from the
// span before is old. A Window is not safe for concurrent use. Times that are
// handed in must not go backwards.
type Window[V any] struct {
	span time.Duration
	max  int // keys of one span

	begun      time.Time // the span under way
	fresh, old map[Key]V
}

// NewWindow returns an empty Window with at most size keys in each of its two spans. A
// span that is full ends early.
func NewWindow[V any](span time.Duration, size int) *Window[V] {
	return &Window[V]{span: span, max: max(1, size), fresh: map[Key]V{}, old: map[Key]V{}}
}

// Get returns the values that were set for the key in this span and in the one
// before; zero values where none was.
func (w *Window[V]) Get(k Key, now time.Time) (fresh, old V) {
	w.turn(now)
	return w.fresh[k], w.old[k]
}

// Has reports whether anything was set in either span.
func (w *Window[V]) Has(k Key, now time.Time) bool {
	w.turn(now)
	_, fresh := w.fresh[k]
	_, old := w.old[k]
	return fresh || old
}

// Set sets the key's value of this span.
func (w *Window[V]) Set(k Key, v V, now time.Time) {
	w.turn(now)
	if _, there := w.fresh[k]; !there && len(w.fresh) >= w.max {
		w.next(now)
	}
	w.fresh[k] = v
}

// Delete forgets the key.
func (w *Window[V]) Delete(k Key) {
	delete(w.fresh, k)
	delete(w.old, k)
}

// Len returns how many keys are remembered; one of both spans counts twice.
func (w *Window[V]) Len(now time.Time) int {
	w.turn(now)
	return len(w.fresh) + len(w.old)
}

// turn ends the spans whose time is over.
func (w *Window[V]) turn(now time.Time) {
	switch age := now.Sub(w.begun); {
	case age >= 2*w.span:
		w.next(now)
		clear(w.old)
	case age >= w.span:
		w.next(now)
	}
}

// next begins a new span, and forgets the older of the two.
func (w *Window[V]) next(now time.Time) {
	w.old, w.fresh = w.fresh, w.old
	clear(w.fresh)
	w.begun = now
}
