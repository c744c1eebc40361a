package throttle

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"gatehouse/internal/limit"
)

// A Counter keeps buckets where several nodes take from them. Safe for
// concurrent use.
type Counter interface {
	// Take is limit.Table.Take, for all nodes together. An error says that it
	// could not be told; the try may have been counted.
	Take(ctx context.Context, buckets []limit.Bucket) (ok bool, wait time.Duration, err error)
	// Return gives back what Take has taken.
	Return(ctx context.Context, buckets []limit.Bucket) error
}

const (
	// sharedPatience is how long a login waits for the store that counts tries.
	sharedPatience = 250 * time.Millisecond
	// sharedPause is how long it is not asked after it did not answer.
	sharedPause = 5 * time.Second
)

// A sharedCounter asks a Counter, and goes on without it while it does not
// answer: a store that hangs delays one login in a while, and stops none. The
// zero value has none to ask.
type sharedCounter struct {
	counter  Counter
	log      *slog.Logger
	patience time.Duration // sharedPatience, but in tests
	pause    atomic.Int64  // until when it is not asked, in Unix nanoseconds; 0: it answers
}

func (s *sharedCounter) use(c Counter, log *slog.Logger) {
	s.counter, s.log, s.patience = c, log, sharedPatience
}

// take reports true as well when nobody could tell.
func (s *sharedCounter) take(ctx context.Context, buckets []limit.Bucket) (ok bool, wait time.Duration) {
	ok = true
	s.ask(ctx, func(ctx context.Context) error {
		answer, w, err := s.counter.Take(ctx, limited(buckets))
		if err == nil {
			ok, wait = answer, w
		}
		return err
	})
	return ok, wait
}

func (s *sharedCounter) refund(ctx context.Context, buckets []limit.Bucket) {
	s.ask(context.WithoutCancel(ctx), func(ctx context.Context) error { return s.counter.Return(ctx, limited(buckets)) })
}

// limited leaves out the buckets that limit nothing.
func limited(buckets []limit.Bucket) []limit.Bucket {
	var list []limit.Bucket
	for _, b := range buckets {
		if !b.Rate.Unlimited() {
			list = append(list, b)
		}
	}
	return list
}

func (s *sharedCounter) ask(ctx context.Context, f func(context.Context) error) {
	if s.counter == nil {
		return
	}
	paused := s.pause.Load()
	if paused > time.Now().UnixNano() {
		return
	}
	within, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	err := f(within)
	switch {
	case err == nil:
		if s.pause.Swap(0) != 0 {
			s.log.LogAttrs(ctx, slog.LevelInfo, "tries to sign in are counted together with other nodes again")
		}
	case ctx.Err() != nil: // the visitor has gone
	default:
		if s.pause.Swap(time.Now().Add(sharedPause).UnixNano()) == 0 {
			s.log.LogAttrs(ctx, slog.LevelWarn, "the store that counts tries to sign in does not answer; this node counts by itself", slog.Any("error", err))
		}
	}
}
