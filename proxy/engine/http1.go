package engine

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"
)

// HTTP1Options say where an HTTP1 upstream is and what it may cost.
type HTTP1Options struct {
	Network  string // "tcp" or "unix"; "": tcp
	Address  string // host:port, or the path of a socket
	Timeouts Timeouts

	MaxIdle int // idle connections kept; 0: 128
	// IdleTimeout is how long a connection may lie idle. Keep it below the
	// upstream's own limit, or requests meet connections that are just being
	// closed. 0: 30 s.
	IdleTimeout time.Duration
	// Continue is how long a visitor who sent Expect: 100-continue waits for
	// the upstream's word. After that the body is asked for anyway, because
	// there are upstreams that never heard of 100 (RFC 9110, 10.1.1). 0: 2 s.
	Continue time.Duration
}

// HTTP1 is an Upstream that speaks HTTP/1.1 over plain connections. The
// handler's own goroutine writes the request and reads the answer; only a
// body that does not fit into socket buffers gets a second one.
type HTTP1 struct {
	o       HTTP1Options
	dialer  net.Dialer
	pool    pool
	leaving departures
	buffers sync.Pool // of *[]byte, largeBuffer long
}

// NewHTTP1 makes an upstream; nothing is connected before the first request.
func NewHTTP1(o HTTP1Options) *HTTP1 {
	if o.Network == "" {
		o.Network = "tcp"
	}
	if o.MaxIdle == 0 {
		o.MaxIdle = 128
	}
	if o.IdleTimeout == 0 {
		o.IdleTimeout = 30 * time.Second
	}
	if o.Continue == 0 {
		o.Continue = 2 * time.Second
	}
	return &HTTP1{
		o:      o,
		dialer: net.Dialer{Timeout: o.Timeouts.Connect},
		pool:   pool{max: o.MaxIdle, age: o.IdleTimeout},
		buffers: sync.Pool{New: func() any {
			b := make([]byte, largeBuffer)
			return &b
		}},
	}
}

// Close drops idle connections; requests under way end by themselves, and
// what they used is closed with them.
func (u *HTTP1) Close() { u.pool.close() }

// Forward implements Upstream.
//
// A request is sent twice only when an idle connection turns out to be dead:
// not one byte was answered, there is no body, and the method is idempotent.
func (u *HTTP1) Forward(w http.ResponseWriter, r *Request) error {
	x := exchange{up: u, w: w, r: r, rc: *http.NewResponseController(w)}
	if e := x.prepare(); e != nil {
		x.leaveBody()
		return e
	}
	if x.small != nil {
		defer u.buffers.Put(x.small)
	}
	e := x.try(true)
	if e != nil && errors.Is(e, errStale) {
		e = x.try(false)
	}
	switch {
	case e == nil:
		return nil
	case e.Kind == Connect && r.again:
		x.keepBody()
	default:
		x.leaveBody()
	}
	return e
}

// connect gives a connection, an idle one if that is wanted and there is one.
func (u *HTTP1) connect(ctx context.Context, idle bool) (c *conn, reused bool, e *Error) {
	if idle {
		if c := u.pool.take(); c != nil {
			return c, true, nil
		}
	}
	nc, err := u.dialer.DialContext(ctx, u.o.Network, u.o.Address)
	if err != nil {
		if ctx.Err() != nil {
			return nil, false, gone(ctx)
		}
		return nil, false, &Error{Kind: Connect, Err: err}
	}
	c, err = newConn(nc)
	if err != nil {
		_ = nc.Close()
		return nil, false, &Error{Kind: Connect, Err: err}
	}
	return c, false, nil
}

func (u *HTTP1) borrow() *[]byte {
	return u.buffers.Get().(*[]byte) // it holds nothing else
}

func gone(ctx context.Context) *Error {
	return &Error{Kind: Visitor, Err: fmt.Errorf("visitor left: %w", context.Cause(ctx))}
}
