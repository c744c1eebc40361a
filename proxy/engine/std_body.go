package engine

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// A transportBody is the visitor's body as Transport reads it, on a goroutine
// that may outlive RoundTrip but not Forward: stop sees to that, because
// net/http takes the connection back when the handler has returned.
type transportBody struct {
	r      *Request
	rc     *http.ResponseController
	t      Timeouts
	giveUp func() // ends the request

	trailer  http.Header // announced names; the values come with the end
	read     int64
	fault    atomic.Pointer[Error] // why the body broke off
	whole    atomic.Bool           // it was read to its end
	cutShort atomic.Bool           // the end of the request's context is our doing
	late     atomic.Bool           // the upstream took none of it for too long, and did not answer

	mu      sync.Mutex
	idle    sync.Cond // signalled when no Read is under way
	reading bool
	closed  bool
	begun   bool        // the upstream answers: it may take its time
	patient *time.Timer // gives up when nothing is asked for
}

var errBodyClosed = errors.New("the request is over")

func newStandardBody(r *Request, rc *http.ResponseController, t Timeouts) *transportBody {
	b := &transportBody{r: r, rc: rc, t: t}
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

// Read waits for the visitor for Stall at most.
func (b *transportBody) Read(p []byte) (n int, err error) {
	if !b.begin() {
		return 0, errBodyClosed
	}
	defer b.end()
	defer func() {
		if v := recover(); v != nil { // nobody guards Transport's goroutine
			n, err = 0, b.fail(Visitor, fmt.Errorf("read body: panic: %v", v))
		}
	}()
	n, err = b.r.In.Body.Read(p)
	b.read += int64(n)
	return b.judge(n, err)
}

// judge looks at what was read, and keeps the account of it.
func (b *transportBody) judge(n int, err error) (int, error) {
	length := b.r.In.ContentLength
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return 0, b.fail(TooLarge, err)
	case b.r.MaxBody > 0 && b.read > b.r.MaxBody:
		return 0, b.fail(TooLarge, fmt.Errorf("body is over %d bytes", b.r.MaxBody))
	case err == nil:
		if b.read == length {
			b.whole.Store(true)
		}
		return n, nil
	case err != io.EOF: //nolint:errorlint // only the bare one is an end; a wrapped one is a break
		return n, b.fail(Visitor, fmt.Errorf("read body: %w", err))
	case b.read < length:
		return n, b.fail(Visitor, fmt.Errorf("read body: %w", io.ErrUnexpectedEOF))
	}
	for name := range b.trailer {
		b.trailer[name] = b.r.In.Trailer[name]
	}
	b.whole.Store(true)
	return n, io.EOF
}

// fail notes whose fault it is that the body ends here, unless nobody wants it
// any more.
func (b *transportBody) fail(kind string, err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return errBodyClosed
	}
	b.fault.CompareAndSwap(nil, &Error{Kind: kind, Err: err})
	return err
}

func (b *transportBody) begin() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.reading = true
	if b.patient != nil {
		b.patient.Stop()
	}
	if b.t.Stall > 0 {
		_ = b.rc.SetReadDeadline(time.Now().Add(b.t.Stall))
	}
	return true
}

func (b *transportBody) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = false
	if b.t.Stall > 0 && (!b.closed || b.complete()) {
		_ = b.rc.SetReadDeadline(time.Time{})
	}
	b.idle.Broadcast()
	switch {
	case b.closed || b.begun || b.t.Response == 0:
	case b.patient == nil:
		b.patient = time.AfterFunc(b.t.Response, b.lose)
	default:
		b.patient.Reset(b.t.Response)
	}
}

// lose gives up on an upstream that neither takes the body nor answers.
func (b *transportBody) lose() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.reading && !b.begun {
		b.late.Store(true)
		b.giveUp()
	}
}

// answered says that the head of the answer is there, or that none will be.
func (b *transportBody) answered() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.begun = true
	if b.patient != nil {
		b.patient.Stop()
	}
}

// Close is called by Transport, which needs no more of the body, and over
// HTTP/2 waits for a Read that is under way.
func (b *transportBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cut()
	return nil
}

// cut ends the body, and a Read that is under way. Over HTTP/1 net/http takes
// that for the visitor's departure.
func (b *transportBody) cut() {
	b.closed = true
	if b.reading && !b.complete() {
		if b.r.In.Context().Err() == nil {
			b.cutShort.Store(true)
		}
		_ = b.rc.SetReadDeadline(longAgo)
	}
}

// complete says whether nothing of the body is left to read.
func (b *transportBody) complete() bool { return b.whole.Load() }

// stop waits for a Read that is under way, after cutting it short.
func (b *transportBody) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.cut()
	for b.reading {
		b.idle.Wait()
	}
}
