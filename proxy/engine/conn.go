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
	// smallBuffer stays with a connection. What it holds of a body fits into
	// net/http's buffer together with the head, so both are sent in one write.
	smallBuffer = 3 << 10
	largeBuffer = 32 << 10 // borrowed while a body is copied
	maxHead     = 64 << 10 // bytes of an answer's head
)

// longAgo is a deadline that has passed: it ends every read and write.
var longAgo = time.Unix(1, 0)

// A conn is one connection to an upstream. One goroutine at a time owns it, with
// two exceptions: a sender may write the body while the owner reads the answer,
// and any goroutine may call cut.
type conn struct {
	nc     net.Conn
	raw    syscall.RawConn
	secret *recordConn // below nc, if that speaks TLS; nil: it does not

	small []byte  // the buffer that stays
	large *[]byte // the borrowed one, or nil
	in    []byte  // the one in use: small, large, or one grown for a long head
	r, w  int     // in[r:w] has been read from nc and not been used yet
	seen  int     // bytes of the head that have been checked: whole lines
	heard bool    // something has come from the upstream since begin
	out   []byte  // the request's head, and a small body behind it

	since     time.Time // when it became idle
	hadBody   bool      // the last request had a body, which the upstream may not have read
	pending   bool      // the last answer was a step of a handshake (NTLM, Negotiate); the next one must use this connection
	departure           // the watch over the visitor
	// Functions for RawConn.Control and their results, made once to save an
	// allocation each time.
	peek    func(fd uintptr)
	peeked  peeked
	count   func(fd uintptr)
	counted int
	cutFunc func()

	mu        sync.Mutex // guards the deadlines: that of cut must be the last one
	wasCut    bool
	reading   bool      // a read deadline is set
	readUntil time.Time // that deadline
	writing   bool      // a write deadline is set
	answering bool      // the final head has come: the response timeout does not count any more
}

func newConn(nc net.Conn) (*conn, error) { return newConnOn(nc, nc) }

// newConnOn is newConn for a connection on top of a socket.
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

// begin prepares c for the next exchange.
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

// An idleState is what has come over an idle connection.
type idleState int

const (
	isClosed idleState = iota // the upstream has closed it, or is about to
	isQuiet                   // nothing has come
	isNoisy                   // bytes that no request asked for
)

// quiet reports whether an idle connection can be used: the upstream has neither
// closed it nor sent bytes that no request asked for.
func (c *conn) quiet() bool { return c.look() == isQuiet }

// look returns, without waiting, what has come over an idle connection.
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

// peeked is the result of a look at the socket.
type peeked struct {
	b     [12]byte
	n     int  // bytes of b; 0: the end, unless quiet
	quiet bool // there is nothing
}

// farewell reports whether the bytes are those that servers send before they close
// an idle connection: a 408, or a TLS alert.
func (p *peeked) farewell(secret bool) bool {
	b := p.b[:p.n]
	if !secret {
		return string(b) == "HTTP/1.1 408" || string(b) == "HTTP/1.0 408"
	}
	return isAlert(b)
}

// waiting returns how many bytes can be read from the socket without waiting; 0 if
// that is unknown.
func (c *conn) waiting() int64 {
	c.counted = 0
	if err := c.raw.Control(c.count); err != nil {
		return 0
	}
	return int64(c.counted)
}

// cut fails every read and write of c, now and later. Any goroutine may call it.
func (c *conn) cut() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.wasCut = true
	_ = c.nc.SetDeadline(longAgo)
}

// readWithin bounds the reads from now on. 0: no bound.
func (c *conn) readWithin(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.readWithinLocked(d)
}

func (c *conn) readWithinLocked(d time.Duration) {
	if c.wasCut || d == 0 && !c.reading {
		return
	}
	// Moving a deadline costs as much as all of a session check, so one that is at
	// most an eighth too late is left, also if an earlier exchange set it.
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

// writeWithin bounds the writes from now on. 0: no bound.
func (c *conn) writeWithin(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.wasCut || d == 0 && !c.writing {
		return
	}
	c.writing = d > 0
	_ = c.nc.SetWriteDeadline(after(d))
}

// requestSent starts the response timeout, unless the answer has already begun.
func (c *conn) requestSent(timeout time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.answering {
		c.readWithinLocked(timeout)
	}
}

// answerBegun ends the response timeout. The deadline itself is removed before the
// next wait.
func (c *conn) answerBegun() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answering = true
}

func after(d time.Duration) time.Time {
	if d == 0 {
		return time.Time{}
	}
	return time.Now().Add(d)
}

// buffered returns what has been read and not been used. It is valid until fill.
func (c *conn) buffered() []byte { return c.in[c.r:c.w] }

// fill waits for more bytes, and puts them behind the buffered ones. The buffer
// must not be full.
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

// head reads a head, and returns it with the empty line at its end. find is headEnd
// or lenientEnd.
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

func beginsLikeHTTP(b []byte) bool {
	const begin = "HTTP/1."
	return strings.HasPrefix(begin, string(b[:min(len(b), len(begin))]))
}

// enlarge borrows a larger buffer for a body.
func (c *conn) enlarge(from *sync.Pool) {
	if len(c.in) >= largeBuffer {
		return
	}
	c.large = from.Get().(*[]byte) // nothing else is put in
	c.w = copy(*c.large, c.buffered())
	c.r = 0
	c.in = *c.large
}

// shrink gives that back. What is buffered is lost.
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
