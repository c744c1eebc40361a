package throttle

import "net/netip"

// An origin is where a visitor comes from, as the throttle and the queue for
// hashing count it: what they cannot easily change of their address, and the
// larger networks around it. A guesser who has a whole /48 is one guesser.
type origin struct {
	address string // an IPv4 address, an IPv6 /64
	site    string // an IPv4 /24, an IPv6 /48
	region  string // an IPv4 /16, an IPv6 /32
	six     bool
}

// originOf returns the origin of an address. Visitors without one (a unix
// socket) are one origin.
func originOf(a netip.Addr) origin {
	a = a.Unmap().WithZone("")
	if !a.IsValid() {
		return origin{address: "local", site: "local", region: "local"}
	}
	if a.Is4() {
		return origin{address: a.String(), site: around(a, 24), region: around(a, 16)}
	}
	return origin{address: around(a, 64), site: around(a, 48), region: around(a, 32), six: true}
}

// Network returns the network that stands for one visitor's address: an IPv4
// address, or an IPv6 /64.
func Network(a netip.Addr) string { return originOf(a).address }

// around returns the network of that many bits that the address lies in.
func around(a netip.Addr, bits int) string {
	p, err := a.Prefix(bits)
	if err != nil {
		return a.String()
	}
	return p.String()
}
