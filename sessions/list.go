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

// purgeBatch is how many expired sessions a store removes at a time. In the embedded file
// that is one transaction of a few milliseconds, for which all other writers wait.
// Batches of 1,000 save no time and take long enough to delay requests noticeably.
const purgeBatch = 250

// List yields the sessions that q selects, in the order of their keys, except those that
// have ended. A session on several hosts is one, with its Hosts. Damaged records are logged and left out. After an error it yields nothing
// more.
func (m *Manager) List(ctx context.Context, q Query) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		for i, err := range m.present(ctx, q) {
			if !errors.Is(err, ErrDamaged) && !yield(i, err) {
				return
			}
		}
	}
}

// present is List, but also yields damaged records: their keys, with ErrDamaged. Revoking
// has to remove these too, because they may be the user's.
func (m *Manager) present(ctx context.Context, q Query) iter.Seq2[Info, error] {
	return func(yield func(Info, error) bool) {
		for e, err := range m.store.List(ctx, q) {
			switch {
			case errors.Is(err, ErrDamaged):
				_ = m.damagedIs(e.Key, err)
			case err != nil:
				yield(Info{}, fmt.Errorf("list sessions: %w", err))
				return
			case e.over(m.now()), e.Host != "":
				continue
			}
			if !yield(newInfo(e.Key, &e.Record), err) {
				return
			}
		}
	}
}

// Revoke ends the session whose key begins with handle: a handle as Handle returns it, or
// more of the key. reason is passed to Options.OnEnd. It returns ErrNotFound if there is no
// such session, and an error that names two of them if there are several.
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

// revoke ends one session. Its error is ErrNotFound if somebody else has just done so.
func (m *Manager) revoke(ctx context.Context, key, reason string) error {
	r, err := m.store.Delete(ctx, key)
	if err != nil {
		return wrap("revoke", key, err)
	}
	m.ended(key, &r, reason)
	return nil
}

// RevokeUser ends the user's sessions, except those for which keep returns true (nil:
// none), and returns how many it has ended. For the user "" it does nothing. After an
// error some sessions may not have ended: call it again.
func (m *Manager) RevokeUser(ctx context.Context, user, reason string, keep func(Info) bool) (int, error) {
	if user == "" {
		return 0, nil
	}
	return m.revokeAll(ctx, Query{User: user}, reason, keep)
}

// RevokeAll ends every session and returns how many. After an error some may not have
// ended: call it again.
func (m *Manager) RevokeAll(ctx context.Context, reason string) (int, error) {
	return m.revokeAll(ctx, Query{}, reason, nil)
}

// revokers is how many sessions are ended at the same time at most. Stores write
// concurrent changes together, so this is much faster than one after the other.
const revokers = 256

// revokeAll ends the sessions that q selects and keep does not keep. It stops at the first
// error, after the revocations under way, and returns it with how many have ended. A
// session that ends by itself meanwhile is no error and does not count.
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

// DeleteExpired removes the records of sessions that have expired and returns how many,
// like Django's clearsessions. It only frees space: an expired session is never accepted.
// Call it every few minutes. Options.OnEnd is told of each with the reason "expired".
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
