package engine

import (
	"slices"
	"sync"
	"sync/atomic"
)

// privates holds the connections to one upstream that are signed in by NTLM or Negotiate.
// The upstream takes every request on such a connection for one of the person who signed
// in, so none may ever serve anybody else. The zero value is ready to use. It is safe for
// concurrent use.
//
// Where both locks are needed, VisitorConn.mu is taken before privates.mu.
type privates struct {
	count atomic.Int32 // lanes; saves the look-up while there are none

	mu     sync.Mutex
	lanes  map[laneKey]*lane
	closed bool
}

// A laneKey identifies who a connection belongs to. The visitor's connection alone is not
// enough: it may carry requests of several people, one after the other or through a proxy
// in front.
type laneKey struct {
	visitor *VisitorConn
	owner   string
}

// A lane holds the connections of one laneKey to one upstream. privates.mu guards
// it.
type lane struct {
	ended bool               // it is no longer in lanes; connections that are put are closed
	idle  []*conn            // in the order of their last use
	whole *TransportUpstream // used instead of idle by TransportUpstream; nil: none yet
}

const (
	maxPrivate = 16 // idle connections in a lane
	maxOwners  = 32 // lanes of one visitor at one upstream
)

// of returns the lane of r, or nil if there is none.
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

// open returns the lane of r, and creates it if there is none. It returns nil if r cannot
// have one: its visitor is unknown or has left, r is Shared, or p is closed. If the visitor
// has maxOwners lanes, any one of them is closed first.
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
	// Many people share one connection, through a proxy: one of the lanes has to go.
	other := true
	p.end(func(k laneKey) bool {
		gone := other && k.visitor == v
		other = other && !gone
		return gone
	})
	l, _ = p.enter(key)
	return l
}

// enter returns the lane of key, and creates it if there is none. It returns nil if there
// cannot be one; most reports whether that is because the visitor has maxOwners.
func (p *privates) enter(key laneKey) (l *lane, most bool) {
	v := key.visitor
	v.mu.Lock() // held until the lane exists, so that VisitorConn.Close finds it
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

// leave closes all lanes of v, whose connection has ended.
func (p *privates) leave(v *VisitorConn) {
	p.end(func(key laneKey) bool { return key.visitor == v })
}

// close closes all lanes. Connections that are put later are closed too.
func (p *privates) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.end(func(laneKey) bool { return true })
}

// end removes the lanes that which selects, and closes their connections after unlocking.
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

// take removes a usable connection from l and returns it, or nil if there is none. A
// request that continues a handshake gets the connection on which that was begun. Other
// requests do not use a connection in the middle of a handshake, unless alone is set: the
// visitor cannot have another request under way that continues it.
func (p *privates) take(l *lane, handshake, alone bool) *conn {
	for {
		c := p.pick(l, handshake, alone)
		if c == nil || c.quiet() {
			return c
		}
		c.close()
	}
}

// pick is take without the check whether the connection is still usable.
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

// transport returns l.whole, and creates it at the first call. If the lane has ended
// meanwhile, it returns one that keeps no connections.
func (p *privates) transport(l *lane, o TransportOptions) *TransportUpstream {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case l.whole != nil:
	case l.ended: // the visitor has just left
		o.NoReuse = true
		return newOwn(o)
	default:
		l.whole = newOwn(o)
	}
	return l.whole
}

// put keeps c in l. It closes c if the lane has ended or has maxPrivate connections.
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
