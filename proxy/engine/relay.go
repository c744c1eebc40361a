package engine

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"time"
)

// answer sends the final answer to the visitor and gives the connection
// back, if it can be used again. It tells whether it has disposed of the
// connection, and panics when the answer cannot be completed.
func (x *exchange) answer(a *answer) (done bool) {
	x.c.answerBegun()
	h := x.w.Header()
	if x.unread() {
		// The body is not read to its end. net/http would read on beside the
		// sender to find the next request, unless there is none.
		a.last = a.last || x.sender == nil
		if x.r.In.ProtoMajor == 1 {
			h["Connection"] = []string{"close"}
			leaveBody(x.r.In.Context())
		}
	}
	if _, ok := h["Content-Type"]; !ok {
		h["Content-Type"] = nil // or net/http would guess one
	}
	x.eager = a.stream || a.chunked || a.length == untilClose || a.length > largeBuffer
	if a.reason != http.StatusText(a.status) && x.r.In.ProtoMajor == 1 {
		sayReason(x.r.In.Context(), a.status, a.reason)
	}
	x.offer()
	x.w.WriteHeader(a.status)
	if err := x.relay(a); err != nil {
		x.breakOff(err)
	}
	return x.release(a)
}

// breakOff ends an answer that cannot be completed: what has come is sent, and
// the visitor's connection broken off, so that it does not look whole.
func (x *exchange) breakOff(err error) {
	if x.broken {
		x.flush()
		atFault := x.sender == nil || x.sender.fault.Load() == nil // else it was cut because of the visitor's body
		if atFault && x.r.Broke != nil && x.r.In.Context().Err() == nil && !x.r.Breaker.Broken() {
			x.r.Broke(&Error{Kind: Truncated, Err: err})
		}
	}
	panic(http.ErrAbortHandler)
}

// release gives the connection back to the pool if nothing speaks against it.
func (x *exchange) release(a *answer) (done bool) {
	switch {
	case x.sender == nil && x.unread():
		x.leaveBody()
	case x.sender != nil:
		x.flush()
		if a.last || !x.sender.complete() {
			return false
		}
	}
	// A cut that comes too late may have left its deadline behind.
	if a.last || x.early || !x.up.leaving.forget(x.c) || !x.r.Breaker.Arm(nil) {
		return false
	}
	if x.c.r != x.c.w { // bytes after the end belong to no answer
		x.up.pool.noise()
		return false
	}
	x.c.shrink(&x.up.buffers)
	return x.giveBack()
}

// giveBack puts the connection where the next request finds it that may use
// it. One that was signed in, or is about to be, is the visitor's own.
func (x *exchange) giveBack() bool {
	if !x.handshake && x.lane == nil {
		x.up.pool.put(x.c)
		return true
	}
	if x.lane == nil {
		x.lane = x.up.private.open(x.r)
	}
	if x.lane == nil || x.up.pool.isNoisy() {
		return false
	}
	x.up.private.put(x.lane, x.c)
	return true
}

// relay copies the body.
func (x *exchange) relay(a *answer) error {
	switch {
	case a.chunked:
		return x.relayChunks()
	case a.length > 0:
		return x.relayLength(a)
	case a.length == untilClose:
		return x.relayRest()
	}
	return nil
}

// relayLength copies a body of known length, from socket to socket where
// that can be done.
func (x *exchange) relayLength(a *answer) error {
	splice := x.canSplice(a)
	x.piece = x.firstPiece()
	for left := a.length; left > 0; {
		b := x.c.buffered()
		if len(b) == 0 {
			if splice {
				n, err := x.splice(left)
				left -= n
				if err != nil {
					x.broken = errors.Is(err, io.ErrUnexpectedEOF)
					return err
				}
				if n > 0 {
					continue
				}
			}
			if err := x.more(); err != nil {
				return unexpected(err)
			}
			continue
		}
		b = b[:min(int64(len(b)), left)]
		x.c.r += len(b)
		left -= int64(len(b))
		if err := x.write(b); err != nil {
			return err
		}
	}
	return nil
}

