package engine

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

const (
	// restTime is how long a connection is not used while bytes may still come that
	// no request asked for.
	restTime = 75 * time.Millisecond
	// provenAfter is how many connections must have been silent for restTime before
	// the upstream is trusted to send nothing unasked.
	provenAfter = 4
	// freshTime is how long a connection may have been idle for a request that
	// cannot be sent again: the upstream may be about to close an older one.
	freshTime = 200 * time.Millisecond
)

// A pool holds the idle connections to one upstream. The last one put is the first
// one taken: it is the least likely to have been closed meanwhile, and superfluous
// ones expire. It is safe for concurrent use.
//
// Bytes that come late must not become the answer to the next request. They may
// answer a request that the upstream found in a body which it did not read. So a
// connection rests for a while after a request with a body, and after every request
// as long as the upstream is new. Once bytes have come that no request asked for,
// no connection to the upstream is ever used again.
type pool struct {
	max   int           // idle connections
	age   time.Duration // how long one may be idle; 0: no limit
	rest  time.Duration // how long one rests; 0: none does
	fresh time.Duration // how long one is fresh
	log   *slog.Logger  // for the warning about a noisy upstream; may be nil

	mu      sync.Mutex
	idle    []*conn // ready, oldest first
	resting []*conn // oldest first
	proven  int     // connections that were silent while they rested
	noisy   bool    // the upstream sent bytes that no request asked for
	sweep   *time.Timer
	closed  bool
}

// take returns an idle connection that is neither too old, nor closed by the
// upstream, nor holds bytes that no request asked for; nil if there is none. With
// fresh, its last use is no longer ago than freshTime. It may wait for the end of
// a rest.
func (p *pool) take(ctx context.Context, fresh bool) *conn {
	for {
		c, wait, do := p.pop(fresh)
		switch {
		case c == nil:
			return nil
		case do == replace || do == wake && wait > 0 && !sleep(ctx, wait):
			c.close()
			return nil
		}
		switch state := c.look(); {
		case state == isNoisy:
			p.noise()
		case state == isQuiet && (p.age == 0 || time.Since(c.since) < p.age):
			if do == wake {
				p.prove()
			}
			return c
		}
		c.close()
	}
}

// popped is what has to be done with a connection that pop has returned.
type popped int

const (
	use     popped = iota
	wake           // wait for the end of its rest
	replace        // close it, and use a new one
)

// pop removes a connection, and returns how long it has still to rest. One that
// rests after a body is not waited for, and one that is not fresh enough is not
// used: opening a new connection is faster. If it is the only one, it must be closed
// first, because an upstream that serves one connection at a time would not accept
// the new one before. A nil connection means that a new one has to be opened.
func (p *pool) pop(fresh bool) (c *conn, wait time.Duration, do popped) {
	p.mu.Lock()
	defer p.mu.Unlock()
	list, i := &p.idle, len(p.idle)-1
	if i < 0 {
		list, i = &p.resting, 0
	}
	if len(*list) == 0 {
		return nil, 0, use
	}
	c = (*list)[i]
	stale := fresh && time.Since(c.since) > p.fresh
	if list == &p.resting {
		wait, do = p.rest-time.Since(c.since), wake
	}
	switch {
	case !stale && (wait <= 0 || len(p.resting) == 1 && p.proven < provenAfter):
	case len(p.idle)+len(p.resting) > 1:
		return nil, 0, use
	default:
		do = replace
	}
	*list = slices.Delete(*list, i, i+1)
	return c, wait, do
}

// prove records that a connection was silent while it rested.
func (p *pool) prove() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.proven++
}

// put keeps c for a later request, or closes it if there are enough. Nothing may be
// left of the last exchange: no buffered bytes, no deadline in the past.
func (p *pool) put(c *conn) {
	c.since = time.Now()
	p.mu.Lock()
	if p.closed || p.noisy || len(p.idle)+len(p.resting) >= p.max {
		p.mu.Unlock()
		c.close()
		return
	}
	if p.rest > 0 && (c.hadBody || p.proven < provenAfter) {
		p.resting = append(p.resting, c)
	} else {
		p.idle = append(p.idle, c)
	}
	if p.sweep == nil && p.age > 0 {
		p.sweep = time.AfterFunc(p.age, p.dropOld)
	}
	p.mu.Unlock()
}

// noise records that the upstream has sent bytes that no request asked for, and
// closes all idle connections.
func (p *pool) noise() {
	p.mu.Lock()
	first := !p.noisy
	p.noisy = true
	p.mu.Unlock()
	if !first {
		return
	}
	p.drop()
	if p.log != nil {
		p.log.Warn("upstream sent bytes that nobody asked for; its connections are not used again")
	}
}

// isNoisy reports whether noise was called.
func (p *pool) isNoisy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.noisy
}

// dropOld closes connections that have been idle for too long. It runs again as
// long as there are others.
func (p *pool) dropOld() {
	p.mu.Lock()
	var old []*conn
	p.idle, old = p.splitOld(p.idle, old)
	p.resting, old = p.splitOld(p.resting, old)
	switch next := p.oldest(); {
	case p.closed:
	case next == nil:
		p.sweep = nil
	default:
		p.sweep.Reset(max(p.age-time.Since(next.since), time.Millisecond))
	}
	p.mu.Unlock()
	for _, c := range old {
		c.close()
	}
}

// splitOld moves the connections of list that are too old to old.
func (p *pool) splitOld(list, old []*conn) (kept, gone []*conn) {
	n := 0
	for n < len(list) && time.Since(list[n].since) >= p.age {
		n++
	}
	old = append(old, list[:n]...)
	return slices.Delete(list, 0, n), old
}

// oldest returns the connection that was put first; nil: there is none.
func (p *pool) oldest() *conn {
	switch {
	case len(p.idle) == 0 && len(p.resting) == 0:
		return nil
	case len(p.resting) == 0 || len(p.idle) > 0 && p.idle[0].since.Before(p.resting[0].since):
		return p.idle[0]
	}
	return p.resting[0]
}

// close closes idle connections, and those that are put from now on.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	if p.sweep != nil {
		p.sweep.Stop()
	}
	p.mu.Unlock()
	p.drop()
}

// drop closes all idle connections.
func (p *pool) drop() {
	p.mu.Lock()
	old := slices.Concat(p.idle, p.resting)
	p.idle, p.resting = nil, nil
	p.mu.Unlock()
	for _, c := range old {
		c.close()
	}
}

// sleep reports whether d has passed before the end of ctx.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
