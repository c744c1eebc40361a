package sessions

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// ErrFull means that Options.DataLimit is reached, and nothing was stored.
var ErrFull = errors.New("sessions: the data of all sessions have reached their limit")

// recountEvery is how long a count of the data of all sessions is believed. What
// other nodes store is seen by the next count.
const recountEvery = time.Minute

// A quota bounds the bytes of data that all sessions of a store hold. It counts them
// at the first question and again after a while, and in between adds what its
// Manager stores. With several nodes the bound may therefore be passed for a
// minute or more. The zero quota has no limit.
type quota struct {
	limit int64

	mu      sync.Mutex
	used    int64
	recount time.Time // when to count again
}

// room returns ErrFull if n more bytes are over the limit, and any other error if
// they could not be counted.
func (q *quota) room(ctx context.Context, m *Manager, n int) error {
	if q.limit <= 0 || n <= 0 {
		return nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if began := m.now(); began.After(q.recount) {
		used, err := m.dataSize(ctx)
		if err != nil {
			return err
		}
		// A large store is counted less often.
		q.used, q.recount = used, m.now().Add(max(recountEvery, 50*m.now().Sub(began)))
	}
	if q.used+int64(n) > q.limit {
		return ErrFull
	}
	return nil
}

// add notes that n bytes more are stored; n may be negative.
func (q *quota) add(n int) {
	if q.limit <= 0 {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.used += int64(n)
}

// dataSize returns how many bytes of data all sessions hold.
func (m *Manager) dataSize(ctx context.Context) (n int64, err error) {
	for e, err := range m.store.List(ctx, Query{}) {
		if err != nil && !errors.Is(err, ErrDamaged) {
			return 0, fmt.Errorf("count session data: %w", err)
		}
		n += int64(len(e.Data))
	}
	return n, nil
}