// relayRest copies up to the end of the connection.
func (x *exchange) relayRest() error {
	for {
		if b := x.c.buffered(); len(b) > 0 {
			x.c.r += len(b)
			if err := x.write(b); err != nil {
				return err
			}
		}
		if err := x.more(); err != nil {
			if err == io.EOF { //nolint:errorlint // only the bare one is an end
				return nil
			}
			return err
		}
	}
}

// relayChunks copies a chunked body, and its trailers.
func (x *exchange) relayChunks() error {
	d := dechunker{lenient: x.up.o.Lenient}
	for {
		data, used, err := d.step(x.c.buffered())
		x.c.r += used
		switch {
		case len(data) > 0:
			err = x.write(data)
		case errors.Is(err, errMore):
			err = unexpected(x.more())
		case err == io.EOF: //nolint:errorlint // only the bare one is an end
			return x.relayTrailers(string(d.trailer))
		default:
			x.broken = true
		}
		if err != nil {
			return err
		}
	}
}

// relayTrailers hands the trailers to net/http, which sends them behind the
// body.
func (x *exchange) relayTrailers(lines string) error {
	if lines == "" {
		return nil
	}
	t := http.Header{}
	err := eachField(lines, func(name, value string) error {
		if !neverTrailer(name) {
			t[name] = append(t[name], value)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if x.r.Trailer != nil {
		x.r.Trailer(t)
	}
	h := x.w.Header()
	for name, values := range t {
		h[http.TrailerPrefix+name] = values
	}
	x.flush() // or net/http might find a length for the body, and send no trailers
	return nil
}

// peekChunks looks through what is there of a chunked body before anything
// is sent. A malformed one can still be refused then, and one that is there
// as a whole gets a length.
func (x *exchange) peekChunks(a *answer) error {
	if !a.chunked {
		return nil
	}
	d := dechunker{lenient: x.up.o.Lenient}
	var length int64
	for p := x.c.buffered(); ; {
		data, used, err := d.step(p)
		p = p[used:]
		length += int64(len(data))
		switch {
		case err == nil:
		case errors.Is(err, errMore):
			return nil
		case err == io.EOF: //nolint:errorlint // only the bare one is an end
			if len(d.trailer) == 0 {
				x.setLength(length)
			}
			return nil
		default:
			return err
		}
	}
}

// setLength tells the visitor the length of a body that came in chunks.
func (x *exchange) setLength(n int64) {
	if !slices.Contains(x.own, "Content-Length") {
		x.w.Header()["Content-Length"] = []string{strconv.FormatInt(n, 10)}
	}
}

// more waits for the upstream, as long as it takes. The visitor gets what is
// there before, unless the body is small and its length known.
func (x *exchange) more() error {
	if x.eager {
		x.flush()
	}
	x.rest()
	x.c.readWithin(0)
	x.c.enlarge(&x.up.buffers)
	err := x.c.fill()
	x.broken = err != nil
	return err
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (x *exchange) write(b []byte) error {
	x.offer()
	_, err := x.w.Write(b)
	return err
}

// flush sends what net/http holds back; an error shows at the next write.
func (x *exchange) flush() {
	x.offer()
	_ = x.rc.Flush()
}

// rest takes the deadline back while nothing is offered: over HTTP/2 it would
// end the stream although nobody is writing.
func (x *exchange) rest() {
	if x.r.In.ProtoMajor == 1 || x.offered.IsZero() {
		return
	}
	x.offered = time.Time{}
	_ = x.rc.SetWriteDeadline(time.Time{})
}

// offer gives the visitor so long to take what is written next. The deadline
// is left behind in the end: what net/http has not sent yet needs it, and
// before the next request net/http takes it back.
func (x *exchange) offer() {
	stall := x.up.o.Timeouts.Stall
	if now := time.Now(); stall > 0 && now.Sub(x.offered) >= stall/8 {
		x.offered = now
		_ = x.rc.SetWriteDeadline(now.Add(stall + stall/8))
	}
}
