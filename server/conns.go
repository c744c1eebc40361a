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

// lull is how long a connection must have been idle before a stop closes it. A
// connection that was in use a moment ago may be about to carry the next request,
// whose response then announces that it is the last one.
const lull = 500 * time.Millisecond

// conns tracks which connections of clients are idle, so that a stop loses no
// request. The zero value is ready for use. It is safe for concurrent use.
//
// http.Server.Shutdown closes idle connections, and it counts a connection as
// idle until the head of a request has been read completely: a request that
// arrives at that moment is forwarded, but its response cannot be sent. So conns
// does not close idle connections. It sets a read deadline in the past, which
// net/http replaces once it has begun to read a request.
type conns struct {
	idle     sync.Map // net.Conn: *atomic.Int64, when it became idle, in Unix nanoseconds; 0: it is in use
	draining atomic.Bool
}

// track records the state of a connection. It is called by http.Server.ConnState,
// one call at a time for each connection, and tells the visitor when its
// connection becomes idle or ends.
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

// since records when a connection became idle; 0 means that it is in use. A
// connection that has ended stays forgotten.
func (c *conns) since(conn net.Conn, t int64) {
	if s, ok := c.idle.Load(conn); ok {
		s.(*atomic.Int64).Store(t) // nothing else is stored
	}
}

// lastAnswer announces, while the server drains, that the response is the last
// one of its connection (RFC 9112, 9.6). Over HTTP/2, net/http turns this into a
// GOAWAY frame.
func (c *conns) lastAnswer(w http.ResponseWriter) {
	if c.draining.Load() {
		w.Header().Set("Connection", "close")
	}
}

// drain ends idle HTTP/1 connections. It returns when none is left or when ctx is
// done. HTTP/2 connections are left to Shutdown, which announces the end with
// GOAWAY.
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

// hurry ends the connections that have been idle for lull, and reports whether
// any were still idle when it looked.
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
			_ = conn.SetReadDeadline(time.Unix(1, 0)) // an error means that it is closed already
		}
		return true
	})
	return some
}

// speaksHTTP2 reports whether TLS has negotiated HTTP/2 on the connection.
func speaksHTTP2(conn net.Conn) bool {
	v, ok := conn.(*visitor)
	return ok && v.frames != nil
}

// hasUnread reports whether the socket holds bytes that have not been read, which
// means that a request is arriving. It returns false if that cannot be found out.
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
