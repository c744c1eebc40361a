package server

import (
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// conns knows the state of each visitor's connection, to stop without losing
// a request.
//
// http.Server.Shutdown closes connections that are idle, and a connection
// counts as idle until a request on it has been read whole: one that arrives in
// that moment is forwarded, and its answer has nowhere to go. So idle
// connections are not closed here but told to wait no longer, by a deadline that
// net/http takes back once it has begun to read a request.
type conns struct {
	states   sync.Map // net.Conn: *atomic.Int32, an http.ConnState
	draining atomic.Bool
}

// track is http.Server.ConnState.
func (c *conns) track(conn net.Conn, state http.ConnState) {
	switch state {
	case http.StateClosed, http.StateHijacked:
		c.states.Delete(conn)
	case http.StateNew:
		s := new(atomic.Int32)
		s.Store(int32(state))
		c.states.Store(conn, s)
	default:
		if v, ok := conn.(*visitor); ok && state == http.StateIdle {
			v.idle()
		}
		if s, ok := c.states.Load(conn); ok {
			s.(*atomic.Int32).Store(int32(state)) //nolint:gosec // G115: one of five states
		}
	}
}

// lastAnswer says on each HTTP/1 answer while draining that it is the last
// one of its connection. HTTP/2 has GOAWAY, which Shutdown sends.
func (c *conns) lastAnswer(w http.ResponseWriter, r *http.Request) {
	if c.draining.Load() && r.ProtoMajor == 1 {
		w.Header().Set("Connection", "close")
	}
}

// drain returns when no HTTP/1 connection is idle any more, or after limit.
func (c *conns) drain(limit time.Duration) {
	c.draining.Store(true)
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(limit); c.hurry() && time.Now().Before(end); {
		<-tick.C
	}
}

// hurry tells the idle connections to wait no longer, and says whether there
// were any.
func (c *conns) hurry() (some bool) {
	c.states.Range(func(key, state any) bool {
		conn := key.(net.Conn)                                                                   // nothing else is stored
		if http.ConnState(state.(*atomic.Int32).Load()) != http.StateIdle || speaksHTTP2(conn) { // nothing else is stored
			return true
		}
		some = true
		_ = conn.SetReadDeadline(time.Unix(1, 0)) // fails when it is closed, which is as good
		return true
	})
	return some
}

func speaksHTTP2(conn net.Conn) bool {
	v, ok := conn.(*visitor)
	return ok && v.frames != nil
}
