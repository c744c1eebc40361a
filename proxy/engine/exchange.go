package engine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"time"

	"gatehouse/internal/httpfield"
)

const (
	// smallBody is what is read whole before the upstream is asked. It fits
	// into the socket buffers of both sides, so writing it cannot block for
	// want of a reader of the answer.
	smallBody  = largeBuffer
	sureToFit  = 8 << 10 // bytes that an idle connection takes at once
	maxInterim = 100     // 1xx answers before the final one
)

// errStale says that a reused connection was dead, and that the request may
// be sent again.
var errStale = errors.New("idle connection was closed by the upstream")

// An exchange is one request and its answer.
type exchange struct {
	up *HTTP1
	w  http.ResponseWriter
	r  *Request
	rc http.ResponseController

	length    int64    // of the visitor's body; -1: unknown
	expect    bool     // the visitor waits for 100 Continue
	small     *[]byte  // holds the body, when it is small
	body      []byte   // that body
	trailers  []string // names of trailers to send
	handshake bool     // the request carries an Authorization that signs in the connection
	lane      *lane    // the visitor's own connections; nil: the visitor has none
	early     bool     // the answer came before the body was sent
	broken    bool     // the upstream broke off the answer
	own       []string // names that the caller has put into w.Header()
	ownRoom   [4]string

	c      *conn
	sender *sender // nil: the body was sent with the head, or has not been asked for

	offered time.Time // when the write deadline towards the visitor was set
	awaited time.Time // when the read deadline was
	eager   bool      // the visitor gets each byte at once
	piece   int64     // the most to splice at a time
}

// prepare does what can be done without the upstream: it refuses what is too
// large by its own word, and takes in a small body.
func (x *exchange) prepare() *Error {
	in := x.r.In
	x.handshake = binds(x.r.Header.Get("Authorization"))
	x.lane = x.up.private.of(x.r)
	x.r.once = x.up.o.NoReuse
	x.own = x.ownRoom[:0]
	for name := range x.w.Header() {
		x.own = append(x.own, name)
	}
	if in.Body != nil && in.Body != http.NoBody {
		x.length = in.ContentLength
	}
	if x.length == 0 {
		x.r.Header.Delete("Expect")
		return nil
	}
	if x.r.MaxBody > 0 && x.length > x.r.MaxBody {
		return &Error{Kind: TooLarge, Err: fmt.Errorf("body of %d bytes is over %d", x.length, x.r.MaxBody)}
	}
	x.r.once = x.r.once || mayLeaveBody(x.r.Method)
	x.trailers = trailerNames(x.r)
	if httpfield.HasToken(x.r.Header.Get("Expect"), "100-continue") {
		x.expect = in.ProtoAtLeast(1, 1)
		if !x.expect {
			x.r.Header.Delete("Expect") // RFC 9110, 10.1.1: HTTP/1.0 knows no 100
		}
	}
	if x.expect || x.length < 0 || x.length > smallBody {
		return nil
	}
	return x.readSmall()
}

func (x *exchange) readSmall() *Error {
	if x.r.kept != nil {
		x.body = x.r.kept
		return nil
	}
	x.small = x.up.borrow()
	buf := (*x.small)[:x.length]
	n := 0
	for n < len(buf) {
		m, err := x.readBody(buf[n:], x.up.o.Timeouts.Stall)
		n += m
		if e := x.checkBody(int64(n), err); e != nil {
			x.up.buffers.Put(x.small)
			return e
		}
	}
	x.body = buf
	return nil
}

// try sends the request over one connection and relays the answer. It panics
// with http.ErrAbortHandler when the answer breaks off.
func (x *exchange) try(idle bool) *Error {
	ctx := x.r.In.Context()
	c, reused, e := x.up.connect(x, idle)
	if e != nil {
		return e
	}
	c.begin()
	c.hadBody, c.pending = x.length != 0, false
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
		return x.verdict(err, reused)
	}
	if a.status == http.StatusSwitchingProtocols {
		done = true
		return x.upgrade(&a)
	}
	done = x.answer(&a)
	return nil
}

