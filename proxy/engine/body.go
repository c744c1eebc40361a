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

// linger limits each wait for more of a body once the answer is complete.
const linger = 2 * time.Second

// A requestBody reads the body of the visitor's request and enforces its rules: it is not
// larger than Request.MaxBody, it is as long as its Content-Length says, and the visitor
// keeps sending. One goroutine reads; any goroutine may call the other methods.
//
// The read deadline of the visitor's connection is set here and nowhere else. After the
// handler has returned, net/http reads the rest of the body to find the next request
// behind it. So while a part of the body is unread, a deadline must be set when the handler
// returns, or the visitor could hold the connection for good.
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

// errBodyClosed is the error of reads after close. It is nobody's fault.
var errBodyClosed = errors.New("the request is over")

// init is called once, before anything else. It returns a TooLarge Error if the
// Content-Length is over Request.MaxBody, before anything has been read.
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

// read reads like io.Reader, and returns io.EOF together with the last bytes; further
// calls return it again. The visitor has the stall timeout to send something. Every
// error except io.EOF and errBodyClosed is the visitor's fault and is recorded in fault.
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

// check returns what is wrong with the bytes read so far or with the last read, as an
// error and its kind; a nil error means that nothing is.
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

// fail records that the body ended by the visitor's fault, and returns err. The first
// fault counts. After close it records nothing and returns errBodyClosed, because close
// itself makes the read under way fail.
func (b *requestBody) fail(kind string, err error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		return errBodyClosed
	}
	b.fault.CompareAndSwap(nil, &Error{Kind: kind, Err: err})
	return err
}

// panicked turns a panic during a read into the visitor's fault. It is for goroutines on
// which nothing else recovers: a panic there would end the process.
func (b *requestBody) panicked(v any) error {
	return b.fail(VisitorFault, fmt.Errorf("read body: panic: %v", v))
}

// begin marks the begin of a read and sets its deadline. It reports false after close.
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

// arm sets the read deadline; the caller holds b.mu. Moving a deadline costs as much as a
// whole session check, so one that is at most an eighth too late stays.
func (b *requestBody) arm() {
	if now := time.Now(); b.stall > 0 && now.Sub(b.armed) >= b.stall/8 {
		b.armed = now
		_ = b.visitor.SetReadDeadline(now.Add(b.stall + b.stall/8))
	}
}

// end marks the end of a read. Over HTTP/2 it clears the deadline, which would otherwise
// end the stream although nobody is waiting for the visitor.
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

// hurry lowers the stall timeout to d for later reads and for the one under way.
func (b *requestBody) hurry(d time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.stall, b.armed = d, time.Time{}
	if b.reading {
		b.arm()
	}
}

// close fails every later read and interrupts the one under way.
func (b *requestBody) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	if b.reading && !b.whole.Load() {
		b.interrupted = b.interrupted || b.in.Context().Err() == nil
		_ = b.visitor.SetReadDeadline(longAgo)
	}
}

// stop closes the body and returns when no read is under way any more. From then on
// nothing touches the visitor's connection, so the handler may return.
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

// leave limits to linger how long net/http looks for the end of a body that is left
// unread. It must be the last deadline that is set.
func (b *requestBody) leave() {
	b.mu.Lock()
	defer b.mu.Unlock()
	_ = b.visitor.SetReadDeadline(time.Now().Add(linger))
}
