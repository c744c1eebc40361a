package engine

import (
	"sync"
	"time"
)

// A pool keeps idle connections to one upstream. The last one put is the
// first one taken: it is the least likely to have been closed meanwhile, and
// the others grow old and go. Safe for concurrent use.
type pool struct {
	max int           // connections kept
	age time.Duration // how long one may lie idle

	mu     sync.Mutex
	idle   []*conn // oldest first
	sweep  *time.Timer
	closed bool
}

// take gives an idle connection that is neither too old, nor closed by the
// upstream, nor holding bytes that nobody asked for; nil when there is none.
func (p *pool) take() *conn {
	for {
		c := p.pop()
		if c == nil {
			return nil
		}
		if time.Since(c.since) < p.age && c.quiet() {
			return c
		}
		c.close()
	}
}

func (p *pool) pop() *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := len(p.idle)
	if n == 0 {
		return nil
	}
	c := p.idle[n-1]
	p.idle[n-1] = nil
	p.idle = p.idle[:n-1]
	return c
}

// put keeps c for the next request, or closes it when there are enough. The
// caller has made sure that nothing is left of the exchange before.
func (p *pool) put(c *conn) {
	c.since = time.Now()
	p.mu.Lock()
	if p.closed || len(p.idle) >= p.max {
		p.mu.Unlock()
		c.close()
		return
	}
	p.idle = append(p.idle, c)
	if p.sweep == nil {
		p.sweep = time.AfterFunc(p.age, p.dropOld)
	}
	p.mu.Unlock()
}

// dropOld closes what has been idle for too long, and comes back as long as
// there is anything left to watch.
func (p *pool) dropOld() {
	p.mu.Lock()
	n := 0
	for n < len(p.idle) && time.Since(p.idle[n].since) >= p.age {
		n++
	}
	old := append([]*conn(nil), p.idle[:n]...)
	p.idle = append(p.idle[:0], p.idle[n:]...)
	clear(p.idle[len(p.idle):cap(p.idle)])
	switch {
	case p.closed:
	case len(p.idle) == 0:
		p.sweep = nil
	default:
		p.sweep.Reset(max(p.age-time.Since(p.idle[0].since), time.Millisecond))
	}
	p.mu.Unlock()
	for _, c := range old {
		c.close()
	}
}

// close drops what is idle, and whatever is put from now on.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	old := p.idle
	p.idle = nil
	if p.sweep != nil {
		p.sweep.Stop()
	}
	p.mu.Unlock()
	for _, c := range old {
		c.close()
	}
}
