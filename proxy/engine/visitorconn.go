package engine

import (
	"context"
	"sync"
)

// A VisitorConn is one connection of a client. Connections to upstreams that
// were signed in by NTLM or Negotiate are kept for it alone, and are closed with
// it.
//
// Its functions are set before the first request and are called while a request
// is served by net/http, which has no such methods itself.
type VisitorConn struct {
	// SetReason is that of Visitor. nil: answers have the usual reason phrases.
	SetReason func(status int, reason string)
	// AbandonBody is that of Visitor. nil: the connection is closed as net/http
	// closes it.
	AbandonBody func()

	mu     sync.Mutex
	closed bool
	at     []*privates // where it has connections of its own
}

type visitorKey struct{}

// WithVisitor returns the context of a new connection of a client, for
// http.Server.ConnContext. The server calls Close when the connection has ended.
// Without a VisitorConn, no connection to an upstream outlives a request that
// signs it in.
func WithVisitor(ctx context.Context) (context.Context, *VisitorConn) {
	v := &VisitorConn{}
	return context.WithValue(ctx, visitorKey{}, v), v
}

// visitorOf returns the connection that a request came over; nil: unknown.
func visitorOf(ctx context.Context) *VisitorConn {
	v, _ := ctx.Value(visitorKey{}).(*VisitorConn)
	return v
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
