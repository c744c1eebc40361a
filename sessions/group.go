package sessions

import (
	"context"
	"slices"
	"sync"

	"go.etcd.io/bbolt"

	"gatehouse/internal/boltfile"
)

// groupMax is how many calls share one transaction.
const groupMax = 256

// group lets calls that wait for the disk at the same time share one transaction,
// and so one fsync. Unlike bbolt's Batch it never waits for more calls to come: the
// calls that came while a transaction was being written make up the next one.
type group struct {
	db *bbolt.DB

	mu      sync.Mutex
	queue   []*write
	running bool
	done    sync.WaitGroup
}

// A write is one call of do.
type write struct {
	// f does it. It returns a verdict, which is the caller's alone and does not undo
	// what others do in the same transaction, or err if the transaction cannot go
	// on. It may be called again after that.
	f       func(tx *bbolt.Tx) (verdict, err error)
	verdict error
	result  chan error
}

// do runs f, and returns its verdict once the transaction is on disk. If ctx ends
// before f has begun, f is not run. Otherwise do waits for its end, so that the
// caller always knows what was done.
func (g *group) do(ctx context.Context, f func(tx *bbolt.Tx) (verdict, err error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	w := &write{f: f, result: make(chan error, 1)}
	g.mu.Lock()
	g.queue = append(g.queue, w)
	if !g.running {
		g.running = true
		g.done.Go(g.run)
	}
	g.mu.Unlock()
	select {
	case err := <-w.result:
		return err
	case <-ctx.Done():
	}
	g.mu.Lock()
	i := slices.Index(g.queue, w)
	if i >= 0 {
		g.queue = slices.Delete(g.queue, i, i+1)
	}
	g.mu.Unlock()
	if i >= 0 {
		return ctx.Err()
	}
	return <-w.result
}

// run writes what waits, a batch at a time, until nothing does.
func (g *group) run() {
	for {
		g.mu.Lock()
		n := min(len(g.queue), groupMax)
		batch := slices.Clone(g.queue[:n])
		g.queue = slices.Delete(g.queue, 0, n)
		g.running = n > 0
		g.mu.Unlock()
		if n == 0 {
			return
		}
		g.write(batch)
	}
}

// write runs the batch in one transaction. If that fails, each call gets a
// transaction of its own, because only one of them may be at fault.
func (g *group) write(batch []*write) {
	err := boltfile.Update(g.db, func(tx *bbolt.Tx) (err error) {
		for _, w := range batch {
			if w.verdict, err = w.f(tx); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil && len(batch) > 1 {
		for _, w := range batch {
			g.write([]*write{w})
		}
		return
	}
	for _, w := range batch {
		if err != nil {
			w.verdict = err
		}
		w.result <- w.verdict
	}
}

// wait returns when nothing is being written.
func (g *group) wait() { g.done.Wait() }
