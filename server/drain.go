package server

import (
	"errors"
	"net"
	"sync"
	"time"
)

// A drainingListener can be closed without losing a connection. Closing a
// listener resets the connections in its queue. So drain makes the kernel accept
// no new ones, lets Accept return those in the queue, and only then closes the
// listener.
type drainingListener struct {
	net.Listener
	// failed is called with each error of Accept while the listener is not
	// draining. nil: nothing is called.
	failed func(error)

	mu      sync.Mutex
	until   time.Time // when draining ends at the latest; zero: not draining
	drained chan struct{}
	once    sync.Once
}

// quiet is how long no connection must come before the queue counts as empty. It
// is longer than most TCP handshakes take.
const quiet = 100 * time.Millisecond

// newDrainingListener returns a listener that accepts from ln as before, until
// drain is called.
func newDrainingListener(ln net.Listener) *drainingListener {
	return &drainingListener{Listener: ln, drained: make(chan struct{})}
}

// A deadliner is a listener whose Accept can be bounded, as of net.TCPListener.
type deadliner interface{ SetDeadline(time.Time) error }

// Accept implements net.Listener. While the listener drains, it returns the
// connections that are queued and then net.ErrClosed.
func (l *drainingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	l.mu.Lock()
	until := l.until
	l.mu.Unlock()
	switch {
	case until.IsZero():
		if err != nil && l.failed != nil {
			l.failed(err)
		}
		return c, err
	case err != nil: // quiet, or closed
		l.once.Do(func() {
			_ = l.Close() // at once: connections that arrive before it are reset
			close(l.drained)
		})
		return nil, net.ErrClosed
	case time.Now().Before(until):
		l.rearm(quiet)
	}
	return c, nil
}

// Close implements net.Listener. It returns nil if draining has closed it already.
func (l *drainingListener) Close() error {
	if err := l.Listener.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

// rearm makes the next Accept fail after wait without a connection.
func (l *drainingListener) rearm(wait time.Duration) {
	if d, ok := l.Listener.(deadliner); ok {
		_ = d.SetDeadline(time.Now().Add(wait)) // fails only if it is closed, and then Accept fails too
	}
}

// drain closes the listener once its queue is empty. It returns when that is
// done, or after about limit. Accept must be called meanwhile, as
// http.Server.Serve does. A listener whose Accept cannot be bounded is left open
// for the caller to close.
func (l *drainingListener) drain(limit time.Duration) {
	if _, ok := l.Listener.(deadliner); !ok {
		return
	}
	wait := quiet
	switch ln := l.Listener.(type) {
	case *unixListener:
		ln.remove()
	case *net.TCPListener:
		_ = refuseNew(ln) // without it, a few connections may be reset
	case inherited:
		wait = 0 // the socket stays open, and connections wait for the next process
	}
	l.mu.Lock()
	l.until = time.Now().Add(limit)
	l.mu.Unlock()
	l.rearm(wait)
	select {
	case <-l.drained:
	case <-time.After(limit + quiet):
	}
}

// An inherited listener uses a socket that systemd keeps open as well:
// connections that are not accepted wait for the next process.
type inherited struct{ net.Listener }

// SetDeadline bounds Accept if the listener below supports that; otherwise it
// does nothing.
func (l inherited) SetDeadline(t time.Time) error {
	if d, ok := l.Listener.(deadliner); ok {
		return d.SetDeadline(t)
	}
	return nil
}
