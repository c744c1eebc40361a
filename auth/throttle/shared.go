package throttle

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"gatehouse/internal/limit"
)

// A Counter keeps buckets that several nodes share. Safe for concurrent use.
type Counter interface {
	// Take takes one event from each bucket, or from none of them if one is
	// empty; ok is then false, and wait is how long until all have one. It is
	// limit.Table.Take for all nodes together. No bucket is unlimited. After an
	// error, the event may have been taken or not.
	Take(ctx context.Context, buckets []limit.Bucket) (ok bool, wait time.Duration, err error)
	// Return puts one event back into each bucket. It is called at most once after
	// a Take that returned true.
	Return(ctx context.Context, buckets []limit.Bucket) error
}

const (
	// sharedPatience is how long a login waits for the Counter.
	sharedPatience = 250 * time.Millisecond
	// sharedPause is how long the Counter is left alone after it did not answer.
	sharedPause = 5 * time.Second
)

// A sharedCounter uses a Counter while it answers and does without it while it
// does not: a store that hangs delays the few logins that try it, and stops none.
// The zero value has no Counter and allows everything.
type sharedCounter struct {
	counter  Counter
	log      *slog.Logger
	patience time.Duration // sharedPatience, except in tests
	pause    atomic.Int64  // not asked before this time, in Unix nanoseconds; 0: it answers
}

// use sets the Counter. It must be called before any other method.
func (s *sharedCounter) use(c Counter, log *slog.Logger) {
	s.counter, s.log, s.patience = c, log, sharedPatience
}

// take is Counter.Take. It returns true if the Counter does not answer.
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

// refund is Counter.Return. It runs even if the visitor has left: otherwise their
// right password would stay counted as a wrong one.
func (s *sharedCounter) refund(ctx context.Context, buckets []limit.Bucket) {
	s.ask(context.WithoutCancel(ctx), func(ctx context.Context) error { return s.counter.Return(ctx, limited(buckets)) })
}

// limited returns the buckets that have a limit.
func limited(buckets []limit.Bucket) []limit.Bucket {
	var list []limit.Bucket
	for _, b := range buckets {
		if !b.Rate.Unlimited() {
			list = append(list, b)
		}
	}
	return list
}

// ask calls f unless the Counter is missing or paused. An error pauses it, and the
// change between answering and not answering is logged once.
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
	case ctx.Err() != nil: // the visitor has left, which says nothing about the Counter
	default:
		if s.pause.Swap(time.Now().Add(sharedPause).UnixNano()) == 0 {
			s.log.LogAttrs(ctx, slog.LevelWarn, "the store that counts tries to sign in does not answer; this node counts by itself", slog.Any("error", err))
		}
	}
}
