package engine

import (
	"errors"
	"net/http"
	"sync/atomic"
)

// HTTPS is an Upstream over TLS. Each new connection offers HTTP/2 by ALPN. If the
// upstream chooses it, requests go through a TransportUpstream; otherwise they go through
// an HTTP1, with all its guarantees. What HTTP/2 cannot carry (Upgrade, NTLM, a new
// connection for each request) is always sent over HTTP/1.1. It is safe for concurrent
// use, and follows an upstream that changes its choice.
type HTTPS struct {
	h1       *HTTP1
	h2       *TransportUpstream
	speaksH2 atomic.Bool // what the upstream chose last
}

// NewHTTPS returns an upstream. o.TLS must be set. It does not connect. Call Close when it
// is no longer used.
func NewHTTPS(o HTTP1Options) *HTTPS {
	h1 := NewHTTP1(o)
	return &HTTPS{h1: h1, h2: NewTransport(TransportOptions{
		Network: h1.o.Network, Address: o.Address, TLS: o.TLS, Timeouts: o.Timeouts,
		IdleTimeout: h1.o.IdleTimeout, onlyHTTP2: true, at: &h1.private,
	})}
}

// Forward implements Upstream; when a request is repeated, see HTTP1.Forward and
// TransportUpstream.Forward.
func (u *HTTPS) Forward(w http.ResponseWriter, r *Request) error {
	r.offerHTTP2 = r.Upgrade == "" && !u.h1.o.NoReuse && !binds(r.Header.Get("Authorization")) && u.h1.private.of(r) == nil
	if r.offerHTTP2 && u.speaksH2.Load() {
		err := u.h2.Forward(w, r)
		if !errors.Is(err, errNoHTTP2) {
			return err
		}
		u.speaksH2.Store(false)
	}
	err := u.h1.Forward(w, r)
	if errors.Is(err, errSpeaksHTTP2) {
		u.speaksH2.Store(true)
		return u.h2.Forward(w, r)
	}
	return err
}

// Close closes idle connections. Requests under way are completed.
func (u *HTTPS) Close() {
	u.h1.Close()
	u.h2.Close()
}
