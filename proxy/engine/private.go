package engine

import (
	"slices"
	"sync"
	"sync/atomic"
)

// privates are the connections to one upstream that belong to one visitor each.
// The zero value is ready. Safe for concurrent use.
type privates struct {
	count atomic.Int32 // lanes: as long as there are none, nobody has to be looked up

	mu     sync.Mutex
	lanes  map[laneKey]*lane
	closed bool
}

// A laneKey says for whom a connection is: one connection of a visitor may
// carry requests of several people, one after the other or behind a proxy.
type laneKey struct {
	visitor *VisitorConn
	owner   string
}

// A lane is what one visitor has at one upstream. privates.mu guards it.
type lane struct {
	ended bool
	idle  []*conn            // the last one used is the last
	whole *TransportUpstream // over HTTP/2 without TLS: an upstream of its own; nil: none yet
}

const (
	maxPrivate = 16 // idle connections in a lane
	maxOwners  = 32 // lanes of one visitor at one upstream
)

// of gives the lane that r belongs to; nil: it has none.
func (p *privates) of(r *Request) *lane {
	if p.count.Load() == 0 {
		return nil
	}
	v := visitorOf(r.In.Context())
	if v == nil || r.Shared {
		return nil
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.lanes[laneKey{v, r.Owner}]
}

// open is of, and makes a lane where there is none; nil: r can have none.
func (p *privates) open(r *Request) *lane {
	v := visitorOf(r.In.Context())
	if v == nil || r.Shared {
		return nil
	}
	key := laneKey{v, r.Owner}
	l, most := p.enter(key)
	if !most {
		return l
	}
	// Behind a proxy many people come over one connection: somebody has to go.
	other := true
	p.end(func(k laneKey) bool {
		gone := other && k.visitor == v
		other = other && !gone
		return gone
	})
	l, _ = p.enter(key)
	return l
}

// enter gives the lane of key, and reports whether it was not made because the
// visitor has as many as there may be.
func (p *privates) enter(key laneKey) (l *lane, most bool) {
	v := key.visitor
	v.mu.Lock() // until the lane is there: Close must find it
	defer v.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	switch l = p.lanes[key]; {
	case l != nil:
		return l, false
	case v.closed || p.closed:
		return nil, false
	case p.owners(v) >= maxOwners:
		return nil, true
	}
	if !slices.Contains(v.at, p) {
		v.at = append(v.at, p)
	}
	if p.lanes == nil {
		p.lanes = map[laneKey]*lane{}
	}
	l = &lane{}
	p.lanes[key] = l
	p.count.Add(1)
	return l, false
}

func (p *privates) owners(v *VisitorConn) (n int) {
	for key := range p.lanes {
		if key.visitor == v {
			n++
		}
	}
	return n
}

// leave closes what is kept for v.
func (p *privates) leave(v *VisitorConn) {
	p.end(func(key laneKey) bool { return key.visitor == v })
}

// close closes everything, and what is put from now on.
func (p *privates) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.end(func(laneKey) bool { return true })
}

func (p *privates) end(which func(laneKey) bool) {
	p.mu.Lock()
	var ended []*lane
	for key, l := range p.lanes {
		if which(key) {
			delete(p.lanes, key)
			p.count.Add(-1)
			l.ended = true
			ended = append(ended, l)
		}
	}
	p.mu.Unlock()
	for _, l := range ended { // nobody else touches what has ended
		for _, c := range l.idle {
			c.close()
		}
		if l.whole != nil {
			l.whole.Close()
		}
	}
}

// take gives a connection of l that can be used; nil: there is none. A request
// that goes on with a handshake gets the connection that waits for it. Other
// requests leave that one alone, unless the visitor has nothing else under way.
func (p *privates) take(l *lane, handshake, alone bool) *conn {
	for {
		c := p.pick(l, handshake, alone)
		if c == nil || c.quiet() {
			return c
		}
		c.close()
	}
}

func (p *privates) pick(l *lane, handshake, alone bool) *conn {
	p.mu.Lock()
	defer p.mu.Unlock()
	best := -1
	for i, c := range l.idle {
		switch {
		case c.pending && !handshake && !alone:
		case best >= 0 && handshake && l.idle[best].pending && !c.pending:
		default:
			best = i
		}
	}
	if best < 0 {
		return nil
	}
	c := l.idle[best]
	l.idle = slices.Delete(l.idle, best, best+1)
	return c
}

// standard gives what l has over HTTP/2, made when it is first asked for.
func (p *privates) standard(l *lane, o TransportOptions) *TransportUpstream {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case l.whole != nil:
	case l.ended: // the visitor has left in this moment
		o.NoReuse = true
		return newOwn(o)
	default:
		l.whole = newOwn(o)
	}
	return l.whole
}

// put keeps c in l, or closes it when the visitor has left or has enough.
func (p *privates) put(l *lane, c *conn) {
	p.mu.Lock()
	if l.ended || len(l.idle) >= maxPrivate {
		p.mu.Unlock()
		c.close()
		return
	}
	l.idle = append(l.idle, c)
	p.mu.Unlock()
}
