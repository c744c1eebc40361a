package server

import (
	"errors"
	"net"
	"sync"
	"time"
)

// A drainingListener can be closed without losing a connection: the kernel stops
// accepting, the connections in its queue are accepted, and only then the listener is
// closed. Closing a listener at once resets the connections in its queue.
type drainingListener struct {
	net.Listener
	// failed is called with the error of Accept while the listener is not draining. May
	// be nil.
	failed func(error)

	mu      sync.Mutex
	until   time.Time // when draining ends at the latest; zero: not draining
	drained chan struct{}
	once    sync.Once
}

// quiet is how long no connection may come before the queue counts as empty. It is
// longer than most TCP handshakes take.
const quiet = 100 * time.Millisecond

func newDrainingListener(ln net.Listener) *drainingListener {
	return &drainingListener{Listener: ln, drained: make(chan struct{})}
}

type deadliner interface{ SetDeadline(time.Time) error }

// Accept implements net.Listener.
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
			_ = l.Close() // at once: connections that come before are reset
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

func (l *drainingListener) rearm(wait time.Duration) {
	if d, ok := l.Listener.(deadliner); ok {
		_ = d.SetDeadline(time.Now().Add(wait)) // fails only if it is closed, and then Accept fails too
	}
}

// drain closes the listener, and returns when that is done, or after limit. Accept must
// be called meanwhile.
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

// An inherited listener is on a socket that systemd also keeps open.
type inherited struct{ net.Listener }

// SetDeadline bounds Accept, if the listener below supports that.
func (l inherited) SetDeadline(t time.Time) error {
	if d, ok := l.Listener.(deadliner); ok {
		return d.SetDeadline(t)
	}
	return nil
}
