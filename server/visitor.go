package server

import (
	"bytes"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/proxy/engine"
)

// A visitor is the connection of one client, as net/http sees it: HTTP is read
// from it and written to it, also if there is TLS below. It adds what net/http
// lacks:
//
//   - memory for requests that have not been decided on counts against a budget,
//   - an HTTP/2 header block must end in time (over HTTP/1, net/http ensures that),
//   - a client that has only closed its sending side does not count as gone,
//   - a client that still sends a body which is not read can read the response
//     (see lingerThenClose),
//   - over TLS, responses of net/http itself have Strict-Transport-Security,
//   - the application's reason phrase is passed on (over HTTP/2 there is none).
//
// net/http must not know that there is TLS: it uses our Read and Write for HTTP/2
// only if it takes the connection for a plain one.
//
// At most one goroutine reads and one writes at a time. Close and the deadlines
// may be called from any goroutine.
type visitor struct {
	net.Conn // the connection below: TLS, or the socket itself
	socket   net.Conn
	secure   *tls.Conn            // nil: plain
	state    *tls.ConnectionState // nil: plain, or no handshake yet
	frames   *frames              // nil: not HTTP/2
	spoken   bool                 // bytes of HTTP/1 have been read
	block    blockWatch           // for HTTP/2
	holding  holding
	times    visitorTimes
	log      *slog.Logger
	hsts     func() string // value of Strict-Transport-Security for responses of net/http itself; nil: none
	leave    func()        // called once, when the connection is closed; may be nil
	closed   atomic.Bool
	lingers  atomic.Bool // a response over HTTP/1 was sent in the middle of a body: see lingerThenClose

	own    *engine.VisitorConn // connections to upstreams that only this visitor uses (NTLM)
	phrase phrase

	between atomic.Bool // no handler has begun since the last response was sent
	half    halfClosed
}

// visitorTimes are timeouts and intervals, shorter in tests.
type visitorTimes struct {
	handshake time.Duration // of TLS
	header    time.Duration // for a header block of HTTP/2
	probe     time.Duration // from the half-close to the first probe
	again     time.Duration // between two probes
	linger    time.Duration // longest pause without a byte in lingerThenClose
	silence   time.Duration // longest pause in a response to a half-closed client, before the client counts as gone
	look      time.Duration // between two examinations of a half-closed socket
}

// usualTimes returns the times of production.
func usualTimes() visitorTimes {
	return visitorTimes{
		handshake: readHeaderTimeout, header: readHeaderTimeout,
		probe: 2 * time.Second, again: 15 * time.Second, linger: 2 * time.Second, silence: 5 * time.Second, look: 100 * time.Millisecond,
	}
}

// newVisitor returns a connection over a socket. If config is not nil it speaks
// TLS, and the first Read performs the handshake. b is the budget that requests
// count against.
func newVisitor(socket net.Conn, config *tls.Config, b *budget, log *slog.Logger) *visitor {
	c := &visitor{Conn: socket, socket: socket, times: usualTimes(), log: log, holding: holding{budget: b}}
	c.between.Store(true)
	c.half.wake = make(chan struct{}, 1)
	if config != nil {
		c.secure = tls.Server(socket, config)
		c.Conn = c.secure
	}
	return c
}

// Read implements net.Conn. While a handler runs, net/http reads a single byte to
// notice when the client leaves: such a Read returns io.EOF only when the client
// has really left, not when it has closed its sending side (see waitForLeave).
func (c *visitor) Read(p []byte) (int, error) {
	if c.secure != nil && c.state == nil {
		if err := c.handshake(); err != nil {
			return 0, err
		}
	}
	n, err := c.Conn.Read(p)
	switch {
	case n > 0:
		if bad := c.account(p[:n]); bad != nil {
			return 0, readError(bad)
		}
	case err == io.EOF && len(p) == 1 && c.frames == nil: //nolint:errorlint // only the bare one is an end
		err = c.waitForLeave()
	}
	return n, err //nolint:wrapcheck // net/http looks at it
}

