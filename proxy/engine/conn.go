package engine

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"syscall"
	"time"
)

const (
	// smallBuffer is the size of the buffer that an idle connection keeps. The part
	// of a body that it holds fits into net/http's 4 KiB buffer together with the
	// head, so that a short answer is sent in one write.
	smallBuffer = 3 << 10
	// largeBuffer is the size of the buffers that are borrowed from a sync.Pool
	// while a body is copied.
	largeBuffer = 32 << 10
	// maxHead is the limit of an answer's head, the empty line included. A longer
	// one is a protocol error.
	maxHead = 64 << 10
)

// longAgo is a deadline that has passed. Setting it fails every read and write,
// those under way included.
var longAgo = time.Unix(1, 0)

// A conn is one HTTP/1.1 connection to an upstream. One goroutine at a time owns it,
// with two exceptions: a sender may write the request's body while the owner reads
// the answer, and any goroutine may call cut.
//
// After cut the connection must not be reused: methods that set deadlines do nothing
// from then on, so that the deadline set by cut stays.
type conn struct {
	nc     net.Conn
	raw    syscall.RawConn
	secret *recordConn // the records below nc if it speaks TLS; nil: plain

	small []byte  // the buffer that stays with the connection
	large *[]byte // the borrowed buffer; nil: none is borrowed
	in    []byte  // the read buffer in use: small, *large, or one grown for a long head
	r, w  int     // in[r:w] has been read from nc and not been consumed yet
	seen  int     // bytes of the head that head has scanned: complete lines only
	heard bool    // the upstream has sent something since begin
	out   []byte  // the request's head, followed by a small body

	since     time.Time // when it became idle; set by pool.put
	hadBody   bool      // the last request had a body, which the upstream may not have read
	pending   bool      // the last answer was a step of a handshake (NTLM, Negotiate): the next step must use this connection
	departure           // guarded by disconnectWatcher.mu
	// Functions for RawConn.Control and where they leave their results. They are
	// created once per connection, which saves an allocation per request.
	peek    func(fd uintptr)
	peeked  peeked
	count   func(fd uintptr)
	counted int
	cutFunc func()

	mu        sync.Mutex // guards what follows; the deadline that cut sets must be the last
	wasCut    bool
	reading   bool      // a read deadline is set
	readUntil time.Time // the read deadline, if reading
	writing   bool      // a write deadline is set
	answering bool      // the final head has arrived: the response timeout no longer applies
}

// newConn returns a conn on nc, which must be a socket. It does not close nc on error.
func newConn(nc net.Conn) (*conn, error) { return newConnOn(nc, nc) }

// newConnOn returns a conn on nc, which is socket or a TLS connection on top of it.
// socket must have a file descriptor (syscall.Conn): look peeks at it.
func newConnOn(nc, socket net.Conn) (*conn, error) {
	c := &conn{nc: nc, small: make([]byte, smallBuffer)}
	sc, ok := socket.(syscall.Conn)
	if !ok {
		return nil, fmt.Errorf("connection of type %T has no file descriptor", socket)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return nil, fmt.Errorf("file descriptor: %w", err)
	}
	c.raw = raw
	c.in = c.small
	c.cutFunc = c.cut
	c.count = func(fd uintptr) { c.counted = unread(fd) }
	c.peek = func(fd uintptr) {
		n, _, err := syscall.Recvfrom(int(fd), c.peeked.b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		c.peeked.n, c.peeked.quiet = max(n, 0), errors.Is(err, syscall.EAGAIN)
	}
	return c, nil
}

// begin prepares c for the next exchange. A read deadline may stay from the last one:
// readWithin moves or removes it before the next read.
func (c *conn) begin() {
	c.heard = false
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answering = false
	if c.writing && !c.wasCut {
		c.writing = false
		_ = c.nc.SetWriteDeadline(time.Time{})
	}
}

// An idleState says what an idle connection has received.
type idleState int

const (
	isClosed idleState = iota // the end, or an announcement of it: a 408 or a TLS alert
	isQuiet                   // nothing
	isNoisy                   // bytes that no request asked for
)

// quiet reports whether an idle connection can be reused: the upstream has neither
// closed it nor sent bytes that no request asked for.
func (c *conn) quiet() bool { return c.look() == isQuiet }

// look returns what an idle connection has received. It peeks at the socket and does
// not block. With TLS, bytes may also have been read from the socket already: they
// are still encrypted in c.secret, or decrypted in the tls.Conn.
func (c *conn) look() idleState {
	c.peeked.n, c.peeked.quiet = 0, false
	if err := c.raw.Control(c.peek); err != nil {
		return isClosed
	}
	switch {
	case c.secret != nil && c.secret.buffered():
		if isAlert(c.secret.next()) {
			return isClosed
		}
		return isNoisy
	case c.secret != nil && c.peeked.quiet:
		return c.secret.leftover(c.nc)
	case c.peeked.quiet:
		return isQuiet
	case c.peeked.n == 0 || c.peeked.farewell(c.secret != nil):
		return isClosed
	}
	return isNoisy
}

// peeked is the result of peeking at the socket.
type peeked struct {
	b     [12]byte // as long as "HTTP/1.1 408"
	n     int      // length of what is in b; 0 and not quiet: the upstream has closed
	quiet bool     // nothing has arrived
}

// farewell reports whether the bytes are what servers send before they close an idle
// connection: a 408 answer or, if secret, a TLS alert. They are not noise.
func (p *peeked) farewell(secret bool) bool {
	b := p.b[:p.n]
	if !secret {
		return string(b) == "HTTP/1.1 408" || string(b) == "HTTP/1.0 408"
	}
	return isAlert(b)
}

// waiting returns how many bytes can be read from the socket without blocking. It
// returns 0 where the system cannot tell.
func (c *conn) waiting() int64 {
	c.counted = 0
	if err := c.raw.Control(c.count); err != nil {
		return 0
	}
	return int64(c.counted)
}

// cut fails every read and write of c, those under way included, for good. Any
// goroutine may call it, at any time and more than once.
func (c *conn) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wasCut = true
	_ = c.nc.SetDeadline(longAgo)
}

