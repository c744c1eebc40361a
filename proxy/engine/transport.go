package engine

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/textproto"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"gatehouse/internal/httpfield"
)

// TransportOptions configure a TransportUpstream. Address is required.
type TransportOptions struct {
	Network string // "tcp" or "unix"; "": tcp
	Address string // host:port, or the path of a unix socket
	// TLS is used for every connection; its ServerName is the name that the
	// certificate must be valid for. HTTP/2 is used if the upstream chooses it by
	// ALPN. nil: plain HTTP/1.1, or see H2C.
	TLS *tls.Config
	// H2C: without TLS, HTTP/2 is spoken with prior knowledge (RFC 9113, 3.3), and
	// HTTP/1.1 only for requests with an Upgrade. It is ignored with TLS.
	H2C      bool
	Timeouts Timeouts // zero fields: no limit
	// IdleTimeout and NoReuse are those of HTTP1Options.
	IdleTimeout time.Duration
	NoReuse     bool

	onlyHTTP2 bool      // with TLS: fail with errNoHTTP2 if the upstream does not choose HTTP/2
	at        *privates // the lanes to share with another upstream; nil: lanes of its own
}

// TransportUpstream is an Upstream on top of http.Transport, for upstreams that
// speak HTTP/2. Requests with an Upgrade go through an HTTP1 instead, since HTTP/2
// has no Upgrade. It is safe for concurrent use.
//
// A connection that has been signed in by NTLM or Negotiate serves one visitor only,
// as with HTTP1. As a Transport does not tell its connections apart, that visitor gets
// a Transport of their own.
type TransportUpstream struct {
	o         TransportOptions
	transport atomic.Pointer[http.Transport]
	switching *HTTP1    // for requests with an Upgrade
	buffers   sync.Pool // of *[]byte, each transportBuffer long
	private   *privates // the visitors with Transports of their own
	own       bool      // this upstream itself serves one visitor only
}

// errNoHTTP2 means that the upstream did not choose HTTP/2 by ALPN. Nothing of the
// request has been sent then: it can still be sent over HTTP/1.1.
var errNoHTTP2 = errors.New("upstream does not speak HTTP/2")

const (
	transportBuffer = 32 << 10 // bytes of an answer's body that are copied at a time
	transportIdle   = 128      // most idle connections
)

// NewTransport returns an upstream. It does not connect: an upstream that cannot be
// reached fails requests, with an Error of kind Connect. Call Close when it is no
// longer used.
func NewTransport(o TransportOptions) *TransportUpstream {
	if o.Network == "" {
		o.Network = "tcp"
	}
	if o.IdleTimeout == 0 {
		o.IdleTimeout = defaultIdle
	}
	u := &TransportUpstream{o: o, private: o.at, buffers: sync.Pool{New: func() any {
		b := make([]byte, transportBuffer)
		return &b
	}}}
	if u.private == nil {
		u.private = &privates{}
	}
	u.transport.Store(o.newTransport())
	u.switching = NewHTTP1(HTTP1Options{Network: o.Network, Address: o.Address, TLS: o.TLS, Timeouts: o.Timeouts, IdleTimeout: o.IdleTimeout, NoReuse: o.NoReuse})
	return u
}

