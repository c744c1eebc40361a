package throttle_test

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/auth/throttle"
	"gatehouse/internal/value"
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
		if got := throttle.Network(netip.MustParseAddr(in)); got != want {
			t.Errorf("%s counts as %s, want %s", in, got, want)
		}
	}
	if throttle.Network(netip.Addr{}) != "local" {
		t.Error("visitors without an address are no network")
	}
}

// Guesses from everywhere are fewer than a hundred in an hour, and keep out
// neither the owner's devices nor, for longer than 15 minutes at a time,
// anybody else.
func TestGuessesFromEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := throttle.New(throttle.Config{
			PerAccount: value.Rate{Count: 10, Per: 15 * time.Minute}, PerNetwork: value.Rate{Count: 100, Per: 15 * time.Minute},
		})
		var tried int
		var waits []time.Duration
		for i := range 3600 {
			time.Sleep(time.Second)
			if wait := one.Try("alice", fmt.Sprintf("10.%d.%d.1", i/256, i%256), ""); wait == 0 {
				tried++
			} else {
				waits = append(waits, wait)
			}
		}
		if tried > 100 || tried < 50 {
			t.Errorf("%d tries in an hour", tried)
		}
		if first, last := slices.Max(waits[:100]), slices.Max(waits); first > 20*time.Second || last > 15*time.Minute || last < 10*time.Minute {
			t.Errorf("at first the waits are up to %s, then %s; want them to grow, up to 15m", first, last)
		}
		if wait := one.Try("alice", "10.0.0.1", "her laptop"); wait != 0 {
			t.Errorf("a known device waits %s", wait)
		}
		// A known device may not guess for ever either.
		tried = 0
		for range 24 * 3600 {
			time.Sleep(time.Second)
			if one.Try("alice", "10.0.0.1", "a stolen laptop") == 0 {
				tried++
			}
		}
		if tried > 9*10+24*4 {
			t.Errorf("a known device tries %d times a day", tried)
		}
		if wait := one.Try("alice", "10.0.0.1", "her laptop"); wait != 0 {
			t.Errorf("another one waits %s", wait)
		}
	})
}

// Many devices of one account guess no more often than five.
func TestManyDevicesGuessLittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := throttle.New(throttle.Config{
			PerAccount: value.Rate{Count: 2, Per: time.Hour}, PerNetwork: value.Rate{Count: 1000, Per: 15 * time.Minute},
		})
		tried := 0
		for i := range 1000 {
			if one.Try("alice", "192.0.2.1", fmt.Sprint("device ", i)) == 0 {
				tried++
			}
		}
		if tried > 5*2+2 {
			t.Errorf("a thousand devices made %d guesses", tried)
		}
	})
}
