// Package engine carries one judged request to an upstream and the answer
// back. It knows HTTP and nothing of logins, rules or routes: what it is given
// in a Request is sent, and what must not pass was taken out before.
package engine

import (
	"net/http"
	"time"
)

// A Request is what goes to the upstream, beside the visitor's request that
// it was made of.
type Request struct {
	// In is the visitor's: body, length, trailers, context; of its header only
	// whether there was a Content-Length. A trailer is sent on when its name
	// stands in In.Trailer at the time of the call: take out the others there.
	In     *http.Request
	Method string
	Target string // the request target as it stands in the request line: path and query, byte for byte
	Host   string // the Host header
	Header Header // end-to-end fields; the engine owns it from now on. No hop-by-hop field is in it
	// Upgrade is the protocol to ask for with Connection: Upgrade, as the
	// visitor spelled it; "": none.
	Upgrade string
	// Trailers says that the visitor sent TE: trailers, which is told on.
	Trailers bool
	MaxBody  int64 // bytes of the visitor's body; 0: no limit. One more is an Error with Kind TooLarge

	// Member is the ID of the member of a Balanced that should get the request,
	// if it is well; "": any. Other upstreams do not look at it.
	Member string
	// Chosen is called by a Balanced with the ID of the member that is asked
	// next; before Answer, the last call counts. nil: nobody cares.
	Chosen func(id string)

	// Owner is for whom the request is. A connection to the upstream that was
	// signed in by NTLM or Negotiate carries requests of the same VisitorConn and
	// the same Owner alone. "": nobody in particular.
	Owner string
	// Shared says that the visitor's connection carries requests of several
	// people who cannot be told apart: no such connection is kept for any of them.
	Shared bool

	offerHTTP2 bool   // a new connection may turn out to speak HTTP/2: errSpeaksHTTP2
	once       bool   // the connection is used for this request alone, and the upstream is told so
	again      bool   // there is another upstream to ask after Kind Connect: the visitor's body must stay as it is
	kept       []byte // a small body that was read before the connection failed

	// Breaker breaks the request off from outside; nil: nobody does. An
	// Error has Kind VisitorFault then.
	Breaker *Canceler

	// Answer is called with the head of each answer (1xx, 101 and the final
	// one) before anything of it is sent to the visitor; hop-by-hop fields
	// have been taken out. It may change h. An error refuses the answer: the
	// visitor gets the error instead. nil: answers pass as they are.
	Answer func(status int, h http.Header) error
	// Trailer is called with the answer's trailers before they are sent; it may
	// change them. nil: they pass as they are.
	Trailer func(h http.Header)
	// Broke is told why an answer that has begun breaks off, where that is the
	// upstream's fault: an Error of Kind Truncated. nil: nobody cares.
	Broke func(e *Error)
	// Switched is told that the connection has been handed over to another
	// protocol; its result is called when that has ended. nil: nobody cares.
	Switched func() (ended func())
	// FromVisitor is told what the visitor sends after that, piece by piece,
	// before it is sent on. It must not change it. nil: nobody cares.
	FromVisitor func(p []byte)
}

// An Upstream is where requests go. Safe for concurrent use.
type Upstream interface {
	// Forward sends r and streams the answer to w. It returns an *Error
	// while no final head has been written to w (1xx may have been), so that
	// the caller can answer. Once the answer's head has been sent, a failure
	// panics with http.ErrAbortHandler: half an answer must not look whole. What
	// has come of it is sent before.
	//
	// Fields that stand in w.Header() before the call are the caller's own:
	// they go out with the answer, and the upstream can neither replace nor
	// add to them. After an Error they alone are there still, and Connection:
	// close where the visitor's body has not been read to its end.
	Forward(w http.ResponseWriter, r *Request) error

	// Close drops idle connections; requests under way end by themselves.
	Close()
}

// Timeouts bound what an upstream and a visitor may take; 0: no bound.
type Timeouts struct {
	Connect  time.Duration // to connect, TLS included
	Response time.Duration // from the end of the request to the head of the final answer; an upstream that takes nothing of a body for so long does not answer either
	// Stall is how long a visitor may neither send the body bytes that are
	// waited for nor take those that are offered. An upstream that has begun
	// its answer may be silent for as long as it likes.
	Stall time.Duration
}

// The kinds of an Error; they are labels of gatehouse_upstream_errors_total.
const (
	Connect      = "connect"   // no connection
	Timeout      = "timeout"   // connected, but no answer in time
	Protocol     = "protocol"  // an answer that is not HTTP as it should be
	Aborted      = "aborted"   // the connection broke before the answer's head was whole
	Truncated    = "truncated" // the answer broke off behind its head; only Request.Broke gets it
	TooLarge     = "too_large" // the visitor's body is over MaxBody: not the upstream's fault
	VisitorFault = "visitor"   // the visitor left, stalled, or sent a broken body: not the upstream's fault
	Refused      = "refused"   // Request.Answer refused the answer
	Invalid      = "invalid"   // the Request cannot be put into HTTP/1.1 (a CR in a value, say): nothing was sent, the caller's fault
)

// An Error says why there is no answer of the upstream.
type Error struct {
	Kind string
	Err  error
}

func (e *Error) Error() string { return e.Kind + ": " + e.Err.Error() }

// Unwrap gives Err.
func (e *Error) Unwrap() error { return e.Err }
