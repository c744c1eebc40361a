package engine

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
)

// answer sends the final answer to the visitor. done reports whether the connection is
// back in a pool; otherwise the caller has to drop it. answer panics with
// http.ErrAbortHandler if the answer cannot be completed, because its head has been
// sent by then: net/http then breaks the connection off, and no visitor takes half an
// answer for a whole one.
func (x *exchange) answer(a *answer) (done bool) {
	x.c.answerBegun()
	// If the rest of the body is never sent, the upstream would take the next request
	// for it.
	a.last = a.last || x.sender == nil && x.body.unread()
	x.awaitsMore = a.stream || a.chunked || a.length == untilClose || a.length > largeBuffer
	x.writeHead(a.status, a.reason)
	if err := x.copyBody(a); err != nil {
		x.breakOff(err, x.broken)
	}
	return x.release(a)
}

// release returns the connection to its pool if it can be reused, and reports whether
// it has. It can only if the request has been sent whole, the answer read whole, and
// nothing has cut the connection. The order matters: the watch over the visitor and the
// Breaker must be off before the pool can give the connection to another request, or
// they could cut that one.
func (x *exchange) release(a *answer) (done bool) {
	switch {
	case x.sender == nil && x.body.unread():
		x.abandonBody()
	case x.sender != nil:
		x.flush()
		if a.last || !x.sender.complete() {
			return false
		}
	}
	// A cut that came too late for this exchange has left its deadline on the
	// connection: it must not be reused.
	if a.last || x.early || !x.up.leaving.forget(x.c) || !x.r.Breaker.Arm(nil) {
		return false
	}
	if x.c.r != x.c.w { // no request asked for the bytes behind the end of the answer
		x.up.pool.noise()
		return false
	}
	x.c.shrink(&x.up.buffers)
	return x.giveBack()
}

// giveBack puts the connection into the pool and reports true. A connection that is
// signed in by NTLM or Negotiate, or about to be, speaks for one person: it goes into
// the visitor's own lane. If there can be no lane, giveBack reports false and the
// connection has to be closed.
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

// copyBody sends the body of the answer, framed as RFC 9112, 6.3 has it. Its error is
// the visitor's unless x.broken is set.
func (x *exchange) copyBody(a *answer) error {
	switch {
	case a.chunked:
		return x.copyChunks()
	case a.length > 0:
		return x.copyLength(a)
	case a.length == untilClose:
		return x.copyRest()
	}
	return nil
}

// copyLength sends a body of known length. What is buffered goes first; the rest is
// spliced from socket to socket where that is possible. It reads nothing behind the
// end of the body. If the upstream ends before, it returns io.ErrUnexpectedEOF.
func (x *exchange) copyLength(a *answer) error {
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

// copyRest sends a body that ends when the upstream closes the connection. Whether it
// is complete cannot be known.
func (x *exchange) copyRest() error {
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

// copyChunks sends a chunked body and its trailers. A malformed chunk counts as broken
// off by the upstream, as the head has been sent.
func (x *exchange) copyChunks() error {
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
			return x.copyTrailers(string(d.trailer))
		default:
			x.broken = true
		}
		if err != nil {
			return err
		}
	}
}

// copyTrailers parses the trailers and sends them behind the body; "" sends none. An
// error means that they are malformed.
func (x *exchange) copyTrailers(lines string) error {
	if lines == "" {
		return nil
	}
	t := http.Header{}
	err := eachField(lines, func(name, value string) error {
		t[name] = append(t[name], value)
		return nil
	})
	if err != nil {
		return err
	}
	x.addTrailers(t)
	return nil
}

// peekChunks parses the part of a chunked body that is buffered, without consuming it.
// It is called before the head is sent, so that a malformed body can still be refused
// with an error page. A body that is complete and has no trailers gets a
// Content-Length. It does nothing for other bodies.
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

// setLength sets Content-Length for a chunked body whose length is known, unless the
// caller has set one: theirs wins, as with every field in Header().
func (x *exchange) setLength(n int64) {
	if !slices.Contains(x.own, "Content-Length") {
		x.Header()["Content-Length"] = []string{strconv.FormatInt(n, 10)}
	}
}

// more blocks until more of the answer arrives, without a time limit: a stream may
// pause for as long as it likes, and the watch over the visitor ends the wait when they
// leave. What has been read is flushed before, unless the body is small and its length
// known. The write deadline is cleared meanwhile, as a wait is not the visitor's delay.
func (x *exchange) more() error {
	if x.awaitsMore {
		x.flush()
	}
	x.disarmWrite()
	x.c.readWithin(0)
	x.c.enlarge(&x.up.buffers)
	err := x.c.fill()
	x.broken = err != nil
	return err
}

// unexpected turns io.EOF into io.ErrUnexpectedEOF, for an end in the middle of a body.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
