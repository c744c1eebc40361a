package config

import (
	"context"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/httpfield"
	"gatehouse/internal/problem"
)

// resolveTime bounds the DNS look-up of an upstream's name. Only upstreams on the
// port of one of our listeners are looked up.
const resolveTime = 2 * time.Second

// A listener is an address at which this configuration accepts connections.
type listener struct {
	key     string
	network string // tcp or unix
	address string // host:port, or a path
}

// listeners returns those that the file names, and the control socket. Sockets
// that systemd passes are not known here.
func (c *Config) listeners(dir string) []listener {
	list := []listener{{"data_dir", "unix", filepath.Join(under(dir, c.DataDir), "control.sock")}}
	for _, l := range []listener{{key: "listen", address: c.Listen}, {key: "admin.listen", address: c.Admin.Listen}} {
		if path, ok := strings.CutPrefix(l.address, "unix:"); ok {
			list = append(list, listener{l.key, "unix", path})
		} else if l.address != "" && l.address != "systemd" {
			list = append(list, listener{l.key, "tcp", l.address})
		}
	}
	return list
}

// checkLoops reports upstreams that are listeners of this gate: each request
// would come back to the gate until it runs out of file descriptors.
func (c *Config) checkLoops(x *crossCheck) {
	own := c.listeners(x.dir)
	for i := range c.Routes {
		c.Routes[i].EachUpstream(func(key, network, address string) {
			if j := slices.IndexFunc(own, func(l listener) bool { return l.takes(network, address) }); j >= 0 {
				x.Errorf(problem.Join(index("routes", i), key), "leads back to this gate, by %s; write where the application listens", own[j].key)
			}
		})
	}
}

// takes reports whether a connection to the address reaches this listener.
func (l listener) takes(network, address string) bool {
	switch {
	case l.network != network:
		return false
	case network == "unix":
		return sameSocket(l.address, address)
	}
	host, port, err := net.SplitHostPort(l.address)
	upstream, upstreamPort, err2 := net.SplitHostPort(address)
	if err != nil || err2 != nil || port != upstreamPort || port == "0" {
		return false
	}
	if host == "" {
		host = "::"
	}
	at := addresses(host)
	return slices.ContainsFunc(addresses(upstream), func(to netip.Addr) bool {
		return slices.ContainsFunc(at, func(at netip.Addr) bool { return reaches(to, at) })
	})
}

// sameSocket reports whether two paths lead to the same socket, also through
// links.
func sameSocket(a, b string) bool {
	if filepath.Clean(a) == filepath.Clean(b) {
		return true
	}
	ai, err := os.Stat(a)
	if err != nil {
		return false
	}
	bi, err := os.Stat(b)
	return err == nil && os.SameFile(ai, bi)
}

// addresses returns the addresses of a host; none if its name cannot be resolved.
func addresses(host string) []netip.Addr {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}
	}
	if httpfield.IsLocalhost(strings.ToLower(strings.TrimSuffix(host, "."))) {
		return []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
	}
	ctx, cancel := context.WithTimeout(context.Background(), resolveTime)
	defer cancel()
	list, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	if err != nil {
		return nil // it cannot be connected to either
	}
	for i := range list {
		list[i] = list[i].Unmap()
	}
	return list
}

// reaches reports whether a listener at the address at accepts connections to the
// address to. For a client, the unspecified address means this machine; for a
// listener it means all addresses of the machine, and :: includes IPv4.
func reaches(to, at netip.Addr) bool {
	to, at = to.WithZone(""), at.WithZone("")
	switch {
	case to == at:
		return true
	case at.IsUnspecified():
		return (at.Is6() || to.Is4()) && (to.IsUnspecified() || to.IsLoopback() || ofThisMachine(to))
	case to.IsUnspecified():
		return at.IsLoopback()
	default:
		return false
	}
}

// ofThisMachine reports whether a is an address of one of our network interfaces.
func ofThisMachine(a netip.Addr) bool {
	list, err := net.InterfaceAddrs()
	return err == nil && slices.ContainsFunc(list, func(i net.Addr) bool {
		p, err := netip.ParsePrefix(i.String())
		return err == nil && p.Addr().Unmap() == a
	})
}
