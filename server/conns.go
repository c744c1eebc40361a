package server

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// lull is how long a connection has to be idle before a stop closes it. One
// that was in use a moment ago is about to carry the next request, which gets
// an answer that says it is the last one.
const lull = 500 * time.Millisecond

// conns knows which of the visitors' connections are idle, to stop without
// losing a request.
//
// http.Server.Shutdown closes connections that are idle, and a connection
// counts as idle until a request on it has been read whole: one that arrives in
// that moment is forwarded, and its answer has nowhere to go. So idle
// connections are not closed here but told to wait no longer, by a deadline that
// net/http takes back once it has begun to read a request.
type conns struct {
	idle     sync.Map // net.Conn: *atomic.Int64, since when it is idle in Unix nanoseconds; 0: it is not
	draining atomic.Bool
}

// track is http.Server.ConnState.
func (c *conns) track(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateClosed, http.StateHijacked:
		c.idle.Delete(conn)
		if v, ok := conn.(*visitor); ok && v.own != nil {
			v.own.Close()
		}
	case http.StateNew:
		c.idle.Store(conn, new(atomic.Int64))
	case http.StateIdle:
		if v, ok := conn.(*visitor); ok {
			v.idle()
		}
		c.since(conn, time.Now().UnixNano())
	default:
		c.since(conn, 0)
	}
}

func (c *conns) since(conn net.Conn, t int64) {
	if s, ok := c.idle.Load(conn); ok {
		s.(*atomic.Int64).Store(t) // nothing else is stored
	}
}

// lastAnswer says on each answer while draining that it is the last one of
// its connection. On HTTP/2, net/http sends GOAWAY for it.
func (c *conns) lastAnswer(w http.ResponseWriter) {
	if c.draining.Load() {
		w.Header().Set("Connection", "close")
	}
}

// drain returns when no HTTP/1 connection is idle any more, or when ctx is
// done.
func (c *conns) drain(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for c.hurry() {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// hurry tells the connections that have been idle for a while to wait no
// longer, and reports whether any are idle.
func (c *conns) hurry() (some bool) {
	now := time.Now().UnixNano()
	c.idle.Range(func(key, since any) bool {
		conn := key.(net.Conn) // nothing else is stored
		t := since.(*atomic.Int64).Load()
		if t == 0 || speaksHTTP2(conn) {
			return true
		}
		some = true
		if now-t >= int64(lull) && !hasUnread(conn) {
			_ = conn.SetReadDeadline(time.Unix(1, 0)) // fails when it is closed, which is as good
		}
		return true
	})
	return some
}

func speaksHTTP2(conn net.Conn) bool {
	v, ok := conn.(*visitor)
	return ok && v.frames != nil
}

// hasUnread reports whether bytes have come that nobody has read: a request
// is on its way. false where that cannot be told.
func hasUnread(conn net.Conn) bool {
	if v, ok := conn.(*visitor); ok {
		conn = v.socket
	}
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return false
	}
	n := 0
	err = raw.Control(func(fd uintptr) {
		n, _, _ = unix.Recvfrom(int(fd), make([]byte, 1), unix.MSG_PEEK|unix.MSG_DONTWAIT)
	})
	return err == nil && n > 0
}
