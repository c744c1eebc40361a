package engine

import (
	"errors"
	"net/http"
	"sync/atomic"
)

// HTTPS is an Upstream over TLS. Each new connection offers HTTP/2 to the
// upstream. If it chooses that, requests go through a TransportUpstream; otherwise
// they go through an HTTP1, with all its guarantees. What HTTP/2 cannot carry
// (Upgrade, NTLM, a new connection for each request) is always HTTP/1.1.
type HTTPS struct {
	h1       *HTTP1
	h2       *TransportUpstream
	speaksH2 atomic.Bool // what the upstream chose last
}

// NewHTTPS returns an upstream. Nothing is connected before the first request.
// o.TLS must be set.
func NewHTTPS(o HTTP1Options) *HTTPS {
	h1 := NewHTTP1(o)
	return &HTTPS{h1: h1, h2: NewTransport(TransportOptions{
		Network: h1.o.Network, Address: o.Address, TLS: o.TLS, Timeouts: o.Timeouts,
		IdleTimeout: h1.o.IdleTimeout, onlyHTTP2: true, at: &h1.private,
	})}
}

// Forward implements Upstream, in the way of HTTP1 or TransportUpstream.
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

// Close closes idle connections. Requests under way go on to their end.
func (u *HTTPS) Close() {
	u.h1.Close()
	u.h2.Close()
}
