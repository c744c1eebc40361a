package proxy

import (
	"errors"
	"net/netip"
	"time"

	"gatehouse/internal/limit"
)

// anonymousLimit bounds how many sessions visitors without one can have made for
// them, so that nobody fills the store: by network, and in all. It belongs to
// one configuration.
type anonymousLimit struct{ table *limit.Table }

const (
	anonymousPer       = 15 * time.Minute
	anonymousOfNetwork = 600
	anonymousInAll     = 10_000
	anonymousNetworks  = 1 << 12 // networks that are remembered
)

var errAnonymous = errors.New("too many visitors without a session have had one made")

func newAnonymousLimit() anonymousLimit { return anonymousLimit{limit.NewTable(anonymousNetworks)} }

// take takes one for the client, or reports that there is none left. A network
// is an address of IPv4, or 64 bits of IPv6.
func (s anonymousLimit) take(client netip.Addr) bool {
	client = client.Unmap()
	bits := 64
	if client.Is4() {
		bits = 32
	}
	network, _ := client.Prefix(bits) // the zero Prefix for no address
	ok, _ := s.table.Take(
		limit.Bucket{Key: limit.KeyOf("network", network.String()), Rate: limit.Rate{Count: anonymousOfNetwork, Per: anonymousPer}},
		limit.Bucket{Key: limit.KeyOf("all"), Rate: limit.Rate{Count: anonymousInAll, Per: anonymousPer}},
	)
	return ok
}
