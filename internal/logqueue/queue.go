// Package logqueue keeps the reader of a log from stopping the program that writes it.
//
// Lines go into a bounded queue, and from there to the reader. When the reader stalls,
// the queue fills, and further lines are dropped and counted. When the reader has ended
// (EPIPE), or its disk is full, every line is dropped and counted. Writing a line never
// blocks and never fails.
package logqueue

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// A Class is how important a line is: the queue drops the least important ones first.
type Class int

// The classes, from the first to be dropped to the last.
const (
	Ordinary Class = iota
	Warning
	Audit
	classes
)

// DefaultLimits are the most bytes in the queue, by class, with which a line of that
// class is still added. So there is room for warnings and audit events when ordinary
// lines are dropped already.
var DefaultLimits = [classes]int{Ordinary: 1 << 20, Warning: 2 << 20, Audit: 4 << 20}

const (
	chunk = 32 << 10  // the most bytes of a write, so that a slow reader makes room bit by bit
	spare = 256 << 10 // the most capacity that an empty queue keeps
)

// A Queue passes lines on in the order in which they were written. It is safe
// for concurrent use.
type Queue struct {
	out    io.Writer
	limits [classes]int
	lost   func(n uint64)
	wake   chan struct{} // holds a token when there may be something to do
	ended  chan struct{} // closed when the writing goroutine has ended

	mu      sync.Mutex // guards the rest
	pending []byte
	held    int // the bytes of pending and of what is being written
	dropped uint64
	closed  bool

	// Used by the writing goroutine alone.
	told uint64 // how many of dropped lost was called for
	torn bool   // what was written last is half a line
}

// New starts a Queue that writes to out; Close ends it. lost is called with the number
// of lines that were dropped since the last call, once the reader takes lines again. It
// is called from the goroutine that writes, may write to the Queue, and may be nil.
func New(out io.Writer, limits [classes]int, lost func(n uint64)) *Queue {
	if lost == nil {
		lost = func(uint64) {}
	}
	q := &Queue{out: out, limits: limits, lost: lost, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go q.run()
	return q
}

// Writer returns a writer for lines of the class. Each Write must be one whole line with
// its newline. It never fails.
func (q *Queue) Writer(c Class) io.Writer { return writer{q, c} }

type writer struct {
	q     *Queue
	class Class
}

// Write implements io.Writer.
func (w writer) Write(line []byte) (int, error) {
	w.q.add(line, w.class)
	return len(line), nil
}

// Dropped returns how many lines have been dropped so far.
func (q *Queue) Dropped() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}

// Close waits until all lines are written, at most for the time limit. Lines that are
// written from then on are dropped. It must be called once.
func (q *Queue) Close(limit time.Duration) {
	q.mu.Lock()
	q.closed = true
	q.mu.Unlock()
	q.signal()
	select {
	case <-q.ended:
	case <-time.After(limit):
	}
}

func (q *Queue) add(line []byte, c Class) {
	q.mu.Lock()
	if q.closed || q.held+len(line) > q.limits[c] {
		q.dropped++
		q.mu.Unlock()
		return
	}
	q.pending = append(q.pending, line...)
	q.held += len(line)
	q.mu.Unlock()
	q.signal()
}

func (q *Queue) signal() {
	select {
	case q.wake <- struct{}{}:
	default: // there is a token already
	}
}

func (q *Queue) run() {
	defer close(q.ended)
	var batch []byte
	for range q.wake {
		var closed bool
		if batch, closed = q.take(batch); len(batch) > 0 {
			q.write(batch)
			q.signal() // there may be more by now
		} else if closed {
			return
		}
	}
}

// take returns all pending lines. done, which has been written, is used for the next
// ones.
func (q *Queue) take(done []byte) (batch []byte, closed bool) {
	if cap(done) > spare {
		done = nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	batch, q.pending = q.pending, done[:0]
	return batch, q.closed
}

// write writes lines to out, chunk by chunk. A chunk that cannot be written is dropped:
// the reader has ended, or its disk is full.
func (q *Queue) write(lines []byte) {
	for len(lines) > 0 {
		n := len(lines)
		if n > chunk {
			n = chunk
			if end := bytes.LastIndexByte(lines[:n], '\n'); end >= 0 {
				n = end + 1
			}
		}
		failed := q.writeChunk(lines[:n])
		lines = lines[n:]
		q.mu.Lock()
		q.held -= n
		q.dropped += failed
		dropped := q.dropped
		q.mu.Unlock()
		if failed == 0 && dropped > q.told {
			q.lost(dropped - q.told)
			q.told = dropped
		}
	}
}

// writeChunk returns the number of lines that were not written whole.
func (q *Queue) writeChunk(lines []byte) (failed uint64) {
	if q.torn { // what follows must not continue the half line
		if _, err := q.out.Write([]byte{'\n'}); err != nil {
			return uint64(bytes.Count(lines, []byte{'\n'})) //nolint:gosec // G115: a count
		}
		q.torn = false
	}
	n, err := q.out.Write(lines)
	if err == nil {
		return 0
	}
	q.torn = n > 0 && lines[n-1] != '\n'
	return uint64(bytes.Count(lines[n:], []byte{'\n'})) //nolint:gosec // G115: a count
}
