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

// A visitor is one visitor's connection, as net/http sees it: what is read from
// it and written to it is HTTP, also where TLS lies below. It adds what
// net/http leaves open:
//
//   - what is held for requests that have not been judged counts in a budget,
//   - an HTTP/2 header block has to end in time (over HTTP/1 net/http sees to it),
//   - one who only stops sending is not taken for one who has left,
//   - one who is still sending what nobody wants can read the answer (see lingerThenClose),
//   - answers of net/http itself carry Strict-Transport-Security over TLS,
//   - an application's reason phrase passes (over HTTP/2 there is none).
//
// net/http must not learn that there is TLS: only over a connection that it
// takes for a plain one does it speak HTTP/2 by way of our Read and Write.
type visitor struct {
	net.Conn // below it: TLS, or the socket itself
	socket   net.Conn
	secure   *tls.Conn            // nil: plain
	state    *tls.ConnectionState // nil: plain, or no handshake yet
	frames   *frames              // nil: not HTTP/2
	spoken   bool                 // something of HTTP/1 has been read
	block    blockWatch           // of HTTP/2
	holding  holding
	times    visitorTimes
	log      *slog.Logger
	hsts     func() string // the value for answers of net/http itself; nil: none
	leave    func()        // called once, when the connection is closed; may be nil
	closed   atomic.Bool
	lingers  atomic.Bool // an answer over HTTP/1 went out in the middle of a body

	own    *engine.VisitorConn // what upstreams keep for this connection alone
	phrase phrase

	between atomic.Bool // no handler has run since the last answer went out
	half    halfClosed
}

// visitorTimes are fields so that tests need not wait.
type visitorTimes struct {
	handshake time.Duration // of TLS
	header    time.Duration // for a header block of HTTP/2
	probe     time.Duration // after the end of what a visitor sends, until we look whether somebody is there
	again     time.Duration // between two such looks
	linger    time.Duration // without a byte, for one who is still sending
	silence   time.Duration // in an answer that has begun, after which one who sends nothing more counts as gone
	look      time.Duration // between two looks at the socket
}

func usualTimes() visitorTimes {
	return visitorTimes{
		handshake: readHeaderTimeout, header: readHeaderTimeout,
		probe: 2 * time.Second, again: 15 * time.Second, linger: 2 * time.Second, silence: 5 * time.Second, look: 100 * time.Millisecond,
	}
}

// newVisitor makes the connection over a socket. With a TLS configuration, the
// first Read does the handshake.
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

// Read serves net.Conn. net/http reads a single byte while a handler runs, to
// see the visitor leave: such a Read returns io.EOF no sooner than he has.
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

// readError is an error after which net/http closes the connection without an
// answer.
func readError(err error) error { return &net.OpError{Op: "read", Net: "visitor", Err: err} }

var errTooMuchHeld = errors.New("too much is held for requests that have not been judged")

// handshake has as much time as a head, which then has its own.
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

// isHTTP reports whether what should be a TLS record begins like a request.
func isHTTP(header [5]byte) bool {
	switch string(header[:]) {
	case "GET /", "HEAD ", "POST ", "PUT /", "OPTIO", "DELET", "PATCH":
		return true
	}
	return false
}

// account counts what was read. An error ends the connection.
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

// Write serves net.Conn.
func (c *visitor) Write(p []byte) (int, error) {
	if c.half.answered.Load() {
		c.half.writes.Add(1)
		return c.Conn.Write(p) //nolint:wrapcheck // net/http looks at it
	}
	return c.writeHead(p)
}

// writeHead writes what begins an answer, an interim one or the final one.
func (c *visitor) writeHead(p []byte) (int, error) {
	c.half.mu.Lock()
	defer c.half.mu.Unlock()
	if c.between.Load() && c.frames == nil && c.secure != nil && c.hsts != nil {
		// No handler has run: net/http refuses what it could not read.
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

// withHSTS puts the field behind the status line.
func withHSTS(p []byte, value string) []byte {
	line, rest, ok := bytes.Cut(p, []byte("\r\n"))
	if !ok || value == "" || !bytes.HasPrefix(line, []byte("HTTP/1.")) {
		return p
	}
	return fmt.Appendf(nil, "%s\r\nStrict-Transport-Security: %s\r\n%s", line, value, rest)
}

// interim reports whether p is an answer that another one follows.
func interim(p []byte) bool {
	const begin = "HTTP/1.1 1"
	return bytes.HasPrefix(p, []byte(begin)) && !bytes.HasPrefix(p[len(begin):], []byte("01"))
}

// ReadFrom lets an answer go from socket to socket where that can be done.
func (c *visitor) ReadFrom(src io.Reader) (int64, error) {
	c.half.answered.Store(true)
	c.half.writes.Add(1)
	if to, ok := c.Conn.(io.ReaderFrom); ok {
		return to.ReadFrom(src) //nolint:wrapcheck // net/http looks at it
	}
	return io.Copy(struct{ io.Writer }{c.Conn}, src) //nolint:wrapcheck // as above
}

// CloseWrite tells the visitor that nothing more comes.
func (c *visitor) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite() //nolint:wrapcheck // a method of the connection
	}
	return errors.ErrUnsupported
}

// Close serves net.Conn.
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

// begin is called when a request has been read and its handler starts.
func (c *visitor) begin(http10 bool) {
	c.between.Store(false)
	c.half.http10.Store(http10)
}

// idle is called when the answer has gone out, or when none will.
func (c *visitor) idle() {
	if c.frames == nil {
		c.holding.headDone()
		c.half.answered.Store(false)
		c.between.Store(true)
	}
}

// A blockWatch sees that a header block ends in time. A timer runs only now and
// then: to set one for each request would cost as much as reading it. The zero
// value is ready, with limit and expired set.
type blockWatch struct {
	limit   time.Duration
	expired func()

	mu    sync.Mutex
	since time.Time // when the block that is open began; zero: none is
	timer *time.Timer
	runs  bool
}

// follow is told what bytes that were read have come to: whether something is
// waited for, and whether a block began in them.
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
