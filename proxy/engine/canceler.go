package engine

import (
	"errors"
	"sync"
)

// A Canceler lets somebody who is not serving a request break it off: what is
// under way ends as if the visitor had left, an upgraded connection as well as
// a download. The zero value is ready, for one request at a time; Break may be
// called by anybody at any time. Unlike a context it costs the request nothing.
type Canceler struct {
	mu     sync.Mutex
	broken bool
	do     func() // ends what is under way; nil: nothing is
}

// errBroken is the cause of the Error of a request that was broken off.
var errBroken = errors.New("request was broken off")

// Break breaks the request off, now or as soon as there is something to break.
func (b *Canceler) Break() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken = true
	if b.do != nil {
		b.do()
	}
}

// Broken says whether Break was called.
func (b *Canceler) Broken() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.broken
}

// Arm says how to end what is under way from now on; nil: nothing is. It gives
// false when the request has been broken off, and do has been called then. do
// must not block, and may be called once too often.
func (b *Canceler) Arm(do func()) bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.do = do
	if b.broken && do != nil {
		do()
	}
	return !b.broken
}
