// Package web holds what every answer of ours has in common: the chain that
// each request passes, the facts about a request that the chain finds out
// (Info), errors with one text for the visitor and another for the log, the
// one wrapper of http.ResponseWriter, and the look and the headers of our own
// pages.
//
// A handler of ours returns an error instead of writing one; Answer is the
// one place that turns errors into pages or problem+json.
package web

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
)

// Info is what the chain knows of one request, and what the rooms behind it
// add for the access line. One goroutine serves a request, so there is no
// lock; whoever outlives the handler must copy what it needs.
//
// It is the request's context itself, so that carrying it costs nothing.
type Info struct {
	context.Context //nolint:containedctx // an Info is a context, as those of context.WithValue are

	ID     string     // the request's id, in logs, on error pages, and sent upstream
	Peer   netip.Addr // the other end of the connection; invalid for a unix socket
	Client netip.Addr // the visitor: Peer, or what trusted proxies say
	// Trusted says that the peer is one of trusted_proxies, so that its
	// X-Forwarded-* were believed.
	Trusted bool
	Scheme  string // "http" or "https", as the visitor sees it
	Host    string // host[:port] as the visitor sees it, as sent; not yet checked
	// Port is what a trusted proxy says of the port that the visitor's browser
	// connects to; "": it says nothing. Host decides where it has a port.
	Port string

	Route   string // the route that was taken, for logs and metrics: host and path of the configuration
	User    string // who asked; "" when unknown or not looked up
	Session string // the public handle of the session; "" when there is none
	Failure error  // what went wrong, for the access line

	idLine [1]string // X-Request-Id of the answer

	holder Holder // nil: nobody counts
	held   int
}

// A Holder counts what is held in memory for requests that have not been judged.
type Holder interface {
	// Release ends the counting of a request that counted for n bytes.
	Release(n int)
}

// Hold says that h counts n bytes for the request until LetThrough.
func (i *Info) Hold(h Holder, n int) { i.holder, i.held = h, n }

// LetThrough says that the request has been judged and may be forwarded, or
// that it has been answered: what is held for it is not held for nobody any
// more. It may be called more than once.
func (i *Info) LetThrough() {
	if i.holder != nil {
		i.holder.Release(i.held)
		i.holder = nil
	}
}

// Secure says whether the visitor's connection is https.
func (i *Info) Secure() bool { return i.Scheme == "https" }

type infoKey struct{}

// Value serves context.Context.
func (i *Info) Value(key any) any {
	if _, ok := key.(infoKey); ok {
		return i
	}
	return i.Context.Value(key)
}

// With puts info into the context; Begin does so for every request. The info
// belongs to that one request from now on.
func With(ctx context.Context, info *Info) context.Context {
	info.Context = ctx
	return info
}

// From gives the request's Info. It is never nil: without Begin (as in a
// unit test) it is an empty one that nobody else sees.
func From(ctx context.Context) *Info {
	if info, ok := ctx.Value(infoKey{}).(*Info); ok {
		return info
	}
	return &Info{Context: ctx, Scheme: "http"}
}

// A Middleware wraps a handler.
type Middleware func(http.Handler) http.Handler

// Chain wraps h; the first of ms is the outermost.
func Chain(h http.Handler, ms ...Middleware) http.Handler {
	for _, m := range slices.Backward(ms) {
		h = m(h)
	}
	return h
}

// A Handler is an http.Handler that leaves its failures to others. It has
// written nothing when it returns an error.
type Handler func(w http.ResponseWriter, r *http.Request) error

// IsNavigation says whether a person is going to a page, so that a redirect
// or an HTML answer is of use: Sec-Fetch-Mode is navigate or, from clients
// without fetch metadata, Accept names text/html and there is no
// X-Requested-With (the header that XMLHttpRequest libraries set).
func IsNavigation(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate" && r.Header.Get("Upgrade") == ""
	}
	return acceptsHTML(r.Header) && r.Header.Get("X-Requested-With") == "" && r.Header.Get("Upgrade") == ""
}
