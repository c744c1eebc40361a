// Package web holds what all our answers have in common: the chain of middlewares
// that every request passes (RequestInfo, RecordAnswer, Recover), what it finds out
// about a request (Info), errors with one text for the visitor and another for the
// log (Error), the one wrapper of http.ResponseWriter (Recorder), and the look and
// the headers of our own pages (Page, Branding).
//
// A Handler returns an error instead of writing one. Pages.Answer is the one place
// that turns errors into pages or problem+json.
package web

import (
	"context"
	"net/http"
	"net/netip"
	"slices"
)

// Info is what the chain knows about a request, and what the handlers behind it add
// for the access log. It has no lock, because one goroutine serves a request; a
// goroutine that outlives the handler must copy what it needs.
//
// An Info is the context of its request itself, so that carrying it costs no
// further allocation.
type Info struct {
	context.Context //nolint:containedctx // an Info is a context, as the result of context.WithValue is one

	ID     string     // the request's id, in logs, on error pages, and sent upstream
	Peer   netip.Addr // the other end of the connection; invalid for a unix socket
	Client netip.Addr // the visitor: Peer, or who trusted proxies say it is
	// Trusted reports whether the peer is one of trusted_proxies, so that its
	// X-Forwarded-* were taken over.
	Trusted bool
	Scheme  string // "http" or "https", as the visitor sees it
	Host    string // host[:port] as the visitor sees it, as sent; not yet checked
	// Port is the port that the visitor's browser connects to, according to a trusted
	// proxy; "" if none says so. A port in Host takes precedence.
	Port string

	Route   string // host and path of the route in the configuration, for logs and metrics; "": none
	User    string // the name of who made the request; "" if nobody is signed in or nobody was looked up
	Session string // the public handle of the session; "" if there is none
	Failure error  // what went wrong, for the logs; nil: nothing

	idLine [1]string // X-Request-Id of the answer

	holder Holder // nil: nothing is counted
	held   int
}

// A Holder counts the memory that is held for requests of which it has not been decided
// yet whether they may pass.
type Holder interface {
	// Release gives back the n bytes that were counted for a request.
	Release(n int)
}

// Hold notes that h counts n bytes for the request until LetThrough is called.
func (i *Info) Hold(h Holder, n int) { i.holder, i.held = h, n }

// LetThrough releases what Hold has noted. Call it when it has been decided that the
// request may pass, or it has been answered. It may be called more than once.
func (i *Info) LetThrough() {
	if i.holder != nil {
		i.holder.Release(i.held)
		i.holder = nil
	}
}

// Secure reports whether the visitor's connection is https.
func (i *Info) Secure() bool { return i.Scheme == "https" }

type infoKey struct{}

// Value implements context.Context.
func (i *Info) Value(key any) any {
	if _, ok := key.(infoKey); ok {
		return i
	}
	return i.Context.Value(key)
}

// With returns a context that carries info, as RequestInfo does for every request. The
// result is info itself, so an Info must not be used for a second request.
func With(ctx context.Context, info *Info) context.Context {
	info.Context = ctx
	return info
}

// From returns the Info of the request with this context. It is never nil: where
// RequestInfo has not run, as in a unit test, it is a new one for this call.
func From(ctx context.Context) *Info {
	if info, ok := ctx.Value(infoKey{}).(*Info); ok {
		return info
	}
	return &Info{Context: ctx, Scheme: "http"}
}

// A Middleware wraps a handler.
type Middleware func(http.Handler) http.Handler

// Chain wraps h in the middlewares; the first of ms is the outermost.
func Chain(h http.Handler, ms ...Middleware) http.Handler {
	for _, m := range slices.Backward(ms) {
		h = m(h)
	}
	return h
}

// A Handler is an http.Handler that leaves its failures to Pages.Answer. It must
// have written nothing when it returns an error.
type Handler func(w http.ResponseWriter, r *http.Request) error

// IsNavigation reports whether a person is going to a page, so that a redirect or an
// HTML answer is of use: Sec-Fetch-Mode is navigate or, from clients without fetch
// metadata, Accept names text/html and there is no X-Requested-With (which
// XMLHttpRequest libraries set). A request with Upgrade is none.
func IsNavigation(r *http.Request) bool {
	if mode := r.Header.Get("Sec-Fetch-Mode"); mode != "" {
		return mode == "navigate" && r.Header.Get("Upgrade") == ""
	}
	return acceptsHTML(r.Header) && r.Header.Get("X-Requested-With") == "" && r.Header.Get("Upgrade") == ""
}
