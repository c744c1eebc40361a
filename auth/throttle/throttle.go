// Package throttle limits how often passwords can be guessed. It counts wrong
// passwords, in this process and optionally in a store that several nodes share,
// and tells when the next attempt may be made.
package throttle

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"gatehouse/internal/limit"
	"gatehouse/internal/value"
)

const (
	// throttleBuckets limits the memory of a Throttle to about 10 MB. To push the
	// count of one account out, a guesser would first need tens of thousands of
	// counted attempts from hundreds of networks.
	throttleBuckets = 1 << 17

	// aroundNetworks is how many times per_network is allowed for the network
	// around an address, an IPv4 /24 or an IPv6 /48. aroundAddress is how many
	// times per_account is allowed for one account from an IPv4 /24; from an IPv6
	// /48, which is one customer, it is once.
	aroundNetworks = 4
	aroundAddress  = 2

	// inAll is how many times per_account is allowed for one account by all
	// unknown devices together, and again by all known devices together.
	inAll = 5
	// inARow is how many times per_account is allowed for one account in a row;
	// after that, each attempt waits for longestWait. With 10/15m these are 90
	// attempts, and fewer than 100 in an hour (NIST SP 800-63B-4, 3.2.2).
	inARow = 9
	// longestWait is the longest wait for the next attempt after many in a row.
	longestWait = 15 * time.Minute
)

// A Throttle counts wrong passwords in bounded memory. A process has one, which is
// kept when the configuration is reloaded; see Limits. A restart loses what was
// counted here, but not what is counted in a store; see Share. A nil Throttle
// limits nothing. Safe for concurrent use.
//
// An attempt is counted before its password is checked, so that concurrent
// attempts cannot slip through together, and refunded if the password is right.
// Names that do not exist are counted like those that do.
//
// It cannot be abused to lock somebody out for good. A device that has signed in
// to the account before (see auth.Cookies.Device) has a budget of its own, which
// nobody else can use up, neither in the same office nor elsewhere. Attempts from
// all other devices are counted by address, by the network around it, by account
// from each of these, and by account in all. None of these blocks an account
// permanently: attempts only become slower.
//
// While many names are tried (password spraying), an address that nobody has
// signed in from lately gets a small part of its rate.
type Throttle struct {
	table  *limit.Table
	rates  atomic.Pointer[Config]
	shared sharedCounter
	spray  *sprayWatch
	front  frontWatch
}

// New returns a Throttle that has counted nothing yet.
func New(c Config) *Throttle {
	t := &Throttle{table: limit.NewTable(throttleBuckets), spray: newSprayWatch()}
	t.Limits(c)
	return t
}

// Limits replaces the rates, as at a reload. What was counted stays.
func (t *Throttle) Limits(c Config) { t.rates.Store(&c) }

// Share makes t count attempts in c as well, so that nodes that share c have one
// limit together. While c does not answer, each node continues with its own
// counts; the change is logged to log. Share must be called before the first
// attempt. The Throttle does not close c.
func (t *Throttle) Share(c Counter, log *slog.Logger) { t.shared.use(c, log) }

// An Attempt is a password that somebody enters for a name.
type Attempt struct {
	Name   string     // as returned by account.Sources.Resolve: all spellings count as one
	Client netip.Addr // the visitor's address; the zero Addr: a unix socket
	Device string     // from auth.Cookies.Device; "": the device is not known
}

// A Charge is a counted Attempt that can be refunded. Refunding the zero value
// does nothing.
type Charge struct {
	throttle *Throttle
	buckets  []limit.Bucket
}

// Take counts an attempt. If wait is not zero, the attempt was not counted, and
// its password must not be checked; it may be tried again after that time.
// Otherwise the caller checks the password, and refunds the Charge unless it is
// wrong.
func (t *Throttle) Take(ctx context.Context, a Attempt) (_ Charge, wait time.Duration) {
	if t == nil {
		return Charge{}, 0
	}
	for _, buckets := range t.budgets(a) {
		ok, w := t.takeFrom(ctx, buckets)
		if ok {
			return Charge{t, buckets}, 0
		}
		if wait == 0 || w < wait {
			wait = w
		}
	}
	return Charge{}, max(wait, 1)
}

// budgets returns the budgets that the attempt may use. The first of which no
// bucket is empty is charged. A known device has two: that of all known devices,
// and that of strangers.
func (t *Throttle) budgets(a Attempt) [][]limit.Bucket {
	rates := t.rates.Load()
	if a.Device == "" {
		return [][]limit.Bucket{t.ofStrangers(rates, a)}
	}
	one := rate(rates.PerAccount)
	own := [2]limit.Bucket{
		{Key: limit.KeyOf("device", a.Name, a.Device), Rate: one},
		{Key: limit.KeyOf("device in a row", a.Name, a.Device), Rate: slow(one)},
	}
	// Somebody who once knew the password may own many known devices.
	together := limit.Bucket{Key: limit.KeyOf("devices", a.Name), Rate: times(one, inAll)}
	return [][]limit.Bucket{append(own[:2:2], together), append(own[:2:2], t.ofStrangers(rates, a)...)}
}

