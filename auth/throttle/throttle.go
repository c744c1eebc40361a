// Package throttle counts wrong passwords, in this process and in a store that
// several nodes share, and says when the next one may be tried.
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
	// throttleBuckets bounds the memory of a Throttle to about 10 MB. To have
	// the count of one account forgotten, a guesser must spend tens of
	// thousands of counted tries from hundreds of networks first.
	throttleBuckets = 1 << 17

	// How many times per_network the network around an address may use, an
	// IPv4 /24 or an IPv6 /48, and how many times per_account an account may be
	// tried from an IPv4 /24. From an IPv6 /48 it is once: that is one customer.
	aroundNetworks = 4
	aroundAddress  = 2

	// How many times per_account an account may be tried in the rate's time by
	// all who are not known together, and by its known devices together.
	inAll = 5
	// How many times per_account it may be tried before each further try waits
	// for longestWait: with 10/15m that is 90, and less than 100 in an hour
	// (NIST SP 800-63B-4, 3.2.2).
	inARow = 9
	// longestWait is how long anybody waits at the most for the next try.
	longestWait = 15 * time.Minute
)

// A Throttle counts wrong passwords, in bounded memory. There is one in a
// process; Limits changes its rates at a reload. A restart forgets what was
// counted here, but not what is counted in a store; see Share. Safe for
// concurrent use.
//
// A try is counted before its password is looked at, so that tries at once
// cannot slip through together, and given back when the password was right. A
// name that does not exist counts as one that does.
//
// Nobody can use it to lock out somebody else for good. A device that has
// signed in to the account before (see auth.Cookies.Device) has a budget of its own:
// what others do, in the same office or elsewhere, does not count for it.
// Whoever is not known is counted by address, by the network around it, by account from there, and by
// account in all, each of which only slows down: the waits grow with the
// number of wrong tries, and end at 15 minutes.
//
// While many names are tried (see sprayWatch), an address that nobody has
// signed in from lately gets little.
type Throttle struct {
	table  *limit.Table
	rates  atomic.Pointer[Config]
	shared sharedCounter
	spray  *sprayWatch
	front  frontWatch
}

// New returns an empty Throttle.
func New(c Config) *Throttle {
	t := &Throttle{table: limit.NewTable(throttleBuckets), spray: newSprayWatch()}
	t.Limits(c)
	return t
}

// Limits replaces the rates; what was counted stays.
func (t *Throttle) Limits(c Config) { t.rates.Store(&c) }

// Share has tries counted in c as well, which other nodes do too. While c does
// not answer, each node goes on by itself, with what it has counted; that is
// logged. It is called before the first try. The Throttle does not close c.
func (t *Throttle) Share(c Counter, log *slog.Logger) { t.shared.use(c, log) }

// An Attempt is a password that somebody types for a name.
type Attempt struct {
	Name   string     // as account.NormalizeName spells it: all spellings are one name
	Client netip.Addr // where it comes from; the zero Addr: this machine
	Device string     // the id of a browser that has signed in to the account before; "": none
}

// A Charge is an Attempt that was counted, until it is refunded. The zero
// value was counted nowhere.
type Charge struct {
	throttle *Throttle
	buckets  []limit.Bucket
}

// Take counts an attempt. If wait is not zero it was not counted, and must not
// be made before that time has passed.
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

// budgets returns what the attempt may be counted in, one after the other: the
// first that has something left is taken from.
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
	// Who once knew the password may have many devices that count as known.
	together := limit.Bucket{Key: limit.KeyOf("devices", a.Name), Rate: times(one, inAll)}
	return [][]limit.Bucket{append(own[:2:2], together), append(own[:2:2], t.ofStrangers(rates, a)...)}
}

// ofStrangers is the budget of everybody else.
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

// takeFrom takes from the buckets here and in the store; from neither when one
// of them is empty.
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

// Refund takes the attempt back: the password was right, or nobody could tell.
func (c Charge) Refund(ctx context.Context) {
	if c.throttle != nil {
		c.throttle.table.Return(c.buckets...)
		c.throttle.shared.refund(ctx, c.buckets)
	}
}

func rate(r value.Rate) limit.Rate { return limit.Rate{Count: r.Count, Per: r.Per} }

func times(r limit.Rate, n int) limit.Rate { return limit.Rate{Count: n * r.Count, Per: r.Per} }

// slow is the rate at which what has failed in a row is forgotten: inARow
// times r at once, then one try in the time of r, or longestWait.
func slow(r limit.Rate) limit.Rate {
	n := min(inARow*r.Count, 1_000_000) // else the time would not fit
	return limit.Rate{Count: n, Per: time.Duration(n) * min(r.Per, longestWait)}
}

// Failed notes that an attempt was wrong. If names is not zero, so many names
// are being tried at present, and it is time to say so.
func (t *Throttle) Failed(a Attempt) (names int) {
	if t == nil {
		return 0
	}
	return t.spray.wrong(a.Name, time.Now())
}

// Succeeded notes that an attempt was right.
func (t *Throttle) Succeeded(a Attempt) {
	if t != nil {
		t.spray.signedIn(a.Name, originOf(a.Client), time.Now())
	}
}

// Untrusted notes where an attempt came from, and reports whether it is time to
// say that all of them come through a proxy that is not trusted.
func (t *Throttle) Untrusted(r *http.Request) bool { return t != nil && t.front.saw(r, time.Now()) }

// Claim returns who pays for the hashing of an attempt. Right passwords are
// paid for as well.
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
