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

// linger bounds each wait for the rest of a body once the answer is complete.
const linger = 2 * time.Second

// A requestBody reads the body of the visitor's request and enforces its rules:
// it is not over Request.MaxBody, it is as long as its Content-Length says, and
// the visitor keeps sending. One goroutine reads; any may call the other methods.
//
// The read deadline is set here and nowhere else. net/http keeps reading a body
// that the handler has left, to find the next request behind it: while some of
// the body is unread, a deadline must be set when the handler returns.
type requestBody struct {
	visitor Visitor
	in      *http.Request
	length  int64 // 0: there is no body; -1: unknown
	max     int64 // 0: no limit

	total int64                 // bytes read so far
	whole atomic.Bool           // the body has been read to its end
	fault atomic.Pointer[Error] // why the body broke off, where that is the visitor's fault

	mu          sync.Mutex // guards what follows: a deadline that interrupts must have the last word
	stall       time.Duration
	armed       time.Time // when the deadline was set; zero: none is
	reading     bool
	closed      bool
	interrupted bool          // a read was: over HTTP/1 net/http ends the request's context then
	ended       chan struct{} // closed at the end of the read that stop waits for; nil: it waits for none
}

// errBodyClosed is returned by a read of a body that nobody wants any more.
var errBodyClosed = errors.New("the request is over")

// init looks at the head of the request. It refuses a body that is too large by
// its own Content-Length.
func (b *requestBody) init(v Visitor, r *Request, stall time.Duration) *Error {
	b.visitor, b.in, b.max, b.stall = v, r.In, r.MaxBody, stall
	if r.In.Body != nil && r.In.Body != http.NoBody {
		b.length = r.In.ContentLength
	}
	if b.max > 0 && b.length > b.max {
		return &Error{Kind: TooLarge, Err: fmt.Errorf("body of %d bytes is over %d", b.length, b.max)}
	}
	return nil
}

// unread reports whether more of the body is to come.
func (b *requestBody) unread() bool { return b.length != 0 && !b.whole.Load() }

// read is io.Reader's, and may be called once more after the end. The visitor
// has the stall timeout to send something. Every error but io.EOF and
// errBodyClosed is the visitor's fault, and in fault.
func (b *requestBody) read(p []byte) (int, error) {
	if b.whole.Load() {
		return 0, io.EOF
	}
	if !b.begin() {
		return 0, errBodyClosed
	}
	defer b.end()
	n, err := b.in.Body.Read(p)
	b.total += int64(n)
	if kind, err := b.check(err); err != nil {
		return 0, b.fail(kind, err)
	}
	if err == nil && b.total != b.length {
		return n, nil
	}
	b.whole.Store(true)
	return n, io.EOF
}

// check judges what has been read so far, and the error of the last read.
func (b *requestBody) check(err error) (kind string, _ error) {
	switch _, tooLarge := errors.AsType[*http.MaxBytesError](err); {
	case tooLarge:
		return TooLarge, err
	case b.max > 0 && b.total > b.max:
		return TooLarge, fmt.Errorf("body is over %d bytes", b.max)
	case b.length >= 0 && b.total > b.length:
		return VisitorFault, fmt.Errorf("body is longer than its Content-Length of %d", b.length)
	case err != nil && err != io.EOF: //nolint:errorlint // only the bare one is an end; a wrapped one is a break
		return VisitorFault, fmt.Errorf("read body: %w", err)
	case err != nil && b.total < b.length:
		return VisitorFault, fmt.Errorf("read body: %w", io.ErrUnexpectedEOF)
	}
	return "", nil
}

// fail records whose fault it is that the body ends here, unless nobody wants
// it any more.
func (b *requestBody) fail(kind string, err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return errBodyClosed
	}
	b.fault.CompareAndSwap(nil, &Error{Kind: kind, Err: err})
	return err
}

// panicked turns the panic of a read into the visitor's fault. It is for
// goroutines that nobody guards.
func (b *requestBody) panicked(v any) error {
	return b.fail(VisitorFault, fmt.Errorf("read body: panic: %v", v))
}

func (b *requestBody) begin() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return false
	}
	b.reading = true
	b.arm()
	return true
}

// arm sets the read deadline. Moving it costs as much as all of a session check,
// so one that is at most an eighth too late is left.
func (b *requestBody) arm() {
	if now := time.Now(); b.stall > 0 && now.Sub(b.armed) >= b.stall/8 {
		b.armed = now
		_ = b.visitor.SetReadDeadline(now.Add(b.stall + b.stall/8))
	}
}

// end takes the deadline back over HTTP/2, where it would end the body although
// nobody waits for more of it.
func (b *requestBody) end() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reading = false
	if b.in.ProtoMajor > 1 && !b.closed && !b.armed.IsZero() {
		b.armed = time.Time{}
		_ = b.visitor.SetReadDeadline(time.Time{})
	}
	if b.ended != nil {
		close(b.ended)
		b.ended = nil
	}
}

// hurry gives the visitor no more than d for each read from now on, and for the
// one that is under way.
func (b *requestBody) hurry(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stall, b.armed = d, time.Time{}
	if b.reading {
		b.arm()
	}
}

// close fails every read to come, and interrupts the one that is under way.
func (b *requestBody) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.reading && !b.whole.Load() {
		b.interrupted = b.interrupted || b.in.Context().Err() == nil
		_ = b.visitor.SetReadDeadline(longAgo)
	}
}

// stop closes the body, and returns when nobody reads it any more.
func (b *requestBody) stop() {
	b.close()
	b.mu.Lock()
	if !b.reading {
		b.mu.Unlock()
		return
	}
	if b.ended == nil {
		b.ended = make(chan struct{})
	}
	ended := b.ended
	b.mu.Unlock()
	<-ended
}

// wasInterrupted reports whether close interrupted a read.
func (b *requestBody) wasInterrupted() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.interrupted
}

// leave bounds how long net/http looks for the end of a body that is left
// unread.
func (b *requestBody) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	_ = b.visitor.SetReadDeadline(time.Now().Add(linger))
}
