package limit

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// ErrBusy is returned when the queue of a Semaphore is full, or the wait in it took
// too long.
var ErrBusy = errors.New("limit: too busy")

// A Semaphore lets a limited number of callers in at a time; others wait in a
// bounded queue. It is safe for concurrent use.
//
// The queue is fair to those who pay for the turns, not to the callers. A caller
// whose payers have asked for fewer turns in the last seconds goes first, and each
// second of waiting makes up for a number of turns, so that nobody waits forever.
// When the queue is full, the caller whose payers have asked for most is turned
// away, whether it waits already or has just come. Known callers (Claim.Known) go
// before all others for at most three turns out of four, and are turned away last.
type Semaphore struct {
	size    int
	maxWait time.Duration

	mu      sync.Mutex
	free    int       // turns that nobody has
	waiting []*waiter // in the order in which they came
	asked   *Window[float64]
	row     int // how many known callers have been let in since the last unknown one
}

const (
	// queueMemory is how long what somebody asked for counts, at the least.
	queueMemory = 15 * time.Second
	// queueKeys bounds the payers that are remembered, to a few megabytes.
	queueKeys = 1 << 14
	// turnsPerSecond is how many turns a second of waiting makes up for.
	turnsPerSecond = 32
	// knownTurns is how many turns in queueMemory a known caller has before the
	// others.
	knownTurns = 12
	// knownInARow is how many known callers are let in one after the other while
	// others wait.
	knownInARow = 3
)

// A Claim names the payers of a turn. The zero Claim has none, and goes before
// every other that is not known.
type Claim struct {
	Shares []Share
	// Known are the payers in place of Shares, as long as they have asked for no more
	// than a few turns lately. They make a caller known: it has proved that it has
	// been here before. nil: it has not.
	Known []Share
}

// A Share is one payer of a turn, and the part of it that they pay; 1 is all of it.
type Share struct {
	Key    Key
	Weight float64
}

// A waiter is a caller in the queue.
type waiter struct {
	claim Claim
	known bool
	since time.Time
	turn  chan bool // buffered: true, it is let in; false, it is turned away
}

// NewSemaphore returns a Semaphore for n callers at a time, at least one. Up to size
// more wait, each at most for the time maxWait.
func NewSemaphore(n, size int, maxWait time.Duration) *Semaphore {
	return &Semaphore{size: size, maxWait: maxWait, free: max(1, n), asked: NewWindow[float64](queueMemory, queueKeys)}
}

// Acquire waits for a turn. If it returns nil the caller is in, and must call
// Release. It returns ErrBusy if there was no turn in time, and an error that wraps
// the cause of ctx if that ended first.
func (s *Semaphore) Acquire(ctx context.Context, c Claim) error {
	w, ok := s.join(c)
	if w == nil {
		return busyUnless(ok)
	}
	timeout := time.NewTimer(s.maxWait)
	defer timeout.Stop()
	select {
	case ok := <-w.turn:
		return busyUnless(ok)
	case <-timeout.C:
		return s.leaveQueue(w, ErrBusy)
	case <-ctx.Done():
		return s.leaveQueue(w, fmt.Errorf("wait for a place: %w", context.Cause(ctx)))
	}
}

func busyUnless(ok bool) error {
	if ok {
		return nil
	}
	return ErrBusy
}

// join returns nil and true if the caller is let in, nil and false if it is turned
// away, and the waiter that it has become if it has to wait. Another waiter may be
// turned away for it.
func (s *Semaphore) join(c Claim) (_ *waiter, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	w := &waiter{claim: c, since: now, turn: make(chan bool, 1)}
	w.known = len(c.Known) > 0 && s.price(c.Known, now) < knownTurns
	s.charge(w.payers(), now)
	if s.free > 0 { // nobody waits while a turn is free
		s.free--
		return nil, true
	}
	s.waiting = append(s.waiting, w)
	if len(s.waiting) <= s.size {
		return w, true
	}
	out := s.last(now)
	s.remove(out)
	if out == w {
		return nil, false
	}
	out.turn <- false
	return w, true
}

// leaveQueue takes a waiter out that waits no longer, and returns err. It returns nil
// if the waiter was let in at that very moment.
func (s *Semaphore) leaveQueue(w *waiter, err error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.remove(w) {
		return err
	}
	if <-w.turn {
		return nil
	}
	return ErrBusy
}

// Release ends a turn, and lets the next waiter in.
func (s *Semaphore) Release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) == 0 {
		s.free++
		return
	}
	w := s.first(time.Now())
	s.remove(w)
	s.row++
	if !w.known {
		s.row = 0
	}
	w.turn <- true
}

// MaxWait returns how long a caller waits at most.
func (s *Semaphore) MaxWait() time.Duration { return s.maxWait }

// first returns the waiter to let in next.
func (s *Semaphore) first(now time.Time) *waiter {
	known := s.row < knownInARow
	return slices.MinFunc(s.waiting, func(a, b *waiter) int { // of equals the one that came first
		if a.known == b.known {
			return cmp.Compare(s.rank(a, now), s.rank(b, now))
		}
		if a.known == known {
			return -1
		}
		return 1
	})
}

// last returns the waiter to turn away: a known one only if all are known, and of
// equals the one that came last.
func (s *Semaphore) last(now time.Time) *waiter {
	out := s.waiting[0]
	for _, w := range s.waiting[1:] {
		if w.known == out.known && s.rank(w, now) >= s.rank(out, now) || !w.known && out.known {
			out = w
		}
	}
	return out
}

// rank is the price of a waiter less what its waiting makes up for. The lowest goes
// first.
func (s *Semaphore) rank(w *waiter, now time.Time) float64 {
	return s.price(w.payers(), now) - turnsPerSecond*now.Sub(w.since).Seconds()
}

func (w *waiter) payers() []Share {
	if w.known {
		return w.claim.Known
	}
	return w.claim.Shares
}

// price is how many turns the payers have asked for lately, by weight. What was asked
// for in the span before counts half.
func (s *Semaphore) price(payers []Share, now time.Time) (sum float64) {
	for _, p := range payers {
		fresh, old := s.asked.Get(p.Key, now)
		sum += p.Weight * (fresh + old/2)
	}
	return sum
}

// charge counts a turn for each payer, whether the caller gets it or not.
func (s *Semaphore) charge(payers []Share, now time.Time) {
	for _, p := range payers {
		fresh, _ := s.asked.Get(p.Key, now)
		s.asked.Set(p.Key, fresh+1, now)
	}
}

// remove takes a waiter out of the queue; false if it is not in it any more.
func (s *Semaphore) remove(w *waiter) bool {
	i := slices.Index(s.waiting, w)
	if i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
	}
	return i >= 0
}
