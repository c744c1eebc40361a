package server

import (
	"net/netip"
	"sync"
)

// How many bytes visitors may hold in memory for requests that have not been
// judged yet: all together, and each address. Small parts of a request of which a
// connection can have only one are not counted; they are part of the cost of a
// connection.
const (
	heldInAll      = 32 << 20
	heldForAddress = 8 << 20
)

// A budget counts bytes that are held, in total and for each address. It is safe
// for concurrent use.
type budget struct {
	all, each int64 // limits in bytes: in total, and of one address

	mu     sync.Mutex
	held   int64
	holder map[netip.Addr]int64
}

// newBudget returns a budget of which nothing is used. all and each are its
// limits in bytes.
func newBudget(all, each int64) *budget {
	return &budget{all: all, each: each, holder: map[netip.Addr]int64{}}
}

// take counts n more bytes for a and returns true. If that would exceed a limit,
// it counts nothing and returns false. The zero address counts only towards the
// total.
func (b *budget) take(a netip.Addr, n int64) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held+n > b.all || a.IsValid() && b.holder[a]+n > b.each {
		return false
	}
	b.held += n
	if a.IsValid() {
		b.holder[a] += n
	}
	return true
}

// give returns n bytes that take has counted for a.
func (b *budget) give(a netip.Addr, n int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.held -= n
	if !a.IsValid() {
		return
	}
	if b.holder[a] -= n; b.holder[a] <= 0 {
		delete(b.holder, a)
	}
}

// network returns what counts as one address: an IPv4 address, or the /64 network
// of an IPv6 address, which is the smallest network that a visitor is usually
// assigned. The zero address is returned as it is.
func network(a netip.Addr) netip.Addr {
	if a = a.Unmap().WithZone(""); !a.Is6() {
		return a
	}
	p, err := a.Prefix(64)
	if err != nil {
		return a
	}
	return p.Addr()
}