func (x *exchange) head(b []byte) ([]byte, *Error) {
	b, err := appendHead(b, x.r, x.length, x.trailers)
	if err != nil {
		return b, &Error{Kind: Invalid, Err: err}
	}
	return append(b, x.body...), nil
}

// ask writes the request and reads heads up to the final one (or 101), which
// has been put into w.Header() and passed Answer then.
func (x *exchange) ask() (answer, error) {
	if len(x.c.out) > sureToFit {
		x.c.writeWithin(x.up.o.Timeouts.Response)
	}
	_, err := x.c.nc.Write(x.c.out)
	half := err != nil
	// A failed write is not the verdict: the upstream may have answered first.
	switch {
	case err != nil || x.length == 0 || x.body != nil:
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
		a, err := x.judge(head)
		a.last = a.last || half || x.r.once
		if err != nil || a.status >= 200 || a.status == http.StatusSwitchingProtocols {
			return a, err
		}
		if size += len(head); size > maxHead {
			return answer{}, answerError("interim answers are over 64 KiB")
		}
		x.interim(a.status)
	}
	return answer{}, answerError("there are too many interim answers")
}

// readHead reads the head of an answer, and mends it where that is wanted.
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

// judge parses a head into w.Header() and shows it to Answer.
func (x *exchange) judge(head string) (answer, error) {
	h := x.w.Header()
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

// interim passes a 1xx on. A 100 is not: it is for us, who then read the
// body, which makes net/http send one to a visitor who waits for it.
func (x *exchange) interim(status int) {
	switch {
	case status == http.StatusContinue:
		if x.expect && x.sender == nil {
			x.startSender()
		}
	case x.r.In.ProtoAtLeast(1, 1):
		x.offer()
		x.w.WriteHeader(status)
	}
	x.forget()
}

// forget takes the upstream's fields out of w.Header() again.
func (x *exchange) forget() {
	h := x.w.Header()
	for name := range h {
		if !slices.Contains(x.own, name) {
			delete(h, name)
		}
	}
}

// unread tells whether there is more of the visitor's body to come.
func (x *exchange) unread() bool {
	return x.length != 0 && x.body == nil && (x.sender == nil || !x.sender.whole.Load())
}

// leaveBody makes sure that nobody is kept waiting for a body that is not
// wanted: net/http would read it to its end, to find the next request behind
// it, and before that hold back the answer of whoever answers in our place.
func (x *exchange) leaveBody() {
	if x.unread() && x.r.In.ProtoMajor == 1 {
		x.w.Header()["Connection"] = []string{"close"}
		leaveBody(x.r.In.Context())
		_ = x.rc.SetReadDeadline(time.Now().Add(linger))
	}
}

// keepBody leaves a body that was read in to whoever tries next.
func (x *exchange) keepBody() {
	if x.small != nil {
		x.r.kept = bytes.Clone(x.body)
	}
}

// drop ends an exchange whose connection cannot be used any more. It waits
// for the sender, so that nobody touches the visitor's body later.
func (x *exchange) drop() {
	x.up.leaving.forget(x.c)
	x.r.Breaker.Arm(nil)
	if x.sender != nil {
		x.sender.stop()
	}
	x.c.close()
	x.c.shrink(&x.up.buffers)
}

// repeatable reports whether the request may be sent again, and can be (RFC
// 9110, 9.2.2).
func (x *exchange) repeatable() bool {
	return (x.length == 0 || x.body != nil) && idempotent(x.r.Method)
}

// verdict says why there is no answer, and cleans w.Header().
func (x *exchange) verdict(err error, reused bool) *Error {
	x.forget()
	var e *Error
	var bad answerError
	ctx := x.r.In.Context()
	switch {
	case x.sender != nil && x.sender.fault.Load() != nil:
		return x.sender.fault.Load()
	case errors.As(err, &e):
		return e
	case errors.As(err, &bad):
		return &Error{Kind: Protocol, Err: err}
	case x.r.Breaker.Broken():
		return &Error{Kind: Visitor, Err: errBroken}
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
