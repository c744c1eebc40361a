package engine

import (
	"fmt"
	"io"
	"strconv"
	"sync/atomic"
	"time"

	"gatehouse/internal/httpfield"
)

// A sender carries a body to the upstream on a goroutine of its own, so that
// an answer can be read at the same time: an upstream may answer early, and
// one that echoes would otherwise wait for us while we wait for it.
//
// Two things end it early. When the visitor is at fault (gone, stalled, too
// large), the connection is cut: the upstream must never take half a body for
// a whole one. When the upstream does not take the body, that is not the
// verdict: its answer may be on the way.
type sender struct {
	x    *exchange
	done chan struct{} // closed at the end

	sent atomic.Bool // all of the body has been written, with all that belongs to it
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
		if v := recover(); v != nil { // nobody else guards this goroutine
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

// copy reads and writes until the body has ended. An error that is not the body's
// fault is the upstream's.
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

// allow gives the upstream so long to take what is written next: an upstream
// that takes nothing is like one that does not answer.
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

// complete waits for the rest of the body after the answer: the upstream has
// not said that it does not want it. It tells whether all was sent.
func (s *sender) complete() bool {
	if !s.late.Swap(true) && !s.sent.Load() {
		s.x.c.writeWithin(linger)
		s.x.body.hurry(linger)
	}
	<-s.done
	return s.sent.Load()
}

// stop ends the sender whatever it waits for, and the connection with it.
func (s *sender) stop() {
	s.x.c.cut()
	s.x.body.stop()
	<-s.done
	if s.x.body.unread() {
		s.x.body.leave()
	}
}
