package server

import (
	"net"
	"os"
	"sync"
)

// reserved is how many file descriptors are held back. One would be enough for
// one client at a time, but when it is given back, a visitor may take it first.
const reserved = 4

// A reservedListener holds back file descriptors for its next connections, so
// that health checks and the command line get an answer when visitors have taken
// all others.
type reservedListener struct {
	net.Listener
	mu     sync.Mutex
	spares []*os.File // open files of /dev/null, at most reserved
}

// reserve returns ln with a reserve of file descriptors.
func reserve(ln net.Listener) net.Listener {
	l := &reservedListener{Listener: ln}
	l.refill()
	return l
}

// Accept implements net.Listener. If there are no file descriptors, it gives up
// one of the reserve for the connection.
func (l *reservedListener) Accept() (net.Conn, error) {
	l.refill()
	c, err := l.Listener.Accept()
	for outOfDescriptors(err) && l.release() {
		c, err = l.Listener.Accept()
	}
	if err != nil {
		return nil, err
	}
	return &reservedConn{Conn: c, refill: l.refill}, nil
}

// Close implements net.Listener. It gives up the reserve.
func (l *reservedListener) Close() error {
	for l.release() {
	}
	return l.Listener.Close()
}

// refill fills up the reserve as far as the system allows it now.
func (l *reservedListener) refill() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for len(l.spares) < reserved {
		f, err := os.Open(os.DevNull)
		if err != nil {
			return // tried again later
		}
		l.spares = append(l.spares, f)
	}
}

// release gives one descriptor back to the system. It returns false if none was
// left.
func (l *reservedListener) release() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	last := len(l.spares) - 1
	if last < 0 {
		return false
	}
	_ = l.spares[last].Close() // nothing was written
	l.spares = l.spares[:last]
	return true
}

// A reservedConn refills the reserve when it is closed.
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
