package engine

import (
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
	"time"

	"gatehouse/internal/httpfield"
)

// A sender writes the request's body to the upstream on its own goroutine, so that
// the answer can be read at the same time. An upstream may answer early; and one that
// echoes the body would deadlock with a proxy that reads nothing before it has
// written all, once the buffers of both directions are full.
//
// If the visitor is at fault (they left, stalled, or sent too much), the connection is
// cut: the upstream must never take a truncated body for a complete one. A failed
// write to the upstream decides nothing, because its answer may be on the way: the
// goroutine that reads the answer finds out.
type sender struct {
	x    *exchange
	done chan struct{} // closed when the goroutine has ended

	sent atomic.Bool // the whole body has been written, including trailers
	late atomic.Bool // the answer is complete: both sides have linger from now on

	allowed time.Time // when the write deadline was last set; only run's goroutine uses it
}

// startSender begins to write the body. The exchange must end the sender with complete
// or stop before Forward returns: net/http uses the visitor's connection again then.
func (x *exchange) startSender() {
	x.c.readWithin(0) // the response timeout runs from the end of the request
	x.sender = &sender{x: x, done: make(chan struct{})}
	go x.sender.run()
}

// run copies the body, then starts the response timeout. If the body ends by the
// visitor's fault, it cuts the connection instead. A failed write to the upstream
// starts the timeout as well: the answer may still come.
func (s *sender) run() {
	defer close(s.done)
	defer func() {
		if v := recover(); v != nil { // nothing else recovers on this goroutine
			_ = s.x.body.panicked(v)
			s.x.c.cut()
		}
	}()
	buf := s.x.up.borrow()
	defer s.x.up.buffers.Put(buf)

	err := s.copy(*buf)
	if s.x.body.fault.Load() != nil {
		s.x.c.cut()
		return
	}
	s.sent.Store(err == nil)
	s.x.c.requestSent(s.x.up.o.Timeouts.Response)
}

// Room in the buffer around the data for the framing of a chunk, so that each chunk is
// a single write without copying (RFC 9112, 7.1).
const (
	chunkHead = 10 // the size in hexadecimal digits and CR LF
	chunkTail = 2  // CR LF
)

// copy writes the body to its end, including trailers. An error that is not in
// body.fault is either the upstream's, or that of a body that stop has closed.
func (s *sender) copy(buf []byte) error {
	x := s.x
	space := buf[chunkHead : len(buf)-chunkTail]
	for {
		n, readErr := x.body.read(space)
		if n > 0 {
			if err := s.write(buf, n); err != nil {
				return err
			}
		}
		switch {
		case readErr == io.EOF: //nolint:errorlint // the body returns the bare one
			return s.finish()
		case readErr != nil:
			return readErr
		}
	}
}

// write sends the n bytes of body at buf[chunkHead:], as a chunk if the length of the
// body is unknown. It overwrites the bytes around them.
func (s *sender) write(buf []byte, n int) error {
	s.allow()
	out := buf[chunkHead : chunkHead+n]
	if s.x.body.length < 0 {
		var size [chunkHead]byte
		line := append(strconv.AppendInt(size[:0], int64(n), 16), '\r', '\n')
		copy(buf[chunkHead-len(line):], line)
		copy(buf[chunkHead+n:], "\r\n")
		out = buf[chunkHead-len(line) : chunkHead+n+chunkTail]
	}
	_, err := s.x.c.nc.Write(out)
	return err
}

// allow gives the upstream the response timeout to accept what is written next: an
// upstream that accepts nothing is treated like one that does not answer. Once the
// answer is complete, it has linger only. The deadline is moved after an eighth of
// that time, and set an eighth later, because moving it is expensive.
func (s *sender) allow() {
	d := s.x.up.o.Timeouts.Response
	if s.late.Load() {
		d = linger
	}
	if now := time.Now(); d > 0 && now.Sub(s.allowed) >= d/8 {
		s.allowed = now
		s.x.c.writeWithin(d + d/8)
	}
}

// finish ends a chunked body: it writes the last chunk and the trailers (RFC 9112,
// 7.1.2). A trailer that holds a line break could inject fields, and is refused as the
// visitor's fault. A body of known length needs no end, and cannot have trailers.
func (s *sender) finish() error {
	x := s.x
	if x.body.length >= 0 {
		return nil
	}
	out := []byte("0\r\n")
	for _, name := range x.trailers {
		for _, v := range x.r.In.Trailer[name] {
			if !httpfield.IsOneLine(v) {
				return x.body.fail(VisitorFault, fmt.Errorf("trailer %s holds CR, LF or NUL", name))
			}
			out = appendField(out, name, v)
		}
	}
	_, err := x.c.nc.Write(append(out, "\r\n"...))
	return err
}

// complete is called after a complete answer. It waits for the rest of the body, which
// the upstream may still want, as long as no read or write takes longer than linger.
// It reports whether the whole body was sent; if not, the connection cannot be reused.
func (s *sender) complete() bool {
	if !s.late.Swap(true) && !s.sent.Load() {
		s.x.c.writeWithin(linger)
		s.x.body.hurry(linger)
	}
	<-s.done
	return s.sent.Load()
}

// stop cuts the connection and returns when the sender has ended. If the visitor's
// body is left unread, it bounds how long net/http looks for its end.
func (s *sender) stop() {
	s.x.c.cut()
	s.x.body.stop()
	<-s.done
	if s.x.body.unread() {
		s.x.body.leave()
	}
}
