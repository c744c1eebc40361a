// Package logqueue keeps a log from stopping the program that writes it.
//
// Lines go into a bounded queue and from there to the log's reader. When the
// reader stalls, the queue fills and further lines are dropped and counted;
// when it has ended (EPIPE) or its disk is full, lines are dropped as they
// come. Writing a line never blocks and never fails.
package logqueue

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// A Class says how long lines are kept while the queue fills.
type Class int

// The classes, the first to be dropped first.
const (
	Ordinary Class = iota
	Warning
	Audit
	classes
)

// DefaultLimits are the bytes that may lie in the queue when a line of each
// class is added: with these, warnings and audit events still find room when
// ordinary lines do not.
var DefaultLimits = [classes]int{Ordinary: 1 << 20, Warning: 2 << 20, Audit: 4 << 20}

const (
	chunk = 32 << 10  // bytes written at once, so that a slow reader makes room bit by bit
	spare = 256 << 10 // capacity that an empty queue keeps
)

// A Queue passes lines on in the order in which they were written. It is safe
// for concurrent use.
type Queue struct {
	out    io.Writer
	limits [classes]int
	lost   func(n uint64)
	wake   chan struct{} // holds one token when there is something to do
	ended  chan struct{}

	mu      sync.Mutex // guards the rest
	pending []byte
	held    int // bytes of pending, and of what is being written
	dropped uint64
	closed  bool

	// Of the writing goroutine alone.
	told uint64 // of dropped: those that lost was told of
	torn bool   // the last line that was written has no end
}

// New starts a Queue that writes to out. lost is called, from another
// goroutine, when lines were dropped and the reader takes lines again; it may
// write to the Queue, and may be nil.
func New(out io.Writer, limits [classes]int, lost func(n uint64)) *Queue {
	if lost == nil {
		lost = func(uint64) {}
	}
	q := &Queue{out: out, limits: limits, lost: lost, wake: make(chan struct{}, 1), ended: make(chan struct{})}
	go q.run()
	return q
}

// Writer returns a writer of lines of the class. Each Write is one whole
// line with its newline. It always succeeds.
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

// Dropped returns the number of lines that nobody will read.
func (q *Queue) Dropped() uint64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.dropped
}

// Close waits until all lines are written, but not longer than limit. Lines
// written after Close are dropped.
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
	default: // it is awake, and looks again before it sleeps
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

// take returns all that is pending. The memory of done, which has been
// written, is used again.
func (q *Queue) take(done []byte) (batch []byte, closed bool) {
	if cap(done) > spare {
		done = nil
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	batch, q.pending = q.pending, done[:0]
	return batch, q.closed
}

// write passes lines on, chunk by chunk. A chunk that fails is given up: its
// reader has gone, or its disk is full.
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
	if q.torn { // what follows half a line must not be taken for the rest of it
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
