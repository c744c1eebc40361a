package auth_test

import (
	"net/netip"
	"testing"

	"gatehouse/auth"
)

func TestNetwork(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1":            "192.0.2.1",
		"::ffff:192.0.2.1":     "192.0.2.1",
		"2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64",
		"2001:db8:1:2::1":      "2001:db8:1:2::/64",
		"fe80::1%eth0":         "fe80::/64",
		"2001:db8:1:3:3:4:5:6": "2001:db8:1:3::/64",
	} {
		if got := auth.Network(netip.MustParseAddr(in)); got != want {
			t.Errorf("%s counts as %s, want %s", in, got, want)
		}
	}
	if auth.Network(netip.Addr{}) != "local" {
		t.Error("visitors without an address are no network")
	}
}
