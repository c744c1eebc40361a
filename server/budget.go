package server

import (
	"net/netip"
	"sync"
)

// What visitors may make us hold in memory before their requests have been
// judged, in bytes. The parts of a request that are small, and of which a
// connection can have one only, are not counted: they belong to what a
// connection costs.
const (
	heldInAll      = 32 << 20
	heldForAddress = 8 << 20
)

// A budget counts bytes that are held, in all and for each address. Safe for
// concurrent use.
type budget struct {
	all, each int64 // the limits

	mu     sync.Mutex
	held   int64
	holder map[netip.Addr]int64
}

func newBudget(all, each int64) *budget {
	return &budget{all: all, each: each, holder: map[netip.Addr]int64{}}
}

// take counts n bytes more for a and reports true, or counts nothing and
// reports false where that would be over a limit. The zero address counts in
// all only.
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

// give takes back what take counted.
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

// network is what counts as one address: an IPv4 address, or the /64 network
// of an IPv6 address, which is the least that a visitor is given.
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
