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

// A visitor is the connection of one client, as net/http sees it: HTTP is read from it
// and written to it, also if there is TLS below. It adds what net/http lacks:
//
//   - memory for requests that have not been decided on counts against a budget,
//   - an HTTP/2 header block must end in time (over HTTP/1 net/http ensures that),
//   - a client that has only closed its sending side does not count as gone,
//   - a client that is still sending a body which is not read can read the answer
//     (see lingerThenClose),
//   - over TLS, answers of net/http itself have Strict-Transport-Security,
//   - the application's reason phrase is sent on (over HTTP/2 there are none).
//
// net/http must not know that there is TLS: it uses our Read and Write for HTTP/2 only
// if it takes the connection for a plain one.
type visitor struct {
	net.Conn // below it: TLS, or the socket itself
	socket   net.Conn
	secure   *tls.Conn            // nil: plain
	state    *tls.ConnectionState // nil: plain, or no handshake yet
	frames   *frames              // nil: not HTTP/2
	spoken   bool                 // bytes of HTTP/1 have been read
	block    blockWatch           // for HTTP/2
	holding  holding
	times    visitorTimes
	log      *slog.Logger
	hsts     func() string // value of the field for answers of net/http itself; nil: none
	leave    func()        // called once, when the connection is closed; may be nil
	closed   atomic.Bool
	lingers  atomic.Bool // an answer over HTTP/1 was sent in the middle of a body

	own    *engine.VisitorConn // connections of upstreams for this visitor alone
	phrase phrase

	between atomic.Bool // no handler has begun since the last answer was sent
	half    halfClosed
}

// visitorTimes are timeouts and intervals, shorter in tests.
type visitorTimes struct {
	handshake time.Duration // of TLS
	header    time.Duration // for a header block of HTTP/2
	probe     time.Duration // from the half-close to the first probe
	again     time.Duration // between two probes
	linger    time.Duration // without a byte, in lingerThenClose
	silence   time.Duration // without a write, in an answer to a half-closed client, after which the client counts as gone
	look      time.Duration // between two looks at a half-closed socket
}

func usualTimes() visitorTimes {
	return visitorTimes{
		handshake: readHeaderTimeout, header: readHeaderTimeout,
		probe: 2 * time.Second, again: 15 * time.Second, linger: 2 * time.Second, silence: 5 * time.Second, look: 100 * time.Millisecond,
	}
}

// newVisitor returns a connection over a socket. With a TLS configuration, the first
// Read shakes hands.
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
// notice that the client leaves: such a Read returns io.EOF only when it has left.
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

// readError returns an error after which net/http closes the connection without an
// answer.
func readError(err error) error { return &net.OpError{Op: "read", Net: "visitor", Err: err} }

var errTooMuchHeld = errors.New("too much is held for requests that have not been judged")

// handshake has a deadline of its own; the first head then has the usual one.
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

// isHTTP reports whether bytes that should be the head of a TLS record begin a request
// in plain HTTP.
func isHTTP(header [5]byte) bool {
	switch string(header[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH":
		return true
	}
	return false
}

// account counts what has been read. After an error the connection must be closed.
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

// Write implements net.Conn.
func (c *visitor) Write(p []byte) (int, error) {
	if c.half.answered.Load() {
		c.half.writes.Add(1)
		return c.Conn.Write(p) //nolint:wrapcheck // net/http looks at it
	}
	return c.writeHead(p)
}

// writeHead writes the beginning of an answer, interim or final.
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

// withHSTS returns head with the field behind the status line.
func withHSTS(p []byte, value string) []byte {
	line, rest, ok := bytes.Cut(p, []byte("\r\n"))
	if !ok || value == "" || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return p
	}
	return fmt.Appendf(nil, "%s\r\nStrict-Transport-Security: %s\r\n%s", line, value, rest)
}

// interim reports whether p begins a 1xx answer other than 101.
func interim(p []byte) bool {
	const begin = "HTTP/1.1 1"
	return bytes.HasPrefix(p, []byte(begin)) && !bytes.HasPrefix(p[len(begin):], []byte("01"))
}

// ReadFrom implements io.ReaderFrom: without TLS, the kernel can move an answer from
// socket to socket.
func (c *visitor) ReadFrom(src io.Reader) (int64, error) {
	c.half.answered.Store(true)
	c.half.writes.Add(1)
	if to, ok := c.Conn.(io.ReaderFrom); ok {
		return to.ReadFrom(src) //nolint:wrapcheck // net/http looks at it
	}
	return io.Copy(struct{ io.Writer }{c.Conn}, src) //nolint:wrapcheck // as above
}

// CloseWrite closes the sending side.
func (c *visitor) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite() //nolint:wrapcheck // a method of the connection
	}
	return errors.ErrUnsupported
}

// Close implements net.Conn. It may return before the socket is closed: see
// lingerThenClose.
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

func (c *visitor) closeNow() error {
	err := c.Conn.Close()
	if c.leave != nil {
		c.leave()
	}
	return err //nolint:wrapcheck // net/http looks at it
}

// begin is called when the handler of a request begins.
func (c *visitor) begin(http10 bool) {
	c.between.Store(false)
	c.half.http10.Store(http10)
}

// idle is called when the answer has been sent, or none will be.
func (c *visitor) idle() {
	if c.frames == nil {
		c.holding.headDone()
		c.half.answered.Store(false)
		c.between.Store(true)
	}
}

// A blockWatch ensures that a header block ends within limit. Setting a timer for each
// request would cost as much as reading it, so one timer runs on, and looks when it
// fires whether the block of that time has been open for long enough. limit and
// expired must be set.
type blockWatch struct {
	limit   time.Duration
	expired func()

	mu    sync.Mutex
	since time.Time // when the open block began; zero: none is open
	timer *time.Timer
	runs  bool
}

// follow is called after bytes were read. waiting: something is incomplete now; began:
// a block began in these bytes.
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

func (b *blockWatch) stop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.since = time.Time{}
	if b.timer != nil {
		b.timer.Stop()
	}
}
