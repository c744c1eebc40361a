package engine

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
)

// answer sends the final answer to the visitor. done reports whether it has given
// the connection back; otherwise the connection has to be dropped. It panics with
// http.ErrAbortHandler if the answer cannot be completed.
func (x *exchange) answer(a *answer) (done bool) {
	x.c.answerBegun()
	// Without the rest of the body, the upstream cannot use the connection again.
	a.last = a.last || x.sender == nil && x.body.unread()
	x.awaitsMore = a.stream || a.chunked || a.length == untilClose || a.length > largeBuffer
	x.writeHead(a.status, a.reason)
	if err := x.copyBody(a); err != nil {
		x.breakOff(err, x.broken)
	}
	return x.release(a)
}

// release gives the connection back if it can be used again.
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
	// A cut that came too late has left its deadline on the connection.
	if a.last || x.early || !x.up.leaving.forget(x.c) || !x.r.Breaker.Arm(nil) {
		return false
	}
	if x.c.r != x.c.w { // bytes behind the end of the answer belong to no request
		x.up.pool.noise()
		return false
	}
	x.c.shrink(&x.up.buffers)
	return x.giveBack()
}

// giveBack puts the connection into the pool. One that is signed in, or about to
// be, goes into the visitor's own lane, or is dropped if there cannot be one.
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

// copyBody sends the body of the answer.
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

// copyLength sends a body of known length, from socket to socket if that is
// possible.
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

// copyRest sends a body that ends with the connection.
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

// copyChunks sends a chunked body and its trailers.
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

// copyTrailers sends the trailers behind the body.
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

// peekChunks parses what has been read of a chunked body before anything is sent:
// a malformed one can still be refused, and a whole one without trailers gets a
// Content-Length.
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

// setLength announces the length of a body that came in chunks.
func (x *exchange) setLength(n int64) {
	if !slices.Contains(x.own, "Content-Length") {
		x.Header()["Content-Length"] = []string{strconv.FormatInt(n, 10)}
	}
}

// more waits for more of the answer, without limit. What has been read is sent
// before, unless the body is small and its length known.
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

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