// readError wraps err so that net/http closes the connection without a response.
func readError(err error) error { return &net.OpError{Op: "read", Net: "visitor", Err: err} }

// errTooMuchHeld is why a connection is closed, or a request refused, if the
// budget is used up.
var errTooMuchHeld = errors.New("too much is held for requests that have not been judged")

// handshake performs the TLS handshake, which has a deadline of its own; the
// first head then has the usual one. A client that speaks plain HTTP gets a 400
// that says so, as from net/http.
func (c *visitor) handshake() error {
	_ = c.secure.SetDeadline(time.Now().Add(c.times.handshake))
	if err := c.secure.Handshake(); err != nil { //nolint:noctx // the deadline bounds it
		c.log.Debug("TLS handshake failed", "client", c.RemoteAddr().String(), "error", err)
		if record, ok := errors.AsType[tls.RecordHeaderError](err); ok && record.Conn != nil && isHTTP(record.RecordHeader) {
			_, _ = io.WriteString(record.Conn, "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nClient sent an HTTP request to an HTTPS server.\n")
		}
		_ = c.Close()
		return readError(fmt.Errorf("TLS handshake: %w", err))
	}
	// The deadline of the handshake has replaced those of net/http: the first
	// head gets its own again.
	_ = c.secure.SetWriteDeadline(time.Time{})
	_ = c.secure.SetReadDeadline(time.Now().Add(readHeaderTimeout))
	state := c.secure.ConnectionState()
	c.state = &state
	if state.NegotiatedProtocol == "h2" {
		c.frames = new(frames)
		c.block.expired = func() { _ = c.socket.Close() }
		c.block.limit = c.times.header
	}
	return nil
}

// isHTTP reports whether the bytes that should be the header of a TLS record
// begin a request in plain HTTP.
func isHTTP(header [5]byte) bool {
	switch string(header[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH":
		return true
	}
	return false
}

// account counts bytes that have been read from the client. After an error the
// connection must be closed.
func (c *visitor) account(p []byte) error {
	if c.frames == nil {
		if c.secure != nil && !c.spoken && bytes.HasPrefix(p, []byte(clientPreface[:4])) {
			return errPreface
		}
		c.spoken = true
		if c.between.Load() && !c.holding.readHead(len(p)) {
			return errTooMuchHeld
		}
		return nil
	}
	was := c.frames.open
	n, err := c.frames.feed(p)
	if err != nil {
		return err
	}
	c.block.follow(c.frames.waiting(), n.blocks > 0)
	ok := true
	switch {
	case c.frames.open:
		ok = c.holding.readHead(n.header)
	case was:
		c.holding.headDone()
	}
	if ok && n.data > 0 {
		ok = c.holding.readData(n.data)
	}
	if !ok {
		return errTooMuchHeld
	}
	return nil
}

// Write implements net.Conn. The first write of a response is treated as its
// head; see writeHead.
func (c *visitor) Write(p []byte) (int, error) {
	if c.half.answered.Load() {
		c.half.writes.Add(1)
		return c.Conn.Write(p) //nolint:wrapcheck // net/http looks at it
	}
	return c.writeHead(p)
}

// writeHead writes the beginning of a response, interim or final. It holds
// half.mu, so that a probe does not end up inside of it.
func (c *visitor) writeHead(p []byte) (int, error) {
	c.half.mu.Lock()
	defer c.half.mu.Unlock()
	if c.between.Load() && c.frames == nil && c.secure != nil && c.hsts != nil {
		// No handler has begun: net/http rejects what it could not parse.
		if _, err := c.Conn.Write(withHSTS(p, c.hsts())); err != nil {
			return 0, err //nolint:wrapcheck // net/http looks at it
		}
		return len(p), nil
	}
	if !interim(p) {
		c.half.answered.Store(true)
	}
	return c.phrase.write(c.Conn, p) //nolint:wrapcheck // net/http looks at it
}

// withHSTS returns the head p with Strict-Transport-Security after the status
// line. If value is empty or p is no head of HTTP/1, it returns p.
func withHSTS(p []byte, value string) []byte {
	line, rest, ok := bytes.Cut(p, []byte("\r\n"))
	if !ok || value == "" || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return p
	}
	return fmt.Appendf(nil, "%s\r\nStrict-Transport-Security: %s\r\n%s", line, value, rest)
}

