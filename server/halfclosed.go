package server

import (
	"io"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// A halfClosed tells a visitor who has sent all that he wants to say, and reads
// on, from one who has left: TCP says the same of both until something is sent
// to him. So an interim answer is sent, which means nothing (RFC 9110, 15.2),
// and the one who has left answers with a reset.
type halfClosed struct {
	mu       sync.Mutex    // held while the head of an answer is written, or an interim answer of ours
	answered atomic.Bool   // the final answer to the request has begun
	http10   atomic.Bool   // the request knows no interim answers
	writes   atomic.Uint64 // that there were
	until    atomic.Int64  // the read deadline, in Unix nanoseconds; 0: there is none
	wake     chan struct{} // interrupts waitForLeave
}

func (h *halfClosed) interrupt() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// SetReadDeadline serves net.Conn.
func (c *visitor) SetReadDeadline(t time.Time) error {
	c.half.deadline(t)
	return c.Conn.SetReadDeadline(t) //nolint:wrapcheck // net/http looks at it
}

// SetDeadline serves net.Conn.
func (c *visitor) SetDeadline(t time.Time) error {
	c.half.deadline(t)
	return c.Conn.SetDeadline(t) //nolint:wrapcheck // net/http looks at it
}

// deadline notes the read deadline: net/http interrupts a Read by one of long
// ago.
func (h *halfClosed) deadline(t time.Time) {
	if t.IsZero() {
		h.until.Store(0)
		return
	}
	h.until.Store(max(1, t.UnixNano()))
	h.interrupt()
}

// waitForLeave is called when the visitor sends nothing more while a request
// is under way. It returns io.EOF once he has left, or what a Read returns that
// is interrupted.
func (c *visitor) waitForLeave() error {
	begin, t := time.Now(), &c.times
	lastProbe, lastWrite, writes := begin.Add(t.probe-t.again), begin, c.half.writes.Load()
	tick := time.NewTicker(t.look)
	defer tick.Stop()
	for {
		now := time.Now()
		switch until := c.half.until.Load(); {
		case c.closed.Load():
			return net.ErrClosed
		case until != 0 && now.UnixNano() >= until:
			return os.ErrDeadlineExceeded
		case hungUp(c.socket):
			return io.EOF
		}
		if n := c.half.writes.Load(); n != writes {
			writes, lastWrite = n, now
		}
		switch {
		case c.half.answered.Load():
			// What is sent shows whether he is there; of silence nobody can tell.
			if now.Sub(lastWrite) >= t.silence {
				return io.EOF
			}
		case now.Sub(lastProbe) >= t.again && !c.half.http10.Load():
			lastProbe, lastWrite = now, now
			c.probe()
		default:
			lastWrite = now
		}
		select {
		case <-c.half.wake:
		case <-tick.C:
		}
	}
}

// probe sends an interim answer, unless the final one has begun.
func (c *visitor) probe() {
	c.half.mu.Lock()
	defer c.half.mu.Unlock()
	if !c.half.answered.Load() {
		_, _ = io.WriteString(c.Conn, "HTTP/1.1 100 Continue\r\n\r\n") // that it fails shows in the socket
	}
}

// hungUp reports whether a socket is of no use in either direction. One whose
// kind cannot be looked at is: then the end of what is sent is the end of all.
func hungUp(socket net.Conn) bool {
	s, ok := socket.(syscall.Conn)
	if !ok {
		return true
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return true
	}
	gone := true
	err = raw.Control(func(fd uintptr) {
		list := []unix.PollFd{{Fd: int32(fd)}} //nolint:gosec // G115: a file descriptor
		n, err := unix.Poll(list, 0)
		gone = err == nil && n > 0 && list[0].Revents&(unix.POLLHUP|unix.POLLERR|unix.POLLNVAL) != 0
	})
	return gone || err != nil
}