// readWithin fails reads that take place more than d from now, with
// os.ErrDeadlineExceeded. 0: no limit. The deadline is up to an eighth of d late.
func (c *conn) readWithin(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readWithinLocked(d)
}

// readWithinLocked is readWithin for callers that hold c.mu.
func (c *conn) readWithinLocked(d time.Duration) {
	if c.wasCut || d == 0 && !c.reading {
		return
	}
	// Moving a deadline costs as much as a whole session check. So one that is at
	// most an eighth too late stays, even one that an earlier exchange has set.
	now := time.Now()
	if left := c.readUntil.Sub(now); c.reading && d > 0 && left >= d && left <= d+d/8 {
		return
	}
	c.reading, c.readUntil = d > 0, time.Time{}
	if d > 0 {
		c.readUntil = now.Add(d + d/8)
	}
	_ = c.nc.SetReadDeadline(c.readUntil)
}

// writeWithin fails writes that take place more than d from now, with
// os.ErrDeadlineExceeded. 0: no limit.
func (c *conn) writeWithin(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wasCut || d == 0 && !c.writing {
		return
	}
	c.writing = d > 0
	_ = c.nc.SetWriteDeadline(after(d))
}

// requestSent starts the response timeout at the end of the request. It does nothing
// if the answer has begun meanwhile: the sender calls it from its own goroutine, and
// must not set a deadline under the body of an early answer.
func (c *conn) requestSent(timeout time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.answering {
		c.readWithinLocked(timeout)
	}
}

// answerBegun ends the response timeout. The deadline itself stays until it is removed
// before the next read, by more or splice; an answer that is already buffered saves that
// call.
func (c *conn) answerBegun() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answering = true
}

// after returns the deadline d from now; the zero time, which is none, for 0.
func after(d time.Duration) time.Time {
	if d == 0 {
		return time.Time{}
	}
	return time.Now().Add(d)
}

// buffered returns what has been read and not been consumed. The slice is valid until
// the next call of fill, enlarge or shrink.
func (c *conn) buffered() []byte { return c.in[c.r:c.w] }

// fill blocks until more bytes arrive and appends them to the buffered ones. The
// buffer must have room. An error that comes with bytes is left to the next call.
// io.EOF means that the upstream has closed the connection.
func (c *conn) fill() error {
	if c.r > 0 {
		c.w = copy(c.in, c.in[c.r:c.w])
		c.r = 0
	}
	n, err := c.nc.Read(c.in[c.w:])
	c.w += n
	if n > 0 {
		c.heard = true
		return nil
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return err
}

// head reads the head of an answer and returns it, including the empty line at its
// end. find is headEnd or lenientEnd: it returns the length of a complete head, or 0
// if more is needed, and keeps in seen where to go on. A head that is malformed or
// over maxHead is an answerError; other errors are those of fill. The first bytes are
// checked before each read, so that an upstream that does not speak HTTP fails at
// once rather than by the timeout.
func (c *conn) head(find func(b []byte, seen *int) (int, error)) (string, error) {
	c.seen = 0
	for {
		b := c.buffered()
		if !beginsLikeHTTP(b) {
			return "", answerError("does not begin with HTTP/1")
		}
		end, err := find(b, &c.seen)
		if err != nil {
			return "", err
		}
		if end > maxHead || end == 0 && len(b) >= maxHead {
			return "", answerError("head is over 64 KiB")
		}
		if end > 0 {
			c.r += end
			return string(b[:end]), nil
		}
		if len(b) == len(c.in) {
			grown := make([]byte, min(4*len(b), maxHead))
			c.r, c.w = 0, copy(grown, b)
			c.in = grown
		}
		if err := c.fill(); err != nil {
			return "", err
		}
	}
}

// beginsLikeHTTP reports whether b, which may be shorter, can be the begin of an
// HTTP/1 answer.
func beginsLikeHTTP(b []byte) bool {
	const begin = "HTTP/1."
	return strings.HasPrefix(begin, string(b[:min(len(b), len(begin))]))
}

// enlarge borrows a large buffer for a body, and keeps what is buffered. It does
// nothing if the buffer in use is as large already.
func (c *conn) enlarge(from *sync.Pool) {
	if len(c.in) >= largeBuffer {
		return
	}
	c.large = from.Get().(*[]byte) // nothing else is put in
	c.w = copy(*c.large, c.buffered())
	c.r = 0
	c.in = *c.large
}

// shrink returns the borrowed buffer, before the connection is idle or closed. What is
// still buffered is lost.
func (c *conn) shrink(to *sync.Pool) {
	c.in, c.r, c.w = c.small, 0, 0
	if c.large != nil {
		to.Put(c.large)
		c.large = nil
	}
	if cap(c.out) > largeBuffer {
		c.out = nil
	}
}

func (c *conn) close() { _ = c.nc.Close() }
