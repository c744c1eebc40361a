package engine

import (
	"net/http"
	"slices"
	"time"

	"gatehouse/internal/httpfield"
)

// A client is the visitor's side of one exchange, shared by HTTP1 and TransportUpstream:
// it writes the answer and holds the body of the request. One goroutine at a time uses
// it, except for body, see requestBody.
type client struct {
	Visitor
	w     http.ResponseWriter // as the caller gave it
	r     *Request
	body  requestBody
	stall time.Duration // what the visitor has to take what is written; 0: no bound
	armed time.Time     // when the write deadline was set; zero: none is

	own     []string // names that the caller has put into Header()
	ownRoom [4]string

	controlled controlled // the Visitor, where the writer is none itself
}

// init is called once, before anything else.
func (c *client) init(w http.ResponseWriter, r *Request, stall time.Duration) *Error {
	if v, ok := w.(Visitor); ok {
		c.Visitor = v
	} else {
		c.controlled = controlled{ResponseWriter: w, ResponseController: *http.NewResponseController(w), ctx: r.In.Context()}
		c.Visitor = &c.controlled
	}
	c.w, c.r, c.stall, c.own = w, r, stall, c.ownRoom[:0]
	for name := range w.Header() {
		c.own = append(c.own, name)
	}
	return c.body.init(c.Visitor, r, stall)
}

// waitsForContinue reports whether the visitor sends the body only after a 100 (Expect:
// 100-continue, RFC 9110, 10.1.1). It deletes the field where it has no meaning: there is
// no body, or the visitor speaks HTTP/1.0.
func (c *client) waitsForContinue() bool {
	expect := c.r.Header.Get("Expect")
	switch {
	case expect == nil:
	case c.body.length == 0 || !c.r.In.ProtoAtLeast(1, 1): // HTTP/1.0 knows no 100
		c.r.Header.Delete("Expect")
	default:
		return httpfield.HasToken(expect, "100-continue")
	}
	return false
}

// armWrite gives the visitor the stall timeout to accept what is written next. Over
// HTTP/1 the deadline stays after the last write: net/http still has to send what it
// buffers, and clears the deadline before the next request. Moving it costs as much as a
// whole session check, so one that is at most an eighth too late stays.
func (c *client) armWrite() {
	if now := time.Now(); c.stall > 0 && now.Sub(c.armed) >= c.stall/8 {
		c.armed = now
		_ = c.SetWriteDeadline(now.Add(c.stall + c.stall/8))
	}
}

// disarmWrite clears the write deadline while no write is pending. It is called
// before each wait for the upstream. Over HTTP/1 a deadline that passes meanwhile
// harms nobody, because armWrite sets another one.
func (c *client) disarmWrite() {
	if c.r.In.ProtoMajor == 1 || c.armed.IsZero() {
		return
	}
	c.armed = time.Time{}
	_ = c.SetWriteDeadline(time.Time{})
}

// resetHeaders removes the upstream's fields from Header(), so that an error page, or the
// next attempt, begins with the caller's own.
func (c *client) resetHeaders() {
	h := c.Header()
	for name := range h {
		if !slices.Contains(c.own, name) {
			delete(h, name)
		}
	}
}

// writeInterim sends a 1xx answer whose fields are in Header(), and removes them
// afterwards. A 100 is not forwarded: the engine begins to read the body then, and that
// makes net/http send one to a visitor who waits for it. HTTP/1.0 has no 1xx.
func (c *client) writeInterim(status int) {
	if status != http.StatusContinue && c.r.In.ProtoAtLeast(1, 1) {
		c.armWrite()
		c.WriteHeader(status)
		c.disarmWrite()
	}
	c.resetHeaders()
}

// writeHead sends the head of the final answer, whose fields are in Header(). If a part of
// the body is unread, the connection is closed after the answer: net/http must not look
// for the next request in the rest of this one.
func (c *client) writeHead(status int, reason string) {
	h := c.Header()
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // or net/http would guess one
	}
	if c.r.In.ProtoMajor == 1 {
		if c.body.unread() {
			c.closeBehind()
		}
		if reason != http.StatusText(status) {
			c.SetReason(status, reason)
		}
	}
	c.armWrite()
	c.WriteHeader(status)
}

// write sends a part of the body, within the stall timeout.
func (c *client) write(b []byte) error {
	c.armWrite()
	_, err := c.Write(b)
	return err
}

// flush sends what net/http has buffered. An error appears at the next write.
func (c *client) flush() {
	c.armWrite()
	_ = c.FlushError()
}

// addTrailers passes the answer's trailers to net/http, which sends them after the body.
// Fields that must not be trailers are removed (neverTrailer).
func (c *client) addTrailers(t http.Header) {
	for name := range t {
		if neverTrailer(name) {
			delete(t, name)
		}
	}
	if len(t) == 0 {
		return
	}
	if c.r.Trailer != nil {
		c.r.Trailer(t)
	}
	h := c.Header()
	for name, values := range t {
		h[http.TrailerPrefix+name] = values
	}
	c.flush() // else net/http may set a Content-Length, and send no trailers
}

// abandonBody gives up an unread body, before the caller answers with an error page. Over
// HTTP/1, net/http would otherwise read it to its end to find the next request behind it,
// and hold back the error page until then.
func (c *client) abandonBody() {
	if c.body.unread() && c.r.In.ProtoMajor == 1 {
		c.closeBehind()
		c.body.leave()
	}
}

// closeBehind makes the answer the last one of an HTTP/1 connection.
func (c *client) closeBehind() {
	c.Header()["Connection"] = []string{"close"}
	c.AbandonBody()
}

// breakOff ends an answer that cannot be completed: it panics with http.ErrAbortHandler,
// so that the visitor sees a broken connection and not a complete answer. If the upstream
// is at fault, it first sends what has arrived, and calls Request.Broke with an Error of
// kind Truncated unless the request had ended anyway.
func (c *client) breakOff(err error, upstream bool) {
	if upstream {
		c.flush()
		if c.r.Broke != nil && c.body.fault.Load() == nil && c.r.In.Context().Err() == nil && !c.r.Breaker.Broken() {
			c.r.Broke(&Error{Kind: Truncated, Err: err})
		}
	}
	panic(http.ErrAbortHandler)
}