// newTransport returns a Transport that sends what the visitor sent and adds nothing:
// no environment proxy, no Accept-Encoding. With onlyHTTP2 it dials TLS by itself, since
// http.Transport would fall back to HTTP/1.1 silently.
func (o TransportOptions) newTransport() *http.Transport {
	dialer := &net.Dialer{Timeout: o.Timeouts.Connect}
	t := &http.Transport{ // no Proxy: the environment must not redirect requests
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return dialer.DialContext(ctx, o.Network, o.Address)
		},
		TLSClientConfig:        o.TLS.Clone(), // Transport modifies it
		TLSHandshakeTimeout:    o.Timeouts.Connect,
		DisableCompression:     true,
		DisableKeepAlives:      o.NoReuse,
		MaxIdleConnsPerHost:    transportIdle,
		IdleConnTimeout:        max(o.IdleTimeout, 0),
		ResponseHeaderTimeout:  o.Timeouts.Response,
		ExpectContinueTimeout:  defaultContinue,
		MaxResponseHeaderBytes: maxHead,
		ForceAttemptHTTP2:      o.TLS != nil,
	}
	switch {
	case o.TLS == nil && o.H2C:
		t.Protocols = new(http.Protocols)
		t.Protocols.SetUnencryptedHTTP2(true)
	case o.onlyHTTP2:
		t.DialTLSContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
			c, _, err := dialTLS(ctx, dialer, o.Network, o.Address, o.TLS, true)
			if err != nil {
				return nil, err
			}
			if c.ConnectionState().NegotiatedProtocol != alpnHTTP2 {
				_ = c.Close()
				return nil, errNoHTTP2
			}
			return c, nil
		}
	}
	return t
}

// Close closes idle connections, including those of single visitors. Requests under
// way are completed. It may be called more than once.
func (u *TransportUpstream) Close() {
	u.transport.Load().CloseIdleConnections()
	u.switching.Close()
	u.private.close()
}

// retire makes later requests use new connections only. Requests under way are
// completed. It is called when a connection may be about to be signed in: nobody else
// may get that one, and http.Transport cannot be told to drop a single connection.
func (u *TransportUpstream) retire() {
	old := u.transport.Swap(u.o.newTransport())
	old.CloseIdleConnections() // those in use close after IdleTimeout
}

// Forward implements Upstream.
//
// If an idle connection turns out to be dead, the request is sent again on another one,
// provided that it has no body and its method is idempotent (RFC 9110, 9.2.2), or that
// none of its bytes was written.
func (u *TransportUpstream) Forward(w http.ResponseWriter, r *Request) error {
	if to, done := u.forVisitor(r); to != u {
		defer done()
		return to.Forward(w, r)
	}
	if r.Upgrade != "" && httpfield.IsValue(r.Upgrade) { // an invalid one is refused below, before anything is connected
		return u.switching.Forward(w, r)
	}
	x := &transportExchange{up: u}
	e := x.init(w, r, u.o.Timeouts.Stall)
	if e == nil {
		x.waitsForContinue()
		e = x.run()
	}
	if e != nil && errors.Is(e, errStale) {
		x.over, x.interims = false, 0
		e = x.run()
	}
	if e != nil && e.Kind == Connect && (r.again || errors.Is(e, errNoHTTP2)) {
		return e // the body is untouched: the caller may try another upstream
	}
	x.abandonBody()
	if e != nil {
		return e
	}
	return nil
}

// forVisitor returns the upstream that r has to use: u itself, or the visitor's own if
// they have one or r continues a handshake of NTLM or Negotiate. If none can be kept for
// the visitor, it returns one for this request only. The caller must call done after
// use, whichever it is.
func (u *TransportUpstream) forVisitor(r *Request) (to *TransportUpstream, done func()) {
	done = func() {}
	if u.own || u.o.onlyHTTP2 { // the caller has already decided
		return u, done
	}
	l := u.private.of(r)
	handshake := binds(r.Header.Get("Authorization"))
	switch {
	case l == nil && !handshake:
		return u, done
	case l == nil:
		l = u.private.open(r)
	}
	if l != nil {
		return u.private.transport(l, u.o), done
	}
	to = newOwn(u.o) // for this request only
	return to, to.Close
}

// newOwn returns an upstream for one visitor. It never looks for another visitor's
// lane, so Forward does not recurse further.
func newOwn(o TransportOptions) *TransportUpstream {
	u := NewTransport(o)
	u.own = true
	return u
}

