package sessions

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

const (
	workMax   = 4096 // jobs that may wait; more are dropped
	workBatch = 64   // jobs done at the same time, so that a store can write them in one go
)

// A job is a session that was used, one that has probably expired, or one
// whose record is of format 1.
type job struct {
	key     string
	ring    *ring
	seen    time.Time
	expired bool
	rewrite bool
}

// background does jobs beside the requests, one for a session at a time. Its
// goroutine runs only while there is work.
type background struct {
	do func(job)

	mu      sync.Mutex
	pending map[string]struct{} // keys whose job waits or runs
	queue   []job
	running bool
	closed  bool
	done    sync.WaitGroup
}

// add takes a job, unless there is one for the session, or too many.
func (b *background) add(j job) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, ok := b.pending[j.key]; ok || b.closed || len(b.queue) >= workMax {
		return
	}
	if b.pending == nil {
		b.pending = map[string]struct{}{}
	}
	b.pending[j.key] = struct{}{}
	b.queue = append(b.queue, j)
	if !b.running {
		b.running = true
		b.done.Go(b.run)
	}
}

// run does what waits, a batch at a time, until nothing does.
func (b *background) run() {
	for {
		batch := b.take()
		if len(batch) == 0 {
			return
		}
		var wg sync.WaitGroup
		for _, j := range batch {
			wg.Go(func() { b.do(j) })
		}
		wg.Wait()
		b.mu.Lock()
		for _, j := range batch {
			delete(b.pending, j.key)
		}
		b.mu.Unlock()
	}
}

func (b *background) take() []job {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(len(b.queue), workBatch)
	batch := b.queue[:n:n]
	b.queue = b.queue[n:]
	b.running = n > 0
	return batch
}

// close takes no more jobs, and returns when those that wait are done.
func (b *background) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.done.Wait()
}

// Seen records a use of the session: its idle time begins again. It writes
// at most once every Options.TouchEvery, in the background, and never brings
// back a session that has ended. When more uses wait than can be written,
// some are forgotten: that session ends earlier, never later.
func (m *Manager) Touch(i Info) {
	now := m.now()
	if d := now.Sub(i.Seen); d >= 0 && d < m.o.TouchEvery || i.Idle <= 0 {
		return // a use in the future is one before the clock was set back
	}
	m.work.add(job{key: i.Key, ring: i.ring, seen: now})
}

func (m *Manager) doWork(j job) {
	ctx, cancel := context.WithTimeout(context.Background(), writeTime)
	defer cancel()
	var err error
	switch {
	case j.expired:
		err = m.endExpired(ctx, j.key)
	case j.rewrite:
		err = m.rewrite(ctx, j)
	default:
		err = m.touch(ctx, j)
	}
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrConflict) {
		m.o.Log.Warn("session work failed", slog.String("session", Handle(j.key)), slog.Any("error", err))
	}
}

// touch asks for the session's own idle time: it may have changed since. The
// mark is made with the secret that the record is signed with, so that a node
// which does not know the newest one yet can verify both. Should the record
// get a proof by another secret meanwhile, the mark follows.
func (m *Manager) touch(ctx context.Context, j job) error {
	k, err := m.ours(j.ring)
	if err != nil {
		return err
	}
	for last := -1; ; {
		r, err := m.store.Load(ctx, j.key)
		if err != nil {
			return err
		}
		by, old, err := m.admit(k, j.key, &r)
		switch {
		case err != nil, by == last:
			return err
		case old:
			return m.rewriteAs(ctx, k, j, r)
		}
		if err := m.store.Touch(ctx, j.key, j.seen, r.use(j.seen), k.mark(by, j.key, j.seen)); err != nil {
			return err
		}
		if last = by; len(k.macs) == 1 {
			return nil
		}
	}
}

// rewrite stores a record of format 1 anew. When somebody else is faster,
// that has been done.
func (m *Manager) rewrite(ctx context.Context, j job) error {
	k, err := m.ours(j.ring)
	if err != nil {
		return err
	}
	r, err := m.store.Load(ctx, j.key)
	if err != nil {
		return err
	}
	if _, old, err := m.admit(k, j.key, &r); err != nil || !old {
		return err
	}
	j.seen = r.Seen
	return m.rewriteAs(ctx, k, j, r)
}

func (m *Manager) rewriteAs(ctx context.Context, k *ring, j job, r Record) error {
	r.Seen, r.Expires = j.seen, r.use(j.seen)
	k.prove(0, j.key, &r, r.Version+1)
	return m.store.Update(ctx, j.key, r)
}

// use says when the session expires if it is used at the time.
func (r *Record) use(at time.Time) time.Time {
	if r.Idle <= 0 {
		return r.Expires
	}
	t := at.Add(r.Idle)
	if !r.Limit.IsZero() && t.After(r.Limit) {
		return r.Limit
	}
	return t
}

// endExpired removes the session if it is there and has expired.
func (m *Manager) endExpired(ctx context.Context, key string) error {
	for e, err := range m.store.List(ctx, Query{Prefix: key}) {
		if err != nil {
			return m.damagedIs(key, err)
		}
		if e.Key != key || !e.over(m.now()) {
			return nil
		}
		m.gone.put(key, goneBy(&e.Record, "expired")) // before it is gone, for who asks at that moment
	}
	r, err := m.store.Delete(ctx, key)
	if err != nil {
		return err
	}
	m.ended(key, &r, "expired")
	return nil
}
