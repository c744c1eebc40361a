package engine

import (
	"errors"
	"net/http"
	"sync/atomic"
)

// HTTPS is an Upstream over TLS. The upstream says at the first connection
// whether it speaks HTTP/2, which goes through a Standard; anything else is
// HTTP/1.1 of our own, with all that HTTP1 promises. What HTTP/2 cannot carry
// (Upgrade, NTLM, a connection for each request) is HTTP/1.1 always.
type HTTPS struct {
	h1       *HTTP1
	h2       *TransportUpstream
	speaksH2 atomic.Bool // the last one that was asked did
}

// NewHTTPS makes an upstream; nothing is connected before the first request.
// o.TLS is needed.
func NewHTTPS(o HTTP1Options) *HTTPS {
	h1 := NewHTTP1(o)
	return &HTTPS{h1: h1, h2: NewTransport(TransportOptions{
		Network: h1.o.Network, Address: o.Address, TLS: o.TLS, Timeouts: o.Timeouts,
		IdleTimeout: h1.o.IdleTimeout, onlyHTTP2: true, at: &h1.private,
	})}
}

// Forward implements Upstream, as HTTP1 and Standard do.
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

// Close drops idle connections; requests under way end by themselves.
func (u *HTTPS) Close() {
	u.h1.Close()
	u.h2.Close()
}
