package throttle

import (
	"sync"
	"time"

	"gatehouse/internal/limit"
)

// A sprayWatch notices that many names are tried with few passwords each, from
// however many networks: no name and no network has more wrong tries than
// anybody may have. It counts the names that failed lately and have not
// succeeded since. Safe for concurrent use.
type sprayWatch struct {
	mu      sync.Mutex
	failed  *limit.Window[struct{}] // names
	right   *limit.Window[struct{}] // names
	welcome *limit.Window[struct{}] // addresses that somebody has signed in from
	until   time.Time               // how long what was noticed holds
	told    time.Time               // when it was last said
}

const (
	// sprayNames that fail in sprayTime are noticed, unless as many sign in.
	sprayNames = 50
	sprayTime  = 15 * time.Minute
	// How long an address that somebody has signed in from is no stranger's.
	welcomeTime = 12 * time.Hour
	// While names are sprayed, the part of per_network that is left to an
	// address which nobody has signed in from.
	sprayPart = 33
	watchKeys = 1 << 14 // of each Window
)

func newSprayWatch() *sprayWatch {
	return &sprayWatch{
		failed:  limit.NewWindow[struct{}](sprayTime/2, watchKeys),
		right:   limit.NewWindow[struct{}](sprayTime/2, watchKeys),
		welcome: limit.NewWindow[struct{}](welcomeTime, watchKeys),
	}
}

// wrong notes a try that failed. When names is not zero, so many are being
// sprayed, and that was not said for a while.
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

// signedIn notes that somebody has signed in from there.
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

// slows reports whether tries from there get little now.
func (s *sprayWatch) slows(from origin, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return now.Before(s.until) && !s.welcome.Has(limit.KeyOf(from.address), now)
}

// spraying is what an address gets of a network's rate while names are sprayed.
func spraying(network limit.Rate) limit.Rate {
	if network.Unlimited() {
		return network
	}
	return limit.Rate{Count: max(1, network.Count/sprayPart), Per: network.Per}
}
