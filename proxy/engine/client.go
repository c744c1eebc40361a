package engine

import (
	"net/http"
	"slices"
	"time"

	"gatehouse/internal/httpfield"
)

// A client is the visitor's side of one exchange, the same for both engines: it
// writes the answer, and holds the body of the request. One goroutine at a time
// uses it; the body has rules of its own.
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

// waitsForContinue reports whether the visitor sends the body only when asked to
// (RFC 9110, 10.1.1). Otherwise it deletes the field from the request.
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

// armWrite gives the visitor the stall timeout to take what is written next.
// Over HTTP/1 the deadline stays in the end: what net/http has not sent yet needs
// it, and before the next request net/http takes it back. Moving it costs as much
// as all of a session check, so one that is at most an eighth too late is left.
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

// resetHeaders takes the upstream's fields out of Header() again.
func (c *client) resetHeaders() {
	h := c.Header()
	for name := range h {
		if !slices.Contains(c.own, name) {
			delete(h, name)
		}
	}
}

// writeInterim sends a 1xx answer, whose fields are in Header(), and takes them
// out again. A 100 is not sent on: it is for the engine, which begins to read the
// body, which makes net/http send one to a visitor who waits for it.
func (c *client) writeInterim(status int) {
	if status != http.StatusContinue && c.r.In.ProtoAtLeast(1, 1) {
		c.armWrite()
		c.WriteHeader(status)
		c.disarmWrite()
	}
	c.resetHeaders()
}

// writeHead sends the head of the final answer, whose fields are in Header().
// Behind an answer in the middle of the body the connection is closed: net/http
// must not look for the next request in the rest of this one.
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

// write sends a part of the body.
func (c *client) write(b []byte) error {
	c.armWrite()
	_, err := c.Write(b)
	return err
}

// flush sends what net/http holds back; an error shows at the next write.
func (c *client) flush() {
	c.armWrite()
	_ = c.FlushError()
}

// addTrailers hands the answer's trailers to net/http, which sends them behind
// the body.
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
	c.flush() // or net/http might find a length for the body, and send no trailers
}

// abandonBody makes sure that nobody is kept waiting for a body that is not
// wanted: net/http would read it to its end, to find the next request behind
// it, and before that hold back the answer of whoever answers in our place.
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

// breakOff ends an answer that cannot be completed, so that it does not look
// whole: it panics with http.ErrAbortHandler. Where that is the upstream's fault,
// what has come of the answer is sent before, and Request.Broke is told.
func (c *client) breakOff(err error, upstream bool) {
	if upstream {
		c.flush()
		if c.r.Broke != nil && c.body.fault.Load() == nil && c.r.In.Context().Err() == nil && !c.r.Breaker.Broken() {
			c.r.Broke(&Error{Kind: Truncated, Err: err})
		}
	}
	panic(http.ErrAbortHandler)
}
