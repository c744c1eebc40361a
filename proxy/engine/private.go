package engine

import (
	"slices"
	"sync"
	"sync/atomic"
)

// privates are the connections to one upstream that belong to one visitor each,
// because they are signed in. The zero value is ready to use. It is safe for
// concurrent use.
type privates struct {
	count atomic.Int32 // lanes; saves the look-up while there are none

	mu     sync.Mutex
	lanes  map[laneKey]*lane
	closed bool
}

// A laneKey identifies whom a connection belongs to: one connection of a client may
// carry requests of several people, one after the other or behind a proxy.
type laneKey struct {
	visitor *VisitorConn
	owner   string
}

// A lane holds the connections of one laneKey to one upstream. privates.mu guards
// it.
type lane struct {
	ended bool
	idle  []*conn            // in the order of their last use
	whole *TransportUpstream // in place of idle, for TransportUpstream; nil: none yet
}

const (
	maxPrivate = 16 // idle connections in a lane
	maxOwners  = 32 // lanes of one visitor at one upstream
)

// of returns the lane of r; nil: there is none.
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

// open returns the lane of r, and makes one if there is none; nil: r cannot have
// one.
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
	// Behind a proxy, many people use one connection: one of the lanes has to go.
	other := true
	p.end(func(k laneKey) bool {
		gone := other && k.visitor == v
		other = other && !gone
		return gone
	})
	l, _ = p.enter(key)
	return l
}

// enter returns the lane of key, and makes one if there is none. It returns nil if
// there cannot be one; most reports whether that is because the visitor has as many
// as allowed.
func (p *privates) enter(key laneKey) (l *lane, most bool) {
	v := key.visitor
	v.mu.Lock() // until the lane exists: Close must find it
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

// leave closes the lanes of v.
func (p *privates) leave(v *VisitorConn) {
	p.end(func(key laneKey) bool { return key.visitor == v })
}

// close closes all lanes, and connections that are put from now on.
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
	for _, l := range ended { // nothing else uses a lane that has ended
		for _, c := range l.idle {
			c.close()
		}
		if l.whole != nil {
			l.whole.Close()
		}
	}
}

// take returns a usable connection of l; nil: there is none. A request that
// continues a handshake gets the connection that waits for it. Other requests leave
// that one alone, unless they are alone: the visitor has no other request under way.
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

// transport returns l.whole, and makes it at the first call.
func (p *privates) transport(l *lane, o TransportOptions) *TransportUpstream {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case l.whole != nil:
	case l.ended: // the visitor left at this moment
		o.NoReuse = true
		return newOwn(o)
	default:
		l.whole = newOwn(o)
	}
	return l.whole
}

// put keeps c in l, or closes it if the visitor has left or has enough.
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
