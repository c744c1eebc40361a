package engine

import (
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
	"time"

	"gatehouse/internal/httpfield"
)

// A sender writes the body to the upstream on a goroutine of its own, so that the
// answer can be read at the same time: an upstream may answer early, and one that
// echoes would block, as we would, when the buffers in both directions are full.
//
// If the visitor is at fault (left, stalled, too large), the connection is cut: the
// upstream must never take half a body for a whole one. If the upstream does not
// take the body, that decides nothing: its answer may be on the way.
type sender struct {
	x    *exchange
	done chan struct{} // closed when the goroutine has ended

	sent atomic.Bool // all of the body has been written, trailers included
	late atomic.Bool // the answer is complete

	allowed time.Time // when the write deadline towards the upstream was set
}

func (x *exchange) startSender() {
	x.c.readWithin(0) // the response timeout runs from the end of the request
	x.sender = &sender{x: x, done: make(chan struct{})}
	go x.sender.run()
}

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

// Room in the buffer for a chunk's size before the data, CR LF behind.
const (
	chunkHead = 10
	chunkTail = 2
)

// copy reads and writes the body to its end. An error that is not in body.fault
// comes from the upstream, or from a body that was closed.
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

// write sends n bytes of body that stand behind chunkHead.
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

// allow gives the upstream the response timeout to take what is written next: an
// upstream that takes nothing is like one that does not answer.
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

// finish writes the last chunk and the trailers.
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

// complete is called when the answer is complete. It waits for the rest of the
// body, which the upstream may still want, but only while both sides go on, and
// reports whether all of it was sent.
func (s *sender) complete() bool {
	if !s.late.Swap(true) && !s.sent.Load() {
		s.x.c.writeWithin(linger)
		s.x.body.hurry(linger)
	}
	<-s.done
	return s.sent.Load()
}

// stop cuts the connection, and returns when the sender has ended.
func (s *sender) stop() {
	s.x.c.cut()
	s.x.body.stop()
	<-s.done
	if s.x.body.unread() {
		s.x.body.leave()
	}
}