// run sends the request to the upstream and the answer to the visitor. An Error means
// that nothing of the final answer has been sent; after its head, run panics with
// http.ErrAbortHandler. Forward takes care of the rest of an unread body.
//
// The body must be stopped before run returns, on every path: Transport may read it on a
// goroutine that outlives RoundTrip. Deferred calls run in reverse order, and the one
// that is added last has to run first.
func (x *transportExchange) run() *Error {
	ctx, cancel := context.WithCancel(x.r.In.Context())
	defer cancel()
	x.r.Breaker.Arm(cancel)
	defer x.r.Breaker.Arm(nil)
	out, e := x.request(ctx)
	if e != nil {
		return e
	}
	if x.sent != nil {
		x.sent.giveUp = cancel
		defer x.body.stop()
		// Even when its context has ended, Transport waits for a read of the body that
		// is under way. So a cancelled request has to interrupt that read as well.
		x.r.Breaker.Arm(func() { cancel(); x.body.close() })
	}
	res, err := x.up.transport.Load().RoundTrip(out)
	x.interimOver()
	if x.sent != nil {
		x.sent.answered()
	}
	if err != nil {
		x.resetHeaders()
		return x.classifyError(err)
	}
	defer res.Body.Close() //nolint:errcheck // nothing can be done about it
	if x.sent != nil {
		// This runs before res.Body.Close, which over HTTP/2 waits for a read that
		// is under way.
		defer x.body.stop()
	}
	return x.answer(res)
}

// A transportExchange is one request over http.Transport and its answer. The atomic
// fields are set by httptrace hooks on Transport's goroutines.
type transportExchange struct {
	client
	up   *TransportUpstream
	sent *transportBody // the body as Transport reads it; nil: no body, or it is in Request.kept

	connected atomic.Bool
	reused    atomic.Bool // the connection has served another request before
	answering atomic.Bool // the first byte of an answer has arrived

	mu       sync.Mutex // guards what follows, and is held while an interim answer is sent
	over     bool       // RoundTrip has returned: interim answers are ignored
	interims int        // how many have been received; at most maxInterim
	refused  *Error     // why an interim answer was refused; nil: none was
}

// request returns the request for http.Transport, or an Error of kind Invalid. The
// target is sent byte for byte. Its hooks record how far the request has come, on
// which classifyError decides whether it may be repeated.
func (x *transportExchange) request(ctx context.Context) (*http.Request, *Error) {
	in, r := x.r.In, x.r
	header, e := transportHeader(r)
	if e != nil {
		return nil, e
	}
	u := &url.URL{Scheme: "http", Host: x.up.o.Address}
	if x.up.o.TLS != nil {
		u.Scheme = "https"
	}
	if x.up.o.Network == "unix" {
		u.Host = "localhost"
	}
	if err := setTarget(u, r.Target); err != nil {
		return nil, &Error{Kind: Invalid, Err: err}
	}
	out := (&http.Request{
		Method: r.Method, URL: u, Host: r.Host, Header: header, ContentLength: x.body.length,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
	}).WithContext(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) {
			x.connected.Store(true)
			x.reused.Store(i.Reused)
		},
		GotFirstResponseByte: func() { x.answering.Store(true) },
		Got1xxResponse:       x.interim,
	}))
	x.hopFields(out)
	switch {
	case r.kept != nil:
		x.body.whole.Store(true)
		out.Body = io.NopCloser(bytes.NewReader(r.kept))
	case x.body.length == 0:
		if len(in.Header["Content-Length"]) > 0 && r.Method != http.MethodGet && r.Method != http.MethodHead {
			out.TransferEncoding = []string{"identity"} // makes Transport send Content-Length: 0
		}
	default:
		x.sent = newTransportBody(&x.body, r, x.up.o.Timeouts.Response)
		out.Body, out.Trailer = x.sent, x.sent.trailer
	}
	return out, nil
}

// hopFields adds TE: trailers if the visitor accepts trailers, and keeps Transport from
// adding fields that the visitor did not send.
func (x *transportExchange) hopFields(out *http.Request) {
	h := out.Header
	if x.r.Trailers {
		h["Te"] = []string{"trailers"}
	}
	if _, ok := h["User-Agent"]; !ok {
		h["User-Agent"] = []string{""}
	}
	// Transport would repeat any request with one of these fields. It does not
	// recognise them in lower case, which means the same to the upstream.
	for _, name := range []string{"Idempotency-Key", "X-Idempotency-Key"} {
		if v, ok := h[name]; ok {
			delete(h, name)
			h[strings.ToLower(name)] = v
		}
	}
}

