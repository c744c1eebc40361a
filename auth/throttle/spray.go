package throttle

import (
	"sync"
	"time"

	"gatehouse/internal/limit"
)

// A sprayWatch detects password spraying: many names are tried with a few
// passwords each, possibly from many networks, so that no name and no network
// exceeds its limit. It counts the names that failed recently and have not
// succeeded since. Safe for concurrent use.
type sprayWatch struct {
	mu      sync.Mutex
	failed  *limit.Window[struct{}] // names whose last attempt failed
	right   *limit.Window[struct{}] // names that signed in
	welcome *limit.Window[struct{}] // addresses that somebody has signed in from
	until   time.Time               // spraying is assumed until then
	told    time.Time               // when it was last reported; zero: never
}

const (
	// Spraying is assumed when sprayNames or more names fail within sprayTime,
	// and fewer sign in. It is assumed for sprayTime after the last such failure,
	// and reported once in that time.
	sprayNames = 50
	sprayTime  = 15 * time.Minute
	// welcomeTime is how long an address is exempt after somebody has signed in
	// from it.
	welcomeTime = 12 * time.Hour
	// sprayPart is the divisor of per_network during spraying, for addresses that
	// are not exempt: 100/15m becomes 3/15m.
	sprayPart = 33
	watchKeys = 1 << 14 // the capacity of each Window, which bounds its memory
)

func newSprayWatch() *sprayWatch {
	return &sprayWatch{
		failed:  limit.NewWindow[struct{}](sprayTime/2, watchKeys),
		right:   limit.NewWindow[struct{}](sprayTime/2, watchKeys),
		welcome: limit.NewWindow[struct{}](welcomeTime, watchKeys),
	}
}

// wrong records a failed attempt. If it returns a number other than zero, that
// many names are being sprayed, and the caller should report it. It returns zero
// for sprayTime after that.
func (s *sprayWatch) wrong(name string, now time.Time) (names int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := limit.KeyOf(name); !s.failed.Has(k, now) {
		s.failed.Set(k, struct{}{}, now)
	}
	n := s.failed.Len(now)
	if n < sprayNames || n <= s.right.Len(now) {
		return 0
	}
	s.until = now.Add(sprayTime)
	if !s.told.IsZero() && now.Sub(s.told) < sprayTime {
		return 0
	}
	s.told = now
	return n
}

// signedIn records a successful attempt: the name does not count as failed any
// more, and the address is exempt for welcomeTime.
func (s *sprayWatch) signedIn(name string, from origin, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := limit.KeyOf(name)
	s.failed.Delete(k)
	if !s.right.Has(k, now) {
		s.right.Set(k, struct{}{}, now)
	}
	s.welcome.Set(limit.KeyOf(from.address), struct{}{}, now)
}

// slows reports whether attempts from there get the reduced rate now.
func (s *sprayWatch) slows(from origin, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Before(s.until) && !s.welcome.Has(limit.KeyOf(from.address), now)
}

// spraying returns the rate of an address during spraying, at least one attempt
// in the time of network. An unlimited rate stays unlimited.
func spraying(network limit.Rate) limit.Rate {
	if network.Unlimited() {
		return network
	}
	return limit.Rate{Count: max(1, network.Count/sprayPart), Per: network.Per}
}
