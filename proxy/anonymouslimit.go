package proxy

import (
	"errors"
	"net/netip"
	"time"

	"gatehouse/internal/limit"
)

// An anonymousLimit limits how many sessions are created for visitors without one,
// for each network and in total, so that nobody can fill the store. The counts
// start over with each configuration. Safe for concurrent use.
type anonymousLimit struct{ table *limit.Table }

// The limits: sessions within anonymousPer.
const (
	anonymousPer       = 15 * time.Minute
	anonymousOfNetwork = 600
	anonymousInAll     = 10_000
	anonymousNetworks  = 1 << 12 // networks with a count of their own
)

// errAnonymous is logged for values that are not kept because of the limit.
var errAnonymous = errors.New("too many visitors without a session have had one made")

func newAnonymousLimit() anonymousLimit { return anonymousLimit{limit.NewTable(anonymousNetworks)} }

// take reports whether a session may be created for the client, and counts it if
// so. A network is one IPv4 address or an IPv6 /64.
func (s anonymousLimit) take(client netip.Addr) bool {
	client = client.Unmap()
	bits := 64
	if client.Is4() {
		bits = 32
	}
	network, _ := client.Prefix(bits) // an unknown address has the zero Prefix, one network for all
	ok, _ := s.table.Take(
		limit.Bucket{Key: limit.KeyOf("network", network.String()), Rate: limit.Rate{Count: anonymousOfNetwork, Per: anonymousPer}},
		limit.Bucket{Key: limit.KeyOf("all"), Rate: limit.Rate{Count: anonymousInAll, Per: anonymousPer}},
	)
	return ok
}
