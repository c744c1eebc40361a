package engine

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"
)

// HTTP1Options say where an HTTP1 upstream is and what it may cost.
type HTTP1Options struct {
	Network  string      // "tcp" or "unix"; "": tcp
	Address  string      // host:port, or the path of a socket
	TLS      *tls.Config // nil: plain. Its ServerName is what the certificate must be for
	Timeouts Timeouts

	MaxIdle int // idle connections kept; 0: 128
	// IdleTimeout is how long a connection may lie idle. Keep it below the
	// upstream's own limit, or requests meet connections that are just being
	// closed. 0: 4 s, which is below the 5 s of Node.js; negative: no limit.
	IdleTimeout time.Duration
	NoReuse     bool // each request has a connection of its own
	// Lenient takes answers of upstreams that are not quite HTTP/1.1: lines
	// that end in a bare LF, spaces before a colon (which are taken out), and
	// lines that are no fields (which are dropped, with a warning in Log).
	Lenient bool
	Log     *slog.Logger // nil: nothing is logged
	// Continue is how long a visitor who sent Expect: 100-continue waits for
	// the upstream's word. After that the body is asked for anyway, because
	// there are upstreams that never heard of 100 (RFC 9110, 10.1.1). 0: 2 s.
	Continue time.Duration
}

const defaultIdle = 4 * time.Second

// HTTP1 is an Upstream that speaks HTTP/1.1, over plain connections or TLS. The
// handler's own goroutine writes the request and reads the answer; only a
// body that does not fit into socket buffers gets a second one.
type HTTP1 struct {
	o       HTTP1Options
	dialer  net.Dialer
	pool    pool
	private privates
	odd     oddLines
	leaving disconnectWatcher
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
		o.IdleTimeout = defaultIdle
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Continue == 0 {
		o.Continue = 2 * time.Second
	}
	return &HTTP1{
		o:      o,
		dialer: net.Dialer{Timeout: o.Timeouts.Connect},
		pool:   pool{max: o.MaxIdle, age: max(o.IdleTimeout, 0), rest: restTime, fresh: freshTime, log: o.Log},
		buffers: sync.Pool{New: func() any {
			b := make([]byte, largeBuffer)
			return &b
		}},
	}
}

// Close drops idle connections; requests under way end by themselves, and
// what they used is closed with them.
func (u *HTTP1) Close() {
	u.pool.close()
	u.private.close()
}

// Forward implements Upstream.
//
// A request is sent twice only when an idle connection turns out to be dead:
// not one byte was answered, the body is small or there is none, and the method
// is idempotent (RFC 9110, 9.2.2).
func (u *HTTP1) Forward(w http.ResponseWriter, r *Request) error {
	x := exchange{up: u}
	if e := x.prepare(w, r); e != nil {
		x.abandonBody()
		return e
	}
	if x.buffer != nil {
		defer u.buffers.Put(x.buffer)
	}
	e := x.try(true)
	if e != nil && errors.Is(e, errStale) {
		e = x.try(false)
	}
	switch {
	case e == nil:
		return nil
	case e.Kind == Connect && (r.again || errors.Is(e, errSpeaksHTTP2)):
		x.keepBody()
	default:
		x.abandonBody()
	}
	return e
}

// connect gives a connection for x: an idle one if that is wanted and there is
// one that x may use.
func (u *HTTP1) connect(x *exchange, idle bool) (c *conn, reused bool, e *Error) {
	ctx := x.r.In.Context()
	switch {
	case !idle || u.o.NoReuse:
	case x.lane != nil:
		c = u.private.take(x.lane, x.handshake, x.r.In.ProtoMajor == 1)
	case !x.handshake:
		c = u.pool.take(ctx, !x.repeatable())
	}
	if c != nil {
		return c, true, nil
	}
	c, err := u.dial(ctx, x.r.offerHTTP2)
	if err != nil {
		if ctx.Err() != nil {
			return nil, false, gone(ctx)
		}
		return nil, false, &Error{Kind: Connect, Err: err}
	}
	return c, false, nil
}

// dial makes a connection. With offerHTTP2 the error is errSpeaksHTTP2 where
// the upstream chose that.
func (u *HTTP1) dial(ctx context.Context, offerHTTP2 bool) (*conn, error) {
	if u.o.TLS == nil {
		nc, err := u.dialer.DialContext(ctx, u.o.Network, u.o.Address)
		if err != nil {
			return nil, err //nolint:wrapcheck // it says all that there is to say
		}
		c, err := newConn(nc)
		if err != nil {
			_ = nc.Close()
		}
		return c, err
	}
	tc, rc, err := dialTLS(ctx, &u.dialer, u.o.Network, u.o.Address, u.o.TLS, offerHTTP2)
	if err != nil {
		return nil, err
	}
	if tc.ConnectionState().NegotiatedProtocol == alpnHTTP2 {
		_ = tc.Close()
		return nil, errSpeaksHTTP2
	}
	c, err := newConnOn(tc, rc.Conn)
	if err != nil {
		_ = tc.Close()
		return nil, err
	}
	c.secret = rc
	return c, nil
}

func (u *HTTP1) borrow() *[]byte {
	return u.buffers.Get().(*[]byte) // it holds nothing else
}

func gone(ctx context.Context) *Error {
	return &Error{Kind: VisitorFault, Err: fmt.Errorf("visitor left: %w", context.Cause(ctx))}
}
