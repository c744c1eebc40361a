package engine

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"gatehouse/internal/httpfield"
)

// linger bounds each wait for the rest of a body once the answer is complete.
const linger = 2 * time.Second

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

	whole atomic.Bool           // the visitor's body was read to its end
	sent  atomic.Bool           // and written, with all that belongs to it
	quit  atomic.Bool           // nobody wants the body any more
	late  atomic.Bool           // the answer is complete
	fault atomic.Pointer[Error] // what the visitor did

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
			s.blame(&Error{Kind: Visitor, Err: fmt.Errorf("read body: panic: %v", v)})
		}
	}()
	buf := s.x.up.borrow()
	defer s.x.up.buffers.Put(buf)

	err := s.copy(*buf)
	if fault, ok := errors.AsType[*Error](err); ok {
		s.blame(fault)
		return
	}
	s.sent.Store(err == nil)
	s.x.c.requestSent(s.x.up.o.Timeouts.Response)
}

func (s *sender) blame(e *Error) {
	s.fault.Store(e)
	s.x.c.cut()
}

// Room in the buffer for a chunk's size before the data, CR LF behind.
const (
	chunkHead = 10
	chunkTail = 2
)

// copy reads and writes until the body has ended. An *Error is the visitor's
// fault, any other error the upstream's.
func (s *sender) copy(buf []byte) error {
	x := s.x
	space := buf[chunkHead : len(buf)-chunkTail]
	var total int64
	for !s.quit.Load() {
		n, readErr := x.readBody(space, s.patience())
		total += int64(n)
		if e := x.checkBody(total, readErr); e != nil {
			return e
		}
		if readErr != nil {
			s.whole.Store(true)
		}
		if n > 0 {
			if err := s.write(buf, n); err != nil {
				return err
			}
		}
		if readErr != nil {
			return s.finish()
		}
	}
	return errors.New("body is not wanted any more")
}

// write sends n bytes of body that stand behind chunkHead.
func (s *sender) write(buf []byte, n int) error {
	s.allow()
	out := buf[chunkHead : chunkHead+n]
	if s.x.length < 0 {
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
	if x.length >= 0 {
		return nil
	}
	out := []byte("0\r\n")
	for _, name := range x.trailers {
		for _, v := range x.r.In.Trailer[name] {
			if !httpfield.IsOneLine(v) {
				return &Error{Kind: Visitor, Err: fmt.Errorf("trailer %s holds CR, LF or NUL", name)}
			}
			out = appendField(out, name, v)
		}
	}
	_, err := x.c.nc.Write(append(out, "\r\n"...))
	return err
}

func (s *sender) patience() time.Duration {
	if s.late.Load() {
		return linger
	}
	return s.x.up.o.Timeouts.Stall
}

// complete waits for the rest of the body after the answer: the upstream has
// not said that it does not want it. It tells whether all was sent.
func (s *sender) complete() bool {
	if !s.late.Swap(true) && !s.sent.Load() {
		s.x.c.writeWithin(linger)
		if !s.whole.Load() {
			_ = s.x.rc.SetReadDeadline(time.Now().Add(linger))
		}
	}
	<-s.done
	return s.sent.Load()
}

// stop ends the sender whatever it waits for, and the connection with it.
func (s *sender) stop() {
	s.quit.Store(true)
	s.x.c.cut()
	select {
	case <-s.done:
		return
	default:
	}
	if !s.whole.Load() {
		_ = s.x.rc.SetReadDeadline(longAgo)
	}
	<-s.done
	if !s.whole.Load() {
		// net/http will look for the end of the body once more.
		_ = s.x.rc.SetReadDeadline(time.Now().Add(linger))
	}
}

// readBody reads from the visitor, who has so long to send something.
func (x *exchange) readBody(p []byte, patience time.Duration) (int, error) {
	if now := time.Now(); patience > 0 && now.Sub(x.awaited) >= patience/8 {
		x.awaited = now
		_ = x.rc.SetReadDeadline(now.Add(patience + patience/8))
	}
	return x.r.In.Body.Read(p)
}

// checkBody judges what has been read: total bytes, then err. nil: all is
// well so far.
func (x *exchange) checkBody(total int64, err error) *Error {
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return &Error{Kind: TooLarge, Err: err}
	case x.r.MaxBody > 0 && total > x.r.MaxBody:
		return &Error{Kind: TooLarge, Err: fmt.Errorf("body is over %d bytes", x.r.MaxBody)}
	case x.length >= 0 && total > x.length:
		return &Error{Kind: Visitor, Err: fmt.Errorf("body is longer than its Content-Length of %d", x.length)}
	case err == nil:
		return nil
	case err != io.EOF: //nolint:errorlint // only the bare one is an end; a wrapped one is a break
		return &Error{Kind: Visitor, Err: fmt.Errorf("read body: %w", err)}
	case x.length >= 0 && total < x.length:
		return &Error{Kind: Visitor, Err: fmt.Errorf("read body: %w", io.ErrUnexpectedEOF)}
	}
	return nil
}
