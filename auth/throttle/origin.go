package throttle

import "net/netip"

// An origin is where a visitor comes from, as the throttle and the queue for
// hashing count it: the part of their address that they cannot easily change, and
// the larger networks around it, so that a guesser with a whole /48 counts as
// one.
type origin struct {
	address string // an IPv4 address or an IPv6 /64
	site    string // an IPv4 /24 or an IPv6 /48
	region  string // an IPv4 /16 or an IPv6 /32
	six     bool   // IPv6
}

// originOf returns the origin of an address. IPv4 mapped to IPv6 counts as IPv4,
// and zones are ignored. All visitors without an address, such as those through a
// unix socket, share one origin.
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

// Network returns what counts as one visitor's address: the IPv4 address itself,
// or the /64 of an IPv6 address. It returns "local" for the zero Addr.
func Network(a netip.Addr) string { return originOf(a).address }

// around returns the network of the given prefix length that contains the
// address.
func around(a netip.Addr, bits int) string {
	p, err := a.Prefix(bits)
	if err != nil {
		return a.String()
	}
	return p.String()
}
