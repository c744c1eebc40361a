package auth_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"testing"
	"time"

	"gatehouse/auth"
	"gatehouse/internal/limit"
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

// broken cannot tell.
type broken struct{}

func (broken) Take(context.Context, []limit.Bucket) (bool, time.Duration, error) {
	return false, 0, errors.New("broken")
}
func (broken) Return(context.Context, []limit.Bucket) error { return errors.New("broken") }

// A counter that fails neither lets guesses through nor keeps people out.
func TestThrottleWithABrokenStore(t *testing.T) {
	g := newGate(t, theDefaults)
	g.throttle.Share(broken{}, slog.New(slog.DiscardHandler))
	for i := range 12 {
		a := g.attacker(t, "192.0.2.1", "alice", "wrong")
		if want := map[bool]int{true: http.StatusUnauthorized, false: http.StatusTooManyRequests}[i < 10]; a.StatusCode != want {
			t.Errorf("try %d: %s, want %d", i, a.Status, want)
		}
	}
	b := g.browser(t)
	b.addr = "203.0.113.1"
	b.signIn("alice", alicesPassword)
}
