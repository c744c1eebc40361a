package engine

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

const (
	// restTime is how long a connection rests: it is held back from use, so that
	// bytes that no request asked for can arrive and be noticed.
	restTime = 75 * time.Millisecond
	// provenAfter is how many rests must have ended in silence before the upstream
	// is trusted. From then on, connections rest only after a request with a body.
	provenAfter = 4
	// freshTime is how long a connection may have been idle to carry a request that
	// cannot be repeated. The upstream may be about to close an older one, and the
	// request would be lost.
	freshTime = 200 * time.Millisecond
)

// A pool holds the idle connections to one upstream. It is last in, first out: the
// connection used most recently is the least likely to have been closed by the
// upstream, and surplus ones expire. It is safe for concurrent use.
//
// The pool defends against response desynchronisation. An upstream that does not
// read a request's body may take the body for another request (request smuggling),
// and answer it later. Those late bytes must never become the answer to somebody
// else's request. So a connection rests for a while after a request with a body, and
// after every request until the upstream is proven. Once an upstream has sent bytes
// that no request asked for, the pool reuses no connection again.
type pool struct {
	max   int           // most idle and resting connections together
	age   time.Duration // how long a connection may be idle; 0: no limit
	rest  time.Duration // how long a connection rests; 0: connections do not rest
	fresh time.Duration // how long a connection is fresh; see freshTime
	log   *slog.Logger  // for the warning about a noisy upstream; may be nil

	mu      sync.Mutex
	idle    []*conn     // ready for use, by conn.since, oldest first
	resting []*conn     // not ready yet, by conn.since, oldest first
	proven  int         // rests that ended in silence
	noisy   bool        // the upstream sent bytes that no request asked for; never reset
	sweep   *time.Timer // runs dropOld; nil: not scheduled
	closed  bool        // put closes what it is given
}

// take removes an idle connection from the pool and returns it, or nil if the caller
// has to open a new one. The connection is not older than p.age, has not been closed
// by the upstream and has no unread bytes. If fresh is set, it was last used at most
// p.fresh ago. take may wait for the end of a rest, at most p.rest; it returns nil if
// ctx ends first.
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

// popped says what take has to do with a connection that pop has returned.
type popped int

const (
	use     popped = iota // use it as it is
	wake                  // wait for the end of its rest, then use it
	replace               // close it, then open a new one
)

// pop removes the best connection and returns it with the rest that remains and what
// to do with it; nil means that a new connection has to be opened. Ready connections
// come before resting ones.
//
// A rest is waited for only while the upstream is unproven and this is its only idle
// connection; otherwise a new connection is faster. A connection that cannot be used
// now stays in the pool, unless it is the only one: that one is closed before the new
// one is opened, because an upstream that serves one connection at a time would not
// accept a second one.
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

// prove records that a rest ended in silence.
func (p *pool) prove() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.proven++
}

// put keeps c for a later request. It closes c if the pool is full, closed or noisy.
// Nothing of the last exchange may be left on c: no buffered bytes and no deadline
// that has passed or is about to.
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

// noise records that the upstream has sent bytes that no request asked for. It
// closes all idle connections, ends their reuse for good, and logs a warning once.
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

// isNoisy reports whether noise has been called.
func (p *pool) isNoisy() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.noisy
}

// dropOld closes the connections that have been idle for p.age. It schedules itself
// for the next one that will be, and stops while the pool is empty.
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

// splitOld moves the connections that are too old from the front of list to the end
// of old, and returns both. list is sorted by age, so it stops at the first young one.
func (p *pool) splitOld(list, old []*conn) (kept, gone []*conn) {
	n := 0
	for n < len(list) && time.Since(list[n].since) >= p.age {
		n++
	}
	old = append(old, list[:n]...)
	return slices.Delete(list, 0, n), old
}

// oldest returns the connection that has been idle the longest, or nil if the pool is
// empty.
func (p *pool) oldest() *conn {
	switch {
	case len(p.idle) == 0 && len(p.resting) == 0:
		return nil
	case len(p.resting) == 0 || len(p.idle) > 0 && p.idle[0].since.Before(p.resting[0].since):
		return p.idle[0]
	}
	return p.resting[0]
}

// close closes all idle connections. Connections that are put later are closed too.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	if p.sweep != nil {
		p.sweep.Stop()
	}
	p.mu.Unlock()
	p.drop()
}

// drop closes all idle and resting connections, outside of the lock: closing TLS
// writes to the network.
func (p *pool) drop() {
	p.mu.Lock()
	old := slices.Concat(p.idle, p.resting)
	p.idle, p.resting = nil, nil
	p.mu.Unlock()
	for _, c := range old {
		c.close()
	}
}

// sleep waits for d. It returns false at once if ctx ends before.
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
