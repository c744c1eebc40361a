package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
)

// listen opens what the key listen names: host:port, unix:/path, or the
// sockets that systemd hands over.
func listen(ctx context.Context, addr string) ([]net.Listener, error) {
	if addr == "systemd" {
		lns, err := activation.Listeners()
		if err != nil {
			return nil, fmt.Errorf("take over systemd's sockets: %w", err)
		}
		if len(lns) == 0 {
			return nil, errors.New("listen: systemd: no socket was handed over; start it by its .socket unit")
		}
		return lns, nil
	}
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		ln, err := listenUnix(ctx, path, 0o660)
		if err != nil {
			return nil, err
		}
		return []net.Listener{ln}, nil
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return []net.Listener{ln}, nil
}

// listenUnix takes the place of a socket that a dead process left behind, but
// never of one that somebody answers.
func listenUnix(ctx context.Context, path string, mode os.FileMode) (net.Listener, error) {
	if st, err := os.Lstat(path); err == nil {
		if st.Mode().Type() != os.ModeSocket {
			return nil, fmt.Errorf("listen: %s is there, and no socket", path)
		}
		dial, cancel := context.WithTimeout(ctx, time.Second)
		defer cancel()
		if c, err := new(net.Dialer).DialContext(dial, "unix", path); err == nil {
			return nil, errors.Join(fmt.Errorf("listen: somebody answers on %s", path), c.Close())
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("listen: take away the old socket: %w", err)
		}
	}
	ln, err := new(net.ListenConfig).Listen(ctx, "unix", path)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	if err := os.Chmod(path, mode); err != nil {
		return nil, errors.Join(fmt.Errorf("listen: %w", err), ln.Close())
	}
	return ln, nil
}

// A drainingListener can be told to stop in such a way that no connection is
// lost that the kernel has already taken: it goes on accepting until none has
// come for a moment, and only then says that it is closed. Closing a listener
// outright resets the connections that wait in its queue.
type drainingListener struct {
	net.Listener
	mu      sync.Mutex
	until   time.Time // when draining ends at the latest; zero: not draining
	drained chan struct{}
	once    sync.Once
}

// quiet is how long no connection must come before the queue counts as empty.
const quiet = 50 * time.Millisecond

func newDrainingListener(ln net.Listener) *drainingListener {
	return &drainingListener{Listener: ln, drained: make(chan struct{})}
}

type deadliner interface{ SetDeadline(time.Time) error }

// Accept serves net.Listener.
func (l *drainingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	l.mu.Lock()
	until := l.until
	l.mu.Unlock()
	switch {
	case until.IsZero():
		return c, err
	case err != nil: // quiet, or closed
		l.once.Do(func() { close(l.drained) })
		return nil, net.ErrClosed
	case time.Now().Before(until):
		l.rearm()
	}
	return c, nil
}

func (l *drainingListener) rearm() {
	if d, ok := l.Listener.(deadliner); ok {
		_ = d.SetDeadline(time.Now().Add(quiet)) // fails only when closed, and then Accept says so
	}
}

// drain begins to stop, and returns when the queue has been quiet, or after
// limit.
func (l *drainingListener) drain(limit time.Duration) {
	if _, ok := l.Listener.(deadliner); !ok {
		return
	}
	l.mu.Lock()
	l.until = time.Now().Add(limit)
	l.mu.Unlock()
	l.rearm()
	select {
	case <-l.drained:
	case <-time.After(limit + quiet):
	}
}
