package engine

import (
	"errors"
	"sync"
)

// A Canceler lets another goroutine cancel a request: it ends as if the client had
// left, whether it is an upgraded connection or a download. The zero value is ready
// to use, for one request at a time. It is safe for concurrent use, and unlike a
// context it costs a request nothing.
type Canceler struct {
	mu     sync.Mutex
	broken bool
	do     func() // cancels what is under way; nil: nothing is
}

// errBroken is the cause of the Error of a request that was cancelled.
var errBroken = errors.New("request was broken off")

// Break cancels the request: what is under way, and what begins later.
func (b *Canceler) Break() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.broken = true
	if b.do != nil {
		b.do()
	}
}

// Broken reports whether Break was called. A nil Canceler is never broken.
func (b *Canceler) Broken() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.broken
}

// Arm sets the function that cancels what is under way from now on; nil: nothing is.
// It reports false if the request has been cancelled, after it has called do. do
// must not block, and may be called more than once, also when it is too late.
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
