package server

import (
	"net"
	"os"
	"sync"
)

// A reservedListener holds a file descriptor back for its next connection,
// so that whoever asks for health gets an answer when visitors have taken all
// the others.
type reservedListener struct {
	net.Listener
	mu    sync.Mutex
	spare *os.File // nil: it is in use
}

func reserve(ln net.Listener) net.Listener {
	l := &reservedListener{Listener: ln}
	l.refill()
	return l
}

// Accept implements net.Listener.
func (l *reservedListener) Accept() (net.Conn, error) {
	l.refill()
	c, err := l.Listener.Accept()
	if outOfDescriptors(err) && l.release() {
		c, err = l.Listener.Accept()
	}
	if err != nil {
		return nil, err
	}
	return &reservedConn{Conn: c, refill: l.refill}, nil
}

// Close implements net.Listener.
func (l *reservedListener) Close() error {
	l.release()
	return l.Listener.Close()
}

func (l *reservedListener) refill() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.spare == nil {
		l.spare, _ = os.Open(os.DevNull) // tried again later
	}
}

// release reports whether there is a descriptor more now.
func (l *reservedListener) release() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.spare == nil {
		return false
	}
	_ = l.spare.Close() // nothing was written
	l.spare = nil
	return true
}

// A reservedConn gives its descriptor back to the reserve.
type reservedConn struct {
	net.Conn
	refill func()
}

// Close implements net.Conn.
func (c *reservedConn) Close() error {
	err := c.Conn.Close()
	c.refill()
	return err
}
