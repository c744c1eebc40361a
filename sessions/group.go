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

// group lets calls that wait for the disk at the same time share one
// transaction, and so one fsync. Unlike bbolt's Batch it never waits for
// company: what came while the last transaction was being written is the
// next one.
type group struct {
	db *bbolt.DB

	mu      sync.Mutex
	queue   []*write
	running bool
	done    sync.WaitGroup
}

// A write says what it found (verdict, which is no reason to undo what others
// do in the same transaction) or that the transaction cannot go on (err). It
// may be called again after that.
type write struct {
	f       func(tx *bbolt.Tx) (verdict, err error)
	verdict error
	result  chan error
}

// do runs f and gives its verdict once it is on disk. When ctx ends before f
// has begun, f is not done at all; else do waits for the end of it, so that
// its caller always knows.
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

// write does the batch in one transaction. If that fails, each call gets one
// of its own: the failure may be one call's alone.
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

func (g *group) wait() { g.done.Wait() }