// transportHeader returns a copy of the request's header without Host, Content-Length
// and hop-by-hop fields, which the engine sets itself. It returns an Error of kind
// Invalid for a request that cannot be written as HTTP/1.1. Transport refuses those as
// well, but its error would look like a failure of the upstream.
func transportHeader(r *Request) (http.Header, *Error) {
	header := r.Header.mapped()
	ok := httpfield.IsToken(r.Method) && r.Method != http.MethodConnect && validTarget(r.Target) &&
		(r.Host == "" || validTarget(r.Host)) && httpfield.IsValue(r.Upgrade)
	for name, values := range header {
		if name := textproto.CanonicalMIMEHeaderKey(name); name == "Host" || name == "Content-Length" || hopByHop(name) {
			delete(header, name)
			continue
		}
		ok = ok && httpfield.IsToken(name)
		for _, v := range values {
			ok = ok && httpfield.IsValue(v)
		}
	}
	if !ok {
		return nil, &Error{Kind: Invalid, Err: errInvalid}
	}
	return header, nil
}

// setTarget makes u.RequestURI return target, byte for byte: the upstream must see the
// path on which access was decided. It returns an error for the few targets for which
// net/url cannot do that.
func setTarget(u *url.URL, target string) error {
	path, query, has := strings.Cut(target, "?")
	u.RawQuery, u.ForceQuery = query, has && query == ""
	if !strings.HasPrefix(path, "//") {
		u.Opaque = path
		return nil
	}
	// net/url reads an Opaque of //a/b as an authority.
	plain, err := url.PathUnescape(path)
	if err != nil {
		return fmt.Errorf("target %q: %w", target, err)
	}
	u.Path, u.RawPath = plain, path
	if u.EscapedPath() != path {
		return fmt.Errorf("target %q begins with two slashes and has characters that must be escaped", target)
	}
	return nil
}

// interim sends a 1xx answer to the visitor. Transport calls it on a goroutine of its
// own, possibly after RoundTrip has returned: from then on it does nothing, because the
// final answer owns Header(). An error ends the exchange, with x.refused as its reason.
func (x *transportExchange) interim(status int, header textproto.MIMEHeader) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.over {
		return nil
	}
	if x.interims++; x.interims > maxInterim {
		x.refused = &Error{Kind: Protocol, Err: errors.New("there are too many interim answers")}
		return x.refused
	}
	if err := x.take(status, http.Header(header)); err != nil {
		x.resetHeaders()
		x.refused = &Error{Kind: Refused, Err: err}
		return x.refused
	}
	x.writeInterim(status)
	return nil
}

// interimOver waits for an interim answer that is being sent, and prevents others. It is
// called before the final answer is written.
func (x *transportExchange) interimOver() {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.over = true
}

// take copies the upstream's end-to-end fields into Header(), except those that the
// caller has set, and calls Request.Answer, whose error it returns. Fields named in
// Connection are hop-by-hop (RFC 9110, 7.6.1) and left out.
func (x *transportExchange) take(status int, from http.Header) error {
	h := x.Header()
	nominated := from["Connection"]
	for name, values := range from {
		if !hopByHop(name) && !httpfield.HasToken(nominated, name) && !slices.Contains(x.own, name) {
			h[name] = values
		}
	}
	if x.r.Answer != nil {
		return x.r.Answer(status, h)
	}
	return nil
}

// answer sends the final answer. An Error means that nothing has been sent. It panics
// with http.ErrAbortHandler if the answer cannot be completed after its head.
func (x *transportExchange) answer(res *http.Response) *Error {
	if res.StatusCode < http.StatusOK {
		return &Error{Kind: Protocol, Err: fmt.Errorf("status %d", res.StatusCode)}
	}
	if err := x.take(res.StatusCode, res.Header); err != nil {
		x.resetHeaders()
		return &Error{Kind: Refused, Err: err}
	}
	x.claim(x.Header())
	x.writeHead(res.StatusCode, reasonOf(res))
	if err := x.copyBody(res); err != nil {
		x.breakOff(err, errors.Is(err, errBroke))
	}
	return nil
}

