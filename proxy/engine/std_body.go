package engine

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

// A standardBody is the visitor's body as Transport reads it, on a goroutine
// that may outlive RoundTrip but not Forward: stop sees to that, because
// net/http takes the connection back when the handler has returned.
type standardBody struct {
	r     *Request
	rc    *http.ResponseController
	stall time.Duration

	trailer http.Header // announced names; the values come with the end
	read    int64
	fault   atomic.Pointer[Error] // why the body broke off
	whole   atomic.Bool           // it was read to its end

	mu      sync.Mutex
	idle    sync.Cond // signalled when no Read is under way
	reading bool
	closed  bool
}

var errBodyClosed = errors.New("the request is over")

func newStandardBody(r *Request, rc *http.ResponseController, stall time.Duration) *standardBody {
	b := &standardBody{r: r, rc: rc, stall: stall}
	b.idle.L = &b.mu
	if r.In.ContentLength < 0 {
		for _, name := range trailerNames(r) {
			if b.trailer == nil {
				b.trailer = http.Header{}
			}
			b.trailer[name] = nil
		}
	}
	return b
}

// Read waits for the visitor for stall at most.
func (b *standardBody) Read(p []byte) (int, error) {
	if !b.begin() {
		return 0, errBodyClosed
	}
	n, err := b.r.In.Body.Read(p)
	b.end()
	if b.read += int64(n); b.read == b.r.In.ContentLength {
		b.whole.Store(true)
	}
	switch {
	case b.r.MaxBody > 0 && b.read > b.r.MaxBody:
		return 0, b.fail(TooLarge, fmt.Errorf("body is over %d bytes", b.r.MaxBody))
	case err == io.EOF:
		for name := range b.trailer {
			b.trailer[name] = b.r.In.Trailer[name]
		}
		b.whole.Store(true)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return n, b.fail(Visitor, fmt.Errorf("visitor stalls: %w", err))
	case err != nil:
		return n, b.fail(Visitor, fmt.Errorf("read body: %w", err))
	}
	return n, err
}

func (b *standardBody) fail(kind string, err error) error {
	b.fault.CompareAndSwap(nil, &Error{Kind: kind, Err: err})
	return err
}

func (b *standardBody) begin() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.reading = true
	if b.stall > 0 {
		_ = b.rc.SetReadDeadline(time.Now().Add(b.stall))
	}
	return true
}

func (b *standardBody) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = false
	if b.stall > 0 && !b.closed {
		_ = b.rc.SetReadDeadline(time.Time{})
	}
	b.idle.Broadcast()
}

// Close is called by Transport, which needs no more of the body.
func (b *standardBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return nil
}

// complete says whether nothing of the body is left to read.
func (b *standardBody) complete() bool { return b.whole.Load() }

// stop waits for a Read that is under way, after cutting it short.
func (b *standardBody) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if !b.complete() {
		_ = b.rc.SetReadDeadline(longAgo)
	}
	for b.reading {
		b.idle.Wait()
	}
}
