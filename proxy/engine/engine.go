// Package engine sends a request to an upstream and the answer to the client. It
// knows HTTP, and nothing of logins, rules or routes. It sends what a Request
// holds: the caller has decided that the request may pass, and has removed what
// must not.
//
// HTTP1 speaks HTTP/1.1 by itself, TransportUpstream speaks HTTP/2 by way of
// http.Transport, HTTPS chooses between the two, and Balanced distributes requests
// over several upstreams. All of them drive the client's side through Visitor.
package engine

import (
	"net/http"
	"time"
)

// A Request is a request to an upstream, made of the client's one. A Request is
// used for one call of Forward.
type Request struct {
	// In is the client's request. Its body, length, trailers, version and context
	// are used; of its header only whether there is a Content-Length. A trailer is
	// sent on if its name is in In.Trailer at the time of the call: delete the
	// others there.
	In     *http.Request
	Method string
	Target string // path and query, sent byte for byte in the request line
	Host   string // the Host header
	Header Header // end-to-end fields, in the order in which they are sent. Forward may modify it; hop-by-hop fields are left out
	// Upgrade is the protocol to ask for with Connection: Upgrade, as the
	// client spelled it; "": none.
	Upgrade string
	// Trailers means that the client sent TE: trailers, which the upstream is told.
	Trailers bool
	MaxBody  int64 // bytes of the client's body; 0: no limit. A longer body is an Error of Kind TooLarge

	// Member is the ID of the member of a Balanced that gets the request if it is
	// not out; "": any. Other upstreams ignore it.
	Member string
	// Chosen is called by a Balanced with the ID of each member that is asked, so
	// the last call before Answer names the one that answers. May be nil.
	Chosen func(id string)

	// Owner identifies the person that the request is made for. A connection to
	// the upstream that was signed in by NTLM or Negotiate only carries requests of
	// the same VisitorConn and the same Owner. "" is an owner too: nobody.
	Owner string
	// Shared means that the client's connection carries requests of several people
	// who cannot be told apart. No such connection is kept for any of them.
	Shared bool

	offerHTTP2 bool   // a new connection may choose HTTP/2: errSpeaksHTTP2
	once       bool   // the connection is used for this request alone, and the upstream is told so
	again      bool   // another upstream can be asked after an Error of Kind Connect: the body must not be consumed
	kept       []byte // a small body that was read before the connection failed

	// Breaker cancels the request from outside. The Error has Kind VisitorFault
	// then. May be nil.
	Breaker *Canceler

	// Answer is called with the head of each answer (1xx but 100, 101 and the final
	// one) before anything of it is sent to the client. Hop-by-hop fields have been
	// removed; the fields of the caller are there. It may modify h. An error of it
	// is returned by Forward in an Error of Kind Refused, and the answer is not
	// sent. nil: answers are sent as they are.
	Answer func(status int, h http.Header) error
	// Trailer is called with the answer's trailers before they are sent, and may
	// modify them. nil: they are sent as they are.
	Trailer func(h http.Header)
	// Broke is called with an Error of Kind Truncated when an answer breaks off
	// behind its head and the upstream is to blame. May be nil.
	Broke func(e *Error)
	// Switched is called when the connection has been handed over to another
	// protocol. ended is called when that connection has ended. May be nil.
	Switched func() (ended func())
	// FromVisitor is called with each piece that the client sends after that, before
	// it is sent on. It must neither modify nor keep p. May be nil.
	FromVisitor func(p []byte)
}

// An Upstream is an application server, or several, that requests are sent to. It
// is safe for concurrent use.
type Upstream interface {
	// Forward sends r and streams the answer to w, which should implement Visitor
	// or be one of net/http's.
	//
	// It returns an *Error as long as no final head has been written to w (1xx may
	// have been), so that the caller can answer instead. Once the head has been
	// written, a failure panics with http.ErrAbortHandler, after what has come of
	// the answer was sent: half an answer must not look whole.
	//
	// Fields that are in w.Header() before the call belong to the caller: they are
	// sent with the answer, and the upstream can neither replace nor add to them.
	// After an Error w.Header() holds them alone, and Connection: close if the
	// client's body has not been read to its end.
	Forward(w http.ResponseWriter, r *Request) error

	// Close closes idle connections. Requests under way go on to their end.
	Close()
}

// Timeouts bound how long an upstream and a client may take. 0: no bound.
type Timeouts struct {
	Connect  time.Duration // to connect, TLS included
	Response time.Duration // from the end of the request to the head of the final answer, and for the upstream to take more of a body
	// Stall is how long a client may send nothing of a body that is waited for, or
	// take nothing of an answer. A client gets an eighth more at most. An upstream
	// that has begun its answer may be silent without limit.
	Stall time.Duration
}

// The kinds of an Error. They are labels of the metric
// gatehouse_upstream_errors_total.
const (
	Connect      = "connect"   // no connection
	Timeout      = "timeout"   // connected, but no answer in time
	Protocol     = "protocol"  // the answer is not valid HTTP
	Aborted      = "aborted"   // the connection broke before the answer's head was whole
	Truncated    = "truncated" // the answer broke off behind its head: for Request.Broke and RoundTrip only
	TooLarge     = "too_large" // the client's body is over MaxBody
	VisitorFault = "visitor"   // the client left, stalled, or sent a broken body, or the request was cancelled
	Refused      = "refused"   // Request.Answer refused the answer
	Invalid      = "invalid"   // the Request cannot be written as HTTP/1.1 (a CR in a value, say); nothing was sent
)

// An Error is why there is no answer of the upstream.
type Error struct {
	Kind string
	Err  error
}

func (e *Error) Error() string { return e.Kind + ": " + e.Err.Error() }

// Unwrap returns Err.
func (e *Error) Unwrap() error { return e.Err }
