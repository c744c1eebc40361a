package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
)

const (
	// smallBody is the size up to which a body is read before the upstream is
	// asked, and sent together with the head. It fits into the socket buffers of
	// both sides, so writing it cannot block on an upstream that does not read on
	// before its answer is read.
	smallBody  = largeBuffer
	sureToFit  = 8 << 10 // bytes that an idle connection takes at once
	maxInterim = 100     // 1xx answers before the final one
)

// errStale means that a reused connection was dead, and that the request may be
// sent again.
var errStale = errors.New("idle connection was closed by the upstream")

// An exchange is one request over a connection of HTTP1 and its answer. It may try a
// second connection, but only while nothing of an answer has arrived.
type exchange struct {
	client
	up *HTTP1

	expect    bool     // the visitor waits for 100 Continue
	small     []byte   // the body, if it is small and has been read
	buffer    *[]byte  // holds small, and is given back in the end; nil: none is borrowed
	trailers  []string // names of trailers to send
	handshake bool     // NTLM or Negotiate: the request or its answer signs in the connection
	lane      *lane    // the visitor's own connections; nil: the visitor has none
	early     bool     // the answer came before the body was sent
	broken    bool     // the upstream broke off the answer

	c      *conn
	sender *sender // nil: the body was sent with the head, or has not been asked for

	awaitsMore bool  // the answer is flushed before each wait for more of it
	piece      int64 // the most to splice at a time
}

// prepare does what needs no connection: it refuses a body whose Content-Length is over
// the limit, and reads a small body. So a slow visitor occupies no connection while they
// send a small form, and the request can be repeated.
func (x *exchange) prepare(w http.ResponseWriter, r *Request) *Error {
	e := x.init(w, r, x.up.o.Timeouts.Stall)
	x.handshake = binds(r.Header.Get("Authorization"))
	x.lane = x.up.private.of(r)
	x.expect = x.waitsForContinue()
	r.once = x.up.o.NoReuse
	if e != nil || x.body.length == 0 {
		return e
	}
	r.once = r.once || mayLeaveBody(r.Method)
	x.trailers = trailerNames(r)
	if x.expect || x.body.length < 0 || x.body.length > smallBody {
		return nil
	}
	return x.readSmall()
}

// readSmall reads the whole body into a borrowed buffer, or takes the one that an earlier
// upstream has left in Request.kept. An Error is the visitor's fault.
func (x *exchange) readSmall() *Error {
	if x.r.kept != nil {
		x.small = x.r.kept
		x.body.whole.Store(true)
		return nil
	}
	x.buffer = x.up.borrow()
	x.small = (*x.buffer)[:0]
	for x.body.unread() {
		n, _ := x.body.read((*x.buffer)[len(x.small):x.body.length])
		if e := x.body.fault.Load(); e != nil {
			x.up.buffers.Put(x.buffer)
			return e
		}
		x.small = x.small[:len(x.small)+n]
	}
	return nil
}

// try sends the request over one connection and the answer to the visitor. idle allows an
// idle connection. An Error means that nothing of the final answer has been sent; it is
// errStale if the request may be sent again. After the head, a failure is a panic with
// http.ErrAbortHandler.
//
// On every path, panics included, the connection is either back in a pool or dropped, and
// the sender has ended.
func (x *exchange) try(idle bool) *Error {
	ctx := x.r.In.Context()
	c, reused, e := x.up.connect(x, idle)
	if e != nil {
		return e
	}
	c.begin()
	c.hadBody, c.pending = x.body.length != 0, false
	x.c = c
	x.up.leaving.watch(ctx, c)
	x.r.Breaker.Arm(c.cutFunc)
	done := false
	defer func() {
		if !done {
			x.drop() // an error, or a panic on its way
		}
	}()
	if c.out, e = x.head(c.out[:0]); e != nil {
		return e
	}
	a, err := x.ask()
	if err != nil {
		return x.classifyError(err, reused)
	}
	if a.status == http.StatusSwitchingProtocols {
		done = true
		return x.upgrade(&a)
	}
	done = x.answer(&a)
	return nil
}

// head appends the head of the request to b, and a small body.
func (x *exchange) head(b []byte) ([]byte, *Error) {
	b, err := appendHead(b, x.r, x.body.length, x.trailers)
	if err != nil {
		return b, &Error{Kind: Invalid, Err: err}
	}
	return append(b, x.small...), nil
}

