package proxy

import (
	"errors"
	"net/netip"
	"time"

	"gatehouse/internal/limit"
)

// An anonymousLimit bounds how many sessions are made for visitors who have none,
// so that nobody can fill the store: for each network and in all. Each
// configuration begins anew. Safe for concurrent use.
type anonymousLimit struct{ table *limit.Table }

const (
	anonymousPer       = 15 * time.Minute
	anonymousOfNetwork = 600
	anonymousInAll     = 10_000
	anonymousNetworks  = 1 << 12 // networks that are remembered
)

var errAnonymous = errors.New("too many visitors without a session have had one made")

func newAnonymousLimit() anonymousLimit { return anonymousLimit{limit.NewTable(anonymousNetworks)} }

// take reports whether a session may be made for the client, and counts it. A
// network is an IPv4 address or 64 bits of an IPv6 one.
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
