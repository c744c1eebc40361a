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

// ErrBusy says that the queue is full, or that the wait in it was too long.
var ErrBusy = errors.New("limit: too busy")

// A Queue lets a number of callers in at a time; others wait before it. It is
// safe for concurrent use.
//
// It is fair to those who pay, not to those who come: whoever has asked for
// less in the last seconds goes before whoever has asked for more, and each
// second of waiting makes up for a few turns, so that nobody waits for good.
// When the queue is full, the one who has asked for most has to go, be it who
// waits or who comes. Callers that are known go before all others, three times
// out of four at the most, and leave the queue last.
type Queue struct {
	size     int
	patience time.Duration

	mu      sync.Mutex
	free    int       // places
	waiting []*waiter // in the order in which they came
	asked   *Window[float64]
	row     int // how many known callers were let in one after the other
}

const (
	// How far back a Queue looks, at the least.
	queueMemory = 15 * time.Second
	// queueKeys bounds what a Queue remembers, to a few megabytes.
	queueKeys = 1 << 14
	// How many turns a second of waiting makes up for.
	turnsPerSecond = 32
	// How many turns in queueMemory a known caller has before the others.
	knownTurns = 12
	// How many known callers are let in one after the other while others wait.
	knownInARow = 3
)

// A Claim says who wants in. The zero Claim pays nothing, and goes before
// everybody else who is not known.
type Claim struct {
	Shares []Share // who pays for it
	// Known is who pays for it in place of Shares, as long as that is not
	// more than a few turns: a caller that proves to have been here before.
	Known []Share
}

// A Share is somebody who pays for a turn, and how much of it: 1 is all of it.
type Share struct {
	Key    Key
	Weight float64
}

// A waiter is a caller in the queue.
type waiter struct {
	claim Claim
	known bool
	since time.Time
	turn  chan bool // has room for one word: true let in, false turned away
}

// NewQueue makes a queue for n callers at a time. Up to size more wait, each
// at most for the time patience.
func NewQueue(n, size int, patience time.Duration) *Queue {
	return &Queue{size: size, patience: patience, free: max(1, n), asked: NewWindow[float64](queueMemory, queueKeys)}
}

// Enter waits for a place. After nil, the caller must call Leave. ErrBusy
// when there is none in time, or the error of ctx when that ends first.
func (q *Queue) Enter(ctx context.Context, c Claim) error {
	w, ok := q.join(c)
	if w == nil {
		return busyUnless(ok)
	}
	timeout := time.NewTimer(q.patience)
	defer timeout.Stop()
	select {
	case ok := <-w.turn:
		return busyUnless(ok)
	case <-timeout.C:
		return q.leaveQueue(w, ErrBusy)
	case <-ctx.Done():
		return q.leaveQueue(w, fmt.Errorf("wait for a place: %w", context.Cause(ctx)))
	}
}

func busyUnless(ok bool) error {
	if ok {
		return nil
	}
	return ErrBusy
}

// join lets the caller in, turns it away, or gives it a place in the queue,
// from which another may have to go.
func (q *Queue) join(c Claim) (_ *waiter, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	now := time.Now()
	w := &waiter{claim: c, since: now, turn: make(chan bool, 1)}
	w.known = len(c.Known) > 0 && q.price(c.Known, now) < knownTurns
	q.charge(w.payers(), now)
	if q.free > 0 { // then nobody waits
		q.free--
		return nil, true
	}
	q.waiting = append(q.waiting, w)
	if len(q.waiting) <= q.size {
		return w, true
	}
	out := q.last(now)
	q.remove(out)
	if out == w {
		return nil, false
	}
	out.turn <- false
	return w, true
}

// leaveQueue is for who waits no longer. Somebody may have been let in at that
// very moment, and is in.
func (q *Queue) leaveQueue(w *waiter, err error) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.remove(w) {
		return err
	}
	if <-w.turn {
		return nil
	}
	return ErrBusy
}

// Leave gives the place to the next one.
func (q *Queue) Leave() {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		q.free++
		return
	}
	w := q.first(time.Now())
	q.remove(w)
	q.row++
	if !w.known {
		q.row = 0
	}
	w.turn <- true
}

// Patience is how long a caller waits at most.
func (q *Queue) Patience() time.Duration { return q.patience }

// first chooses who is let in next.
func (q *Queue) first(now time.Time) *waiter {
	known := q.row < knownInARow
	return slices.MinFunc(q.waiting, func(a, b *waiter) int { // the first of the least
		if a.known == b.known {
			return cmp.Compare(q.rank(a, now), q.rank(b, now))
		}
		if a.known == known {
			return -1
		}
		return 1
	})
}

// last chooses who has to go: of the known only when all are, and of equals
// the one who came last.
func (q *Queue) last(now time.Time) *waiter {
	out := q.waiting[0]
	for _, w := range q.waiting[1:] {
		if w.known == out.known && q.rank(w, now) >= q.rank(out, now) || !w.known && out.known {
			out = w
		}
	}
	return out
}

// rank is what a waiter has asked for, less what it has waited.
func (q *Queue) rank(w *waiter, now time.Time) float64 {
	return q.price(w.payers(), now) - turnsPerSecond*now.Sub(w.since).Seconds()
}

func (w *waiter) payers() []Share {
	if w.known {
		return w.claim.Known
	}
	return w.claim.Shares
}

// price is how many turns the payers have asked for lately.
func (q *Queue) price(payers []Share, now time.Time) (sum float64) {
	for _, s := range payers {
		fresh, old := q.asked.Get(s.Key, now)
		sum += s.Weight * (fresh + old/2)
	}
	return sum
}

func (q *Queue) charge(payers []Share, now time.Time) {
	for _, s := range payers {
		fresh, _ := q.asked.Get(s.Key, now)
		q.asked.Set(s.Key, fresh+1, now)
	}
}

func (q *Queue) remove(w *waiter) bool {
	i := slices.Index(q.waiting, w)
	if i >= 0 {
		q.waiting = slices.Delete(q.waiting, i, i+1)
	}
	return i >= 0
}
