package sessions

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
)

// purgeBatch is how many expired sessions a store removes at a time. In the
// embedded file that is one transaction of a few milliseconds, for which all other
// writers wait. Batches of 1,000 save no time, and are long enough for requests to
// notice.
const purgeBatch = 250

// List yields the sessions that q selects, by key, without those that have ended.
// Damaged records are left out too, and logged. An error is the last thing that it
// yields.
func (m *Manager) List(ctx context.Context, q Query) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		for i, err := range m.present(ctx, q) {
			if !errors.Is(err, ErrDamaged) && !yield(i, err) {
				return
			}
		}
	}
}

// present is List with the damaged records: it yields their keys with ErrDamaged.
// Ending sessions ends these too.
func (m *Manager) present(ctx context.Context, q Query) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		for e, err := range m.store.List(ctx, q) {
			switch {
			case errors.Is(err, ErrDamaged):
				_ = m.damagedIs(e.Key, err)
			case err != nil:
				yield(Info{}, fmt.Errorf("list sessions: %w", err))
				return
			case e.over(m.now()):
				continue
			}
			if !yield(newInfo(e.Key, &e.Record), err) {
				return
			}
		}
	}
}

// Revoke ends the session with the handle, or with a longer beginning of its key,
// for the reason that Options.OnEnd is told. It returns ErrNotFound if there is no
// such session, and an error that names two if several begin so.
func (m *Manager) Revoke(ctx context.Context, handle, reason string) (Info, error) {
	if len(handle) < handleLen || strings.Trim(handle, "0123456789abcdef") != "" {
		return Info{}, ErrNotFound
	}
	var found []Info
	for i, err := range m.present(ctx, Query{Prefix: handle}) {
		if err != nil && !errors.Is(err, ErrDamaged) {
			return Info{}, err
		}
		if found = append(found, i); len(found) == 2 {
			return Info{}, fmt.Errorf("sessions: %s is the beginning of both %s and %s; write more of it",
				handle, found[0].Key, found[1].Key)
		}
	}
	if len(found) == 0 {
		return Info{}, ErrNotFound
	}
	return found[0], m.revoke(ctx, found[0].Key, reason)
}

func (m *Manager) revoke(ctx context.Context, key, reason string) error {
	r, err := m.store.Delete(ctx, key)
	if err != nil {
		return wrap("revoke", key, err)
	}
	m.ended(key, &r, reason)
	return nil
}

// RevokeUser ends the user's sessions, except those for which keep returns true
// (nil: none), and returns how many it has ended. It ends nobody's sessions ("") for
// no user. After an error, some may not have ended: call it again.
func (m *Manager) RevokeUser(ctx context.Context, user, reason string, keep func(Info) bool) (int, error) {
	if user == "" {
		return 0, nil
	}
	return m.revokeAll(ctx, Query{User: user}, reason, keep)
}

// RevokeAll ends every session, and returns how many. After an error, some may not
// have ended: call it again.
func (m *Manager) RevokeAll(ctx context.Context, reason string) (int, error) {
	return m.revokeAll(ctx, Query{}, reason, nil)
}

// revokers is how many sessions are ended at the same time, so that stores can
// write them together.
const revokers = 256

func (m *Manager) revokeAll(ctx context.Context, q Query, reason string, keep func(Info) bool) (int, error) {
	var (
		n     atomic.Int64
		wg    sync.WaitGroup
		todo  = make(chan string)
		end   = make(chan struct{}) // closed at the first failure
		first error
		once  sync.Once
	)
	fail := func(err error) { once.Do(func() { first = err; close(end) }) }
	begun := 0
	begin := func() {
		begun++
		wg.Go(func() {
			for key := range todo {
				switch err := m.revoke(ctx, key, reason); {
				case err == nil:
					n.Add(1)
				case !errors.Is(err, ErrNotFound):
					fail(err)
					return
				}
			}
		})
	}
list:
	for i, err := range m.present(ctx, q) {
		if err != nil && !errors.Is(err, ErrDamaged) {
			fail(err)
			break
		}
		if keep != nil && keep(i) {
			continue
		}
		if begun < revokers { // as many as there are sessions, at most
			begin()
		}
		select {
		case todo <- i.Key:
		case <-end:
			break list
		}
	}
	close(todo)
	wg.Wait()
	return int(n.Load()), first
}

// DeleteExpired removes the records of sessions that have expired, and returns how
// many (Django's clearsessions). Expired sessions open nothing with or without it;
// call it every few minutes, so that the store does not grow.
func (m *Manager) DeleteExpired(ctx context.Context) (n int, err error) {
	for {
		gone, err := m.store.DeleteExpired(ctx, m.now(), purgeBatch)
		for _, e := range gone {
			m.ended(e.Key, &e.Record, "expired")
		}
		n += len(gone)
		if err != nil {
			return n, fmt.Errorf("purge sessions: %w", err)
		}
		if len(gone) < purgeBatch {
			return n, nil
		}
	}
}
