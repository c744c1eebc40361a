package limit

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// ErrBusy says that the queue is full, or that the wait in it was too long.
var ErrBusy = errors.New("limit: too busy")

// A Gate lets a number of callers in at a time; a few more wait before it.
// It is safe for concurrent use.
type Gate struct {
	inside   chan struct{}
	waiting  atomic.Int64
	queue    int64
	patience time.Duration
}

// NewGate makes a gate for n callers at a time. Up to queue more wait, each
// at most for the time patience.
func NewGate(n, queue int, patience time.Duration) *Gate {
	return &Gate{inside: make(chan struct{}, max(1, n)), queue: int64(queue), patience: patience}
}

// Enter waits for a place. After nil, the caller must call Leave. ErrBusy
// when there is none in time, or the error of ctx when that ends first.
func (g *Gate) Enter(ctx context.Context) error {
	select {
	case g.inside <- struct{}{}:
		return nil
	default:
	}
	if g.waiting.Add(1) > g.queue {
		g.waiting.Add(-1)
		return ErrBusy
	}
	defer g.waiting.Add(-1)
	timeout := time.NewTimer(g.patience)
	defer timeout.Stop()
	select {
	case g.inside <- struct{}{}:
		return nil
	case <-timeout.C:
		return ErrBusy
	case <-ctx.Done():
		return fmt.Errorf("wait for a place: %w", context.Cause(ctx))
	}
}

// Leave gives the place back.
func (g *Gate) Leave() { <-g.inside }

// Patience is how long a caller waits at most.
func (g *Gate) Patience() time.Duration { return g.patience }
