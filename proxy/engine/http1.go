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

// HTTP1Options configure an HTTP1. Address is required.
type HTTP1Options struct {
	Network  string      // "tcp" or "unix"; "": tcp
	Address  string      // host:port, or the path of a unix socket
	TLS      *tls.Config // nil: plain. Its ServerName is the name that the certificate must be valid for
	Timeouts Timeouts    // zero fields: no limit

	MaxIdle int // idle connections kept; 0: 128
	// IdleTimeout is how long a connection may stay idle before it is closed. It
	// must be below the upstream's own limit, or requests are sent on connections
	// that the upstream is about to close. 0: 4 s, which is below the 5 s of
	// Node.js; negative: no limit.
	IdleTimeout time.Duration
	NoReuse     bool // each request gets a new connection
	// Lenient accepts answers that are not quite HTTP/1.1: lines that end in a bare
	// LF, spaces before a colon (which are removed), and header lines that are not
	// fields (which are dropped, with a warning in Log).
	Lenient bool
	Log     *slog.Logger // nil: nothing is logged
	// Continue is how long the body of a request with Expect: 100-continue is held
	// back while the upstream says nothing. After that the client is asked for it
	// anyway, because some upstreams do not know 100 (RFC 9110, 10.1.1). 0: 2 s.
	Continue time.Duration
}

const (
	defaultIdle     = 4 * time.Second
	defaultContinue = 2 * time.Second
)

// HTTP1 is an Upstream that speaks HTTP/1.1, over plain connections or TLS. The
// caller's goroutine writes the request and reads the answer. Only a body that may
// not fit into the socket buffers is written by a second one.
type HTTP1 struct {
	o       HTTP1Options
	dialer  net.Dialer
	pool    pool
	private privates
	odd     oddLines
	leaving disconnectWatcher
	buffers sync.Pool // of *[]byte, largeBuffer long
}

// NewHTTP1 returns an upstream. It does not connect: an upstream that cannot be reached
// fails requests, with an Error of kind Connect. Call Close when it is no longer used.
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
		o.Continue = defaultContinue
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

// Close closes idle connections. Requests under way are completed, and their connections
// are closed then. It may be called more than once.
func (u *HTTP1) Close() {
	u.pool.close()
	u.private.close()
}

// Forward implements Upstream.
//
// A request is sent a second time only if a reused connection turned out to be
// dead: no byte of an answer came, there is no body or a small one, and the method
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

// connect returns a connection for x: an idle one if idle is true and there is one that
// x may use (reused is true then), else a new one. A visitor with a lane gets connections
// of that lane only. A request that begins a handshake of NTLM or Negotiate never gets one
// from the pool. The Error is of kind Connect, or VisitorFault if they left.
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

// dial opens a connection within Timeouts.Connect, including TLS. With offerHTTP2 it
// fails with errSpeaksHTTP2 if the upstream chooses HTTP/2.
func (u *HTTP1) dial(ctx context.Context, offerHTTP2 bool) (*conn, error) {
	if u.o.TLS == nil {
		nc, err := u.dialer.DialContext(ctx, u.o.Network, u.o.Address)
		if err != nil {
			return nil, err //nolint:wrapcheck // net.OpError names address and cause
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

// borrow returns a buffer of largeBuffer bytes, to be returned with buffers.Put.
func (u *HTTP1) borrow() *[]byte {
	return u.buffers.Get().(*[]byte) // nothing else is put in
}

// gone returns the Error of a request whose visitor has left.
func gone(ctx context.Context) *Error {
	return &Error{Kind: VisitorFault, Err: fmt.Errorf("visitor left: %w", context.Cause(ctx))}
}
