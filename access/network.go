package access

import (
	"fmt"
	"net/netip"
	"slices"

	"gatehouse/internal/problem"
)

// A networkCondition is the networks of a rule: it holds for clients in one of
// them. An unknown address is in none.
type networkCondition []netip.Prefix

// newNetworkCondition returns the condition, or the error of the first network
// that is none.
func newNetworkCondition(networks []string) (networkCondition, error) {
	c := make(networkCondition, len(networks))
	for i, s := range networks {
		var err error
		if c[i], err = parseNetwork(s); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func (c networkCondition) holds(f Facts) bool {
	if !f.Client.IsValid() {
		return false
	}
	a := f.Client.Unmap().WithZone("")
	return slices.ContainsFunc(c, func(p netip.Prefix) bool { return p.Contains(a) })
}

func (c *RuleConfig) checkNetworks(report *problem.List) {
	checkNotEmpty("networks", c.Networks, report)
	for i, s := range c.Networks {
		if _, err := parseNetwork(s); err != nil {
			report.Errorf(fmt.Sprintf("networks[%d]", i), "%v", err)
		}
	}
}

// parseNetwork reads a prefix or a single address. An IPv4 network that is
// mapped into IPv6 (::ffff:10.0.0.0/104) becomes the IPv4 network, because
// clients are compared unmapped.
func parseNetwork(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		a, aerr := netip.ParseAddr(s)
		if aerr != nil || a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is neither a network nor an address; write 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7", s)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, fmt.Errorf("%q holds more than the mapped IPv4 addresses; write the IPv4 network, as 10.0.0.0/8", s)
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if p.Masked() != p {
		return netip.Prefix{}, fmt.Errorf("%q has bits beyond its prefix; write %q", s, p.Masked().String())
	}
	return p, nil
}
