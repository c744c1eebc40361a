package portal_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"testing"
	"time"

	"gatehouse/internal/limit"
)

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
