package proxy

import (
	"errors"
	"net/netip"
	"time"

	"gatehouse/internal/limit"
)

// strangers bounds how many sessions visitors without one can have made for
// them, so that nobody fills the store: by network, and in all. It belongs to
// one configuration.
type strangers struct{ table *limit.Table }

const (
	strangersPer       = 15 * time.Minute
	strangersOfNetwork = 600
	strangersInAll     = 10_000
	strangersTable     = 1 << 12 // networks that are remembered
)

var errStrangers = errors.New("too many visitors without a session have had one made")

func newStrangers() strangers { return strangers{limit.NewTable(strangersTable)} }

// take takes one for the client, or reports that there is none left. A network
// is an address of IPv4, or 64 bits of IPv6.
func (s strangers) take(client netip.Addr) bool {
	client = client.Unmap()
	bits := 64
	if client.Is4() {
		bits = 32
	}
	network, _ := client.Prefix(bits) // the zero Prefix for no address
	ok, _ := s.table.Take(
		limit.Bucket{Key: limit.KeyOf("network", network.String()), Rate: limit.Rate{Count: strangersOfNetwork, Per: strangersPer}},
		limit.Bucket{Key: limit.KeyOf("all"), Rate: limit.Rate{Count: strangersInAll, Per: strangersPer}},
	)
	return ok
}