// reasonOf returns the reason phrase of an answer. HTTP/2 has none, so its answers get
// the standard phrase of their status.
func reasonOf(res *http.Response) string {
	if res.ProtoMajor > 1 {
		return http.StatusText(res.StatusCode)
	}
	return strings.TrimSpace(strings.TrimPrefix(res.Status, strconv.Itoa(res.StatusCode)))
}

// claim reserves connections for the visitor, from the next request on, if the answer
// asks for a login that signs in the connection (NTLM or Negotiate).
func (x *transportExchange) claim(h http.Header) {
	if challenge := h["Www-Authenticate"]; challenge != nil && binds(challenge) && !x.up.own {
		x.up.private.open(x.r)
		x.up.retire()
	}
}

// errBroke marks errors of reading the body: the upstream broke off its answer.
var errBroke = errors.New("read body")

// copyBody copies the body and the trailers. What has been read is flushed at once, so
// that streams arrive without delay, unless the buffer was full and more is about to
// come, or the body is complete. An error of the upstream is errBroke; any other one is
// the visitor's.
func (x *transportExchange) copyBody(res *http.Response) error {
	buf := x.up.buffers.Get().(*[]byte) //nolint:forcetypeassert // it holds nothing else
	defer x.up.buffers.Put(buf)
	left := res.ContentLength // -1: unknown
	if left < 0 {
		x.flush()
	}
	for {
		x.disarmWrite()
		n, err := res.Body.Read(*buf)
		if n > 0 {
			left -= int64(n)
			if err := x.write((*buf)[:n]); err != nil {
				return fmt.Errorf("write body: %w", err)
			}
			if left != 0 && n < len(*buf) {
				x.flush()
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return fmt.Errorf("%w: %w", errBroke, err)
		}
	}
	if err := res.Request.Context().Err(); err != nil && res.ContentLength < 0 {
		// The upstream may have closed the connection because the request was
		// cancelled. That is not the end of a body that ends with the connection.
		return fmt.Errorf("read body: %w", err)
	}
	x.addTrailers(res.Trailer)
	x.armWrite() // net/http sends the end of the body when the handler has returned
	return nil
}

// classifyError returns why there is no answer. The order of the cases matters: the
// visitor's fault comes first, because it usually causes an error of the upstream as
// well. The error is errStale if the request may be repeated: the reused connection
// was dead, nothing has been answered, there is no body and the method is idempotent.
func (x *transportExchange) classifyError(err error) *Error {
	var dial *net.OpError
	var timeout net.Error
	switch {
	case x.body.fault.Load() != nil:
		return x.body.fault.Load()
	case x.refused != nil:
		return x.refused
	case x.r.Breaker.Broken():
		return &Error{Kind: VisitorFault, Err: errBroken}
	case x.r.In.Context().Err() != nil && !x.body.wasInterrupted():
		return gone(x.r.In.Context())
	case x.sent != nil && x.sent.late.Load():
		return &Error{Kind: Timeout, Err: fmt.Errorf("body is not taken, and no answer within %v", x.up.o.Timeouts.Response)}
	case !x.connected.Load(), errors.As(err, &dial) && dial.Op == "dial":
		return &Error{Kind: Connect, Err: err}
	case errors.As(err, &timeout) && timeout.Timeout():
		return &Error{Kind: Timeout, Err: err}
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, net.ErrClosed),
		errors.Is(err, syscall.ECONNRESET), errors.Is(err, syscall.EPIPE), errors.Is(err, os.ErrDeadlineExceeded):
		if x.reused.Load() && !x.answering.Load() && x.sent == nil && idempotent(x.r.Method) {
			return &Error{Kind: Aborted, Err: errStale}
		}
		return &Error{Kind: Aborted, Err: err}
	default:
		return &Error{Kind: Protocol, Err: err}
	}
}
