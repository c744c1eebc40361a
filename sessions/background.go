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
	workBatch = 64   // jobs that run at the same time, so that a store can write them together
)

// A job is work for one record: to record a use, to remove it, or to write a record of
// format 1 anew.
type job struct {
	key     string
	ring    *ring
	seen    time.Time // when it was used
	expired bool      // it has probably expired: remove it if so
	rewrite bool      // its record is of format 1
	remove  bool      // it is the id of a host whose session has ended, or has another id there
}

// background runs jobs beside the requests, one for a session at a time. Its
// goroutine exists only while there is work.
type background struct {
	do func(job)

	mu      sync.Mutex
	pending map[string]struct{} // keys whose job waits or runs
	queue   []job
	running bool
	closed  bool
	done    sync.WaitGroup
}

// add queues a job. It drops the job if there is one for the session already, or if
// too many wait: what is dropped ends a session earlier, never later.
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

// run does the jobs that wait, a batch at a time, until none does.
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

// take removes a batch from the queue; none, and run ends.
func (b *background) take() []job {
	b.mu.Lock()
	defer b.mu.Unlock()
	n := min(len(b.queue), workBatch)
	batch := b.queue[:n:n]
	b.queue = b.queue[n:]
	b.running = n > 0
	return batch
}

// close returns when the jobs that wait are done. Later ones are dropped.
func (b *background) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.done.Wait()
}

// Touch records a use of the session that Find has returned: its idle timeout begins
// anew. It returns at once. The use is written in the background, once every
// Options.TouchEvery at most, and never brings back a session that has ended. When
// too many uses wait to be written, some are dropped; such a session ends earlier,
// never later.
func (m *Manager) Touch(i Info) {
	now := m.now()
	if m.touches(i.Seen, i.Idle, now) {
		m.work.add(job{key: i.Key, ring: i.ring, seen: now})
	}
	if i.link != nil && m.touches(i.hostSeen, i.hostIdle, now) {
		m.work.add(job{key: i.link.own, ring: i.link.ownRing, seen: now})
	}
}

// touches reports whether a use of a record is to be written that was last used when
// seen says.
func (m *Manager) touches(seen time.Time, idle time.Duration, now time.Time) bool {
	d := now.Sub(seen)
	return idle > 0 && (d < 0 || d >= m.o.TouchEvery) // d < 0: the clock was set back after the last use
}

// doWork does a job. That the session has ended or changed meanwhile is no failure.
func (m *Manager) doWork(j job) {
	ctx, cancel := context.WithTimeout(context.Background(), writeTime)
	defer cancel()
	var err error
	switch {
	case j.expired:
		err = m.endExpired(ctx, j.key)
	case j.rewrite:
		err = m.rewrite(ctx, j)
	case j.remove:
		err = m.remove(ctx, j.key)
	default:
		err = m.touch(ctx, j)
	}
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrConflict) {
		m.o.Log.Warn("session work failed", slog.String("session", Handle(j.key)), slog.Any("error", err))
	}
}

// touch records a use. It loads the record first, because its idle timeout may have
// changed since Find. The mark is made with the secret that has signed the record,
// so that a node which does not know the newest secret yet can verify both. If the
// record is signed with another secret meanwhile, touch marks it again.
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

// rewrite stores a record of format 1 in the present format. If another process is
// faster, nothing is left to do.
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

// rewriteAs stores the record in the present format, as used when the job says.
func (m *Manager) rewriteAs(ctx context.Context, k *ring, j job, r Record) error {
	r.Seen, r.Expires = j.seen, r.use(j.seen)
	k.prove(0, j.key, &r, r.Version+1)
	return m.store.Update(ctx, j.key, r)
}

// use returns when the session expires if it is used at the time.
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
		m.gone.put(key, goneBy(&e.Record, "expired")) // before it is removed, for a request that asks EndReason at this moment
	}
	r, err := m.store.Delete(ctx, key)
	if err != nil {
		return err
	}
	m.ended(key, &r, "expired")
	return nil
}
