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

// A halfClosed distinguishes a client that has closed its sending side and still
// reads from one that has left. To TCP both look the same until something is
// sent. So the server sends an interim response, which has no meaning (RFC 9110,
// 15.2): the system of a client that has left answers it with a reset.
type halfClosed struct {
	mu       sync.Mutex    // held while the head of a response, or a probe, is written
	answered atomic.Bool   // the final response to the request has begun
	http10   atomic.Bool   // the request does not allow interim responses
	writes   atomic.Uint64 // number of writes of the response
	until    atomic.Int64  // the read deadline, in Unix nanoseconds; 0: there is none
	wake     chan struct{} // interrupts waitForLeave
}

// interrupt wakes waitForLeave. It never blocks.
func (h *halfClosed) interrupt() {
	select {
	case h.wake <- struct{}{}:
	default:
	}
}

// SetReadDeadline implements net.Conn. The deadline also ends waitForLeave.
func (c *visitor) SetReadDeadline(t time.Time) error {
	c.half.deadline(t)
	return c.Conn.SetReadDeadline(t) //nolint:wrapcheck // net/http looks at it
}

// SetDeadline implements net.Conn. The deadline also ends waitForLeave.
func (c *visitor) SetDeadline(t time.Time) error {
	c.half.deadline(t)
	return c.Conn.SetDeadline(t) //nolint:wrapcheck // net/http looks at it
}

// deadline records the read deadline for waitForLeave. net/http interrupts a Read
// with a deadline in the past.
func (h *halfClosed) deadline(t time.Time) {
	if t.IsZero() {
		h.until.Store(0)
		return
	}
	h.until.Store(max(1, t.UnixNano()))
	h.interrupt()
}

// waitForLeave is called when the client has closed its sending side while a
// request is under way. It returns io.EOF when the client has left,
// os.ErrDeadlineExceeded when the read deadline has passed, and net.ErrClosed
// when the connection was closed here.
//
// Until the response begins, probes find out whether the client is there;
// HTTP/1.0 has no interim responses, so there only the socket is examined. Once
// the response has begun, its own writes do: a response that is silent for
// times.silence counts as abandoned.
func (c *visitor) waitForLeave() error {
	begin, t := time.Now(), &c.times
	// As if a probe had been sent earlier, so that the first one is due after
	// t.probe.
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
			// Writes show whether the client is there. Without any, that is unknown.
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

// probe sends an interim response, unless the final one has begun: then it would
// end up in the middle of that.
func (c *visitor) probe() {
	c.half.mu.Lock()
	defer c.half.mu.Unlock()
	if !c.half.answered.Load() {
		_, _ = io.WriteString(c.Conn, "HTTP/1.1 100 Continue\r\n\r\n") // hungUp notices a failure
	}
}

// hungUp reports whether a socket is closed in both directions. It returns true
// for a socket that cannot be examined: there, a client that has closed its
// sending side counts as gone.
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