// ask writes the request and reads heads until that of the final answer or a 101. The
// fields of that one are then in Header() and have been accepted by Request.Answer. Up to
// maxInterim interim answers are forwarded to the visitor before.
//
// With Expect: 100-continue the body is sent once the upstream sends a 100, or nothing
// within Continue. If it answers otherwise, the body is never asked for.
func (x *exchange) ask() (answer, error) {
	if len(x.c.out) > sureToFit {
		x.c.writeWithin(x.up.o.Timeouts.Response)
	}
	_, err := x.c.nc.Write(x.c.out)
	half := err != nil
	// A failed write decides nothing: the upstream may have answered before it
	// closed the connection.
	switch {
	case err != nil || x.bodyInHead():
		x.c.requestSent(x.up.o.Timeouts.Response)
	case x.expect:
		x.c.readWithin(x.up.o.Continue)
		if err := x.c.fill(); errors.Is(err, os.ErrDeadlineExceeded) && x.r.In.Context().Err() == nil {
			x.startSender()
		} else {
			x.c.requestSent(x.up.o.Timeouts.Response)
		}
	default:
		x.startSender()
	}
	size := 0
	for range maxInterim + 1 {
		head, err := x.readHead()
		if err != nil {
			return answer{}, err
		}
		a, err := x.accept(head)
		a.last = a.last || half || x.r.once
		if err != nil || a.status >= 200 || a.status == http.StatusSwitchingProtocols {
			return a, err
		}
		if size += len(head); size > maxHead {
			return answer{}, answerError("interim answers are over 64 KiB")
		}
		if a.status == http.StatusContinue && x.expect && x.sender == nil {
			x.startSender()
		}
		x.writeInterim(a.status)
	}
	return answer{}, answerError("there are too many interim answers")
}

// readHead reads the head of an answer, and repairs it if the upstream is lenient.
func (x *exchange) readHead() (string, error) {
	if !x.up.o.Lenient {
		return x.c.head(headEnd)
	}
	head, err := x.c.head(lenientEnd)
	if err != nil {
		return "", err
	}
	return mendHead(head, x.up.dropped)
}

// accept parses a head into Header() and checks it. Request.Answer is called last, for
// answers only that are valid in all other respects.
func (x *exchange) accept(head string) (answer, error) {
	h := x.Header()
	a, err := parseAnswer(head, x.r.Method, x.own, h)
	if err != nil {
		return a, err
	}
	if a.status == http.StatusSwitchingProtocols {
		if e := x.mayUpgrade(&a); e != nil {
			return a, e
		}
	}
	if a.challenge && binds(h["Www-Authenticate"]) {
		x.handshake, x.c.pending = true, bindsWithToken(h["Www-Authenticate"])
	}
	if a.status >= 200 {
		x.early = x.sender != nil && !x.sender.sent.Load()
		if err := x.peekChunks(&a); err != nil {
			return a, err
		}
	}
	if x.r.Answer != nil {
		if err := x.r.Answer(a.status, h); err != nil {
			return a, &Error{Kind: Refused, Err: err}
		}
	}
	return a, nil
}

// keepBody copies a small body into Request.kept, for the next upstream that is tried: the
// visitor sends it only once, and the buffer goes back to its pool.
func (x *exchange) keepBody() {
	if x.buffer != nil {
		x.r.kept = bytes.Clone(x.small)
	}
}

// drop closes a connection that cannot be used again. It waits for the sender:
// nothing may read the visitor's body after Forward has returned.
func (x *exchange) drop() {
	x.up.leaving.forget(x.c)
	x.r.Breaker.Arm(nil)
	if x.sender != nil {
		x.sender.stop()
	}
	x.c.close()
	x.c.shrink(&x.up.buffers)
}

// repeatable reports whether the request may be sent again: its body is still known and
// its method is idempotent (RFC 9110, 9.2.2).
func (x *exchange) repeatable() bool { return x.bodyInHead() && idempotent(x.r.Method) }

// bodyInHead reports whether the whole request is written at once, without a sender:
// there is no body, or a small one.
func (x *exchange) bodyInHead() bool { return x.body.length == 0 || x.small != nil }

// classifyError returns why there is no answer, and resets the headers. reused means that
// the connection has served another request before. The order of the cases matters: the
// visitor's fault usually causes an error of the upstream as well, and must win.
func (x *exchange) classifyError(err error, reused bool) *Error {
	x.resetHeaders()
	var e *Error
	var bad answerError
	ctx := x.r.In.Context()
	switch {
	case x.body.fault.Load() != nil:
		return x.body.fault.Load()
	case errors.As(err, &e):
		return e
	case errors.As(err, &bad):
		return &Error{Kind: Protocol, Err: err}
	case x.r.Breaker.Broken():
		return &Error{Kind: VisitorFault, Err: errBroken}
	case ctx.Err() != nil:
		return gone(ctx)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return &Error{Kind: Timeout, Err: fmt.Errorf("no answer within %v", x.up.o.Timeouts.Response)}
	case reused && !x.c.heard && x.repeatable():
		return &Error{Kind: Aborted, Err: errStale}
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	}
	return &Error{Kind: Aborted, Err: fmt.Errorf("read answer: %w", err)}
}
