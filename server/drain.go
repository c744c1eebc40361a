package server

import (
	"errors"
	"net"
	"sync"
	"time"
)

// A drainingListener can be closed without losing a connection: the kernel
// takes no more, those that it has taken are accepted, and only then it
// closes. Closing a listener outright resets the connections that wait in its
// queue.
type drainingListener struct {
	net.Listener
	// failed is told why a connection could not be accepted while not draining.
	// May be nil.
	failed func(error)

	mu      sync.Mutex
	until   time.Time // when draining ends at the latest; zero: not draining
	drained chan struct{}
	once    sync.Once
}

// quiet is how long no connection must come before the queue counts as empty:
// longer than most handshakes take.
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
			_ = l.Close() // at once: what comes between is reset
			close(l.drained)
		})
		return nil, net.ErrClosed
	case time.Now().Before(until):
		l.rearm(quiet)
	}
	return c, nil
}

// Close implements net.Listener. Draining may have closed it already.
func (l *drainingListener) Close() error {
	if err := l.Listener.Close(); !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func (l *drainingListener) rearm(wait time.Duration) {
	if d, ok := l.Listener.(deadliner); ok {
		_ = d.SetDeadline(time.Now().Add(wait)) // fails only when closed, and then Accept says so
	}
}

// drain closes the listener and returns when that is done, or after limit.
func (l *drainingListener) drain(limit time.Duration) {
	if _, ok := l.Listener.(deadliner); !ok {
		return
	}
	wait := quiet
	switch ln := l.Listener.(type) {
	case *unixListener:
		ln.remove()
	case *net.TCPListener:
		_ = refuseNew(ln) // a kernel that cannot do that may reset a few
	case inherited:
		wait = 0 // the socket stays, and what comes waits for the next process
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

// An inherited listener is on a socket that systemd holds as well.
type inherited struct{ net.Listener }

// SetDeadline bounds Accept, where the listener below can do that.
func (l inherited) SetDeadline(t time.Time) error {
	if d, ok := l.Listener.(deadliner); ok {
		return d.SetDeadline(t)
	}
	return nil
}
