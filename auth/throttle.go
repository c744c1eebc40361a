package auth

import (
	"net/netip"
	"sync/atomic"
	"time"

	"gatehouse/internal/limit"
	"gatehouse/internal/value"
)

const (
	// throttleBuckets bounds the memory of a Throttle to about 10 MB. To have
	// the count of one account forgotten, a guesser must spend tens of
	// thousands of counted tries from hundreds of networks first.
	throttleBuckets = 1 << 17

	// acrossNetworks is how many times per_account an account may be tried
	// from all networks together.
	acrossNetworks = 10
)

// A Throttle counts wrong passwords, in bounded memory. There is one in a
// process; Limits changes its rates at a reload. A restart forgets what was
// counted. Safe for concurrent use.
//
// A name that does not exist counts as one that does. A try is counted before
// its password is looked at, so that tries at once cannot slip through
// together, and given back when the password was right: more right ones at
// one moment than the rate allows for an account wait as well.
type Throttle struct {
	table *limit.Table
	rates atomic.Pointer[ThrottleConfig]
}

// NewThrottle makes an empty one.
func NewThrottle(c ThrottleConfig) *Throttle {
	t := &Throttle{table: limit.NewTable(throttleBuckets)}
	t.Limits(c)
	return t
}

// Limits replaces the rates; what was counted stays.
func (t *Throttle) Limits(c ThrottleConfig) { t.rates.Store(&c) }

// A try is a counted try, until it is given back. The zero try counts
// nowhere.
type try struct {
	table   *limit.Table
	buckets [3]limit.Bucket
}

// take counts a try for the name (as NormalizeName spells it) by a visitor.
// A device that has signed in to the account before counts by itself and not
// with everybody, so that guesses from elsewhere do not lock it out; device is
// "" for others. When wait is not zero, the try must not be made before.
func (t *Throttle) take(name string, client netip.Addr, device string) (_ try, wait time.Duration) {
	if t == nil {
		return try{}, 0
	}
	rates := t.rates.Load()
	one, all := rate(rates.PerAccount), rate(rates.PerAccount)
	all.Count *= acrossNetworks
	from := network(client)
	everywhere := t.table.Key("account", name)
	if device != "" {
		everywhere = t.table.Key("device", name, device)
	}
	y := try{table: t.table, buckets: [3]limit.Bucket{
		{Key: t.table.Key("network", from), Rate: rate(rates.PerNetwork)},
		{Key: t.table.Key("account and network", name, from), Rate: one},
		{Key: everywhere, Rate: all},
	}}
	if ok, wait := t.table.Take(y.buckets[:]...); !ok {
		return try{}, wait
	}
	return y, 0
}

// giveBack says that the try was none: the password was right, or nobody
// could tell.
func (y try) giveBack() {
	if y.table != nil {
		y.table.Return(y.buckets[:]...)
	}
}

func rate(r value.Rate) limit.Rate { return limit.Rate{Count: r.Count, Per: r.Per} }

// network is what a visitor cannot easily change of his address: all of an
// IPv4 address, the /64 of an IPv6 one. Visitors without an address (a unix
// socket) are one network.
func network(a netip.Addr) string {
	a = a.Unmap().WithZone("")
	if a.Is6() {
		p, err := a.Prefix(64)
		if err == nil {
			return p.String()
		}
	}
	if !a.IsValid() {
		return "local"
	}
	return a.String()
}