// ofStrangers returns the budget of devices that are not known.
func (t *Throttle) ofStrangers(rates *Config, a Attempt) []limit.Bucket {
	from := originOf(a.Client)
	one, network := rate(rates.PerAccount), rate(rates.PerNetwork)
	buckets := []limit.Bucket{
		{Key: limit.KeyOf("network", from.address), Rate: network},
		{Key: limit.KeyOf("account and network", a.Name, from.address), Rate: one},
		{Key: limit.KeyOf("account", a.Name), Rate: times(one, inAll)},
		{Key: limit.KeyOf("account in a row", a.Name), Rate: slow(one)},
	}
	if from.site != from.address {
		here := one
		if !from.six {
			here = times(one, aroundAddress)
		}
		buckets = append(buckets,
			limit.Bucket{Key: limit.KeyOf("network around", from.site), Rate: times(network, aroundNetworks)},
			limit.Bucket{Key: limit.KeyOf("account and network around", a.Name, from.site), Rate: here})
	}
	if t.spray.slows(from, time.Now()) {
		buckets = append(buckets, limit.Bucket{Key: limit.KeyOf("spray", from.address), Rate: spraying(network)})
	}
	return buckets
}

// takeFrom takes from the buckets here and in the store. If one of them is empty,
// it takes from none.
func (t *Throttle) takeFrom(ctx context.Context, buckets []limit.Bucket) (ok bool, wait time.Duration) {
	if ok, wait := t.table.Take(buckets...); !ok {
		return false, wait
	}
	if ok, wait := t.shared.take(ctx, buckets); !ok {
		t.table.Return(buckets...)
		return false, wait
	}
	return true, 0
}

// Refund undoes Take: the password was right, or could not be checked. It must be
// called at most once.
func (c Charge) Refund(ctx context.Context) {
	if c.throttle != nil {
		c.throttle.table.Return(c.buckets...)
		c.throttle.shared.refund(ctx, c.buckets)
	}
}

func rate(r value.Rate) limit.Rate { return limit.Rate{Count: r.Count, Per: r.Per} }

// times returns n times as many events in the same time.
func times(r limit.Rate, n int) limit.Rate { return limit.Rate{Count: n * r.Count, Per: r.Per} }

// slow returns the rate for attempts in a row: inARow times r at once, and after
// that one in the time of r, or in longestWait if that is shorter.
func slow(r limit.Rate) limit.Rate {
	n := min(inARow*r.Count, 1_000_000) // keeps Per from overflowing
	return limit.Rate{Count: n, Per: time.Duration(n) * min(r.Per, longestWait)}
}

// Failed records that an attempt was wrong. If names is not zero, that many names
// are being tried at present, and the caller should report it; this happens once
// in 15 minutes at most.
func (t *Throttle) Failed(a Attempt) (names int) {
	if t == nil {
		return 0
	}
	return t.spray.wrong(a.Name, time.Now())
}

// Succeeded records that an attempt was right. It does not refund it.
func (t *Throttle) Succeeded(a Attempt) {
	if t != nil {
		t.spray.signedIn(a.Name, originOf(a.Client), time.Now())
	}
}

// Untrusted records where an attempt comes from, and reports whether the caller
// should log that all attempts come through a proxy that is not in
// trusted_proxies; this happens once an hour at most.
func (t *Throttle) Untrusted(r *http.Request) bool { return t != nil && t.front.saw(r, time.Now()) }

// Claim returns who is charged for the hashing of an attempt; see
// password.WithClaim. Unlike the counts, this is not refunded for a right
// password. The shares of a wider network weigh less, because more people use it.
func (a Attempt) Claim() limit.Claim {
	from := originOf(a.Client)
	c := limit.Claim{Shares: []limit.Share{
		{Key: limit.KeyOf("network", from.address), Weight: 1},
		{Key: limit.KeyOf("network around", from.site), Weight: 1. / 4},
		{Key: limit.KeyOf("region", from.region), Weight: 1. / 16},
		{Key: limit.KeyOf("account", a.Name), Weight: 1},
	}}
	if a.Device != "" {
		c.Known = []limit.Share{
			{Key: limit.KeyOf("device", a.Name, a.Device), Weight: 1},
			{Key: limit.KeyOf("devices", a.Name), Weight: 1. / 4},
		}
	}
	return c
}