// interim reports whether p begins an interim response: 1xx other than 101, which
// is final (RFC 9110, 15.2.2).
func interim(p []byte) bool {
	const begin = "HTTP/1.1 1"
	return bytes.HasPrefix(p, []byte(begin)) && !bytes.HasPrefix(p[len(begin):], []byte("01"))
}

// ReadFrom implements io.ReaderFrom. Without TLS, the kernel can move a response
// from socket to socket (splice(2)).
func (c *visitor) ReadFrom(src io.Reader) (int64, error) {
	c.half.answered.Store(true)
	c.half.writes.Add(1)
	if to, ok := c.Conn.(io.ReaderFrom); ok {
		return to.ReadFrom(src) //nolint:wrapcheck // net/http looks at it
	}
	return io.Copy(struct{ io.Writer }{c.Conn}, src) //nolint:wrapcheck // as above
}

// CloseWrite closes the sending side. It returns errors.ErrUnsupported if the
// connection cannot do that.
func (c *visitor) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite() //nolint:wrapcheck // a method of the connection
	}
	return errors.ErrUnsupported
}

// Close implements net.Conn. It may return before the socket is closed: see
// lingerThenClose. A second Close returns net.ErrClosed.
func (c *visitor) Close() error {
	if c.closed.Swap(true) {
		return net.ErrClosed
	}
	c.half.interrupt()
	c.block.stop()
	c.holding.clear()
	if c.lingers.Load() {
		go c.lingerThenClose()
		return nil
	}
	return c.closeNow()
}

// closeNow closes the connection and the socket, and calls leave.
func (c *visitor) closeNow() error {
	err := c.Conn.Close()
	if c.leave != nil {
		c.leave()
	}
	return err //nolint:wrapcheck // net/http looks at it
}

// begin is called when the handler of a request begins. http10 means that the
// client understands no interim responses.
func (c *visitor) begin(http10 bool) {
	c.between.Store(false)
	c.half.http10.Store(http10)
}

// idle is called when the response has been sent, or when there will be none.
func (c *visitor) idle() {
	if c.frames == nil {
		c.holding.headDone()
		c.half.answered.Store(false)
		c.between.Store(true)
	}
}

// A blockWatch ensures that a header block ends within limit; otherwise it calls
// expired. Setting a timer for each request would cost as much as reading the
// request. So one timer runs on, and when it fires, it looks whether the block
// that is open now has been open for long enough. limit and expired must be set.
// It is safe for concurrent use.
type blockWatch struct {
	limit   time.Duration
	expired func()

	mu    sync.Mutex
	since time.Time // when the open block began; zero: none is open
	timer *time.Timer
	runs  bool
}

// follow is called after bytes were read. waiting means that something is
// incomplete after them; began means that a block began in them.
func (b *blockWatch) follow(waiting, began bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case !waiting:
		b.since = time.Time{}
		return
	case !began && !b.since.IsZero():
		return
	}
	b.since = time.Now()
	switch {
	case b.runs:
		return
	case b.timer == nil:
		b.timer = time.AfterFunc(b.limit, b.look)
	default:
		b.timer.Reset(b.limit)
	}
	b.runs = true
}

// look is called by the timer. It calls expired, or sets the timer for the block
// that is open now.
func (b *blockWatch) look() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.runs = false
	if b.since.IsZero() {
		return
	}
	left := b.limit - time.Since(b.since)
	if left <= 0 {
		b.expired()
		return
	}
	b.timer.Reset(left)
	b.runs = true
}

// stop stops the timer; expired is not called after that, except by a look under
// way.
func (b *blockWatch) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.since = time.Time{}
	if b.timer != nil {
		b.timer.Stop()
	}
}
