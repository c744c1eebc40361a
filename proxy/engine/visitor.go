package engine

import (
	"context"
	"net/http"
	"sync"
)

// A VisitorConn is one connection of a visitor. Connections to upstreams that were
// signed in by NTLM or Negotiate are kept for it alone, and end with it.
type VisitorConn struct {
	// SayReason is called with a reason phrase that is not the usual one, before
	// the head of the answer is written. Over HTTP/2 there are none. nil: the
	// visitor gets the usual one.
	SayReason func(status int, reason string)
	// LeaveBody is called when an answer over HTTP/1 goes out while the visitor
	// may still be sending the body. The connection is to be closed behind it, but
	// not before the visitor has had time to read it (RFC 9112, 9.6). nil: it is
	// closed as net/http closes it.
	LeaveBody func()

	mu     sync.Mutex
	closed bool
	at     []*privates // where it has connections of its own
}

type visitorKey struct{}

// WithVisitor gives the context of a new connection of a visitor, for
// http.Server.ConnContext. The server calls Close at the connection's end.
// Without it, no connection to an upstream outlives a request that signs it in.
func WithVisitor(ctx context.Context) (context.Context, *VisitorConn) {
	v := &VisitorConn{}
	return context.WithValue(ctx, visitorKey{}, v), v
}

// visitorOf gives the connection that a request came over; nil: it is not known.
func visitorOf(ctx context.Context) *VisitorConn {
	v, _ := ctx.Value(visitorKey{}).(*VisitorConn)
	return v
}

// sayReason passes on a reason phrase that is not the one that net/http sends.
func sayReason(ctx context.Context, status int, reason string) {
	if reason == http.StatusText(status) {
		return
	}
	if v := visitorOf(ctx); v != nil && v.SayReason != nil {
		v.SayReason(status, reason)
	}
}

// leaveBody tells the visitor's connection that the rest of a body is not wanted.
func leaveBody(ctx context.Context) {
	if v := visitorOf(ctx); v != nil && v.LeaveBody != nil {
		v.LeaveBody()
	}
}

// Close closes what is kept for the connection. It may be called more than once.
func (v *VisitorConn) Close() {
	v.mu.Lock()
	at := v.at
	v.at, v.closed = nil, true
	v.mu.Unlock()
	for _, p := range at {
		p.leave(v)
	}
}
