package server

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"gatehouse/server/admin"
	"gatehouse/sessions"
)

// Limits of the health checks.
const (
	healthPatience = time.Second // how long health waits for the store
	leastSpace     = 128 << 10   // bytes that must be free on the disk of data_dir
	leastFiles     = 2           // file descriptors: one for a visitor, one for the connection to the application
	retryAfter     = "5"         // seconds, in the response of /readyz
)

// health returns the handler of admin.listen: /healthz (the process answers),
// /readyz (visitors can be served, else 503) and /metrics. It asks for no login.
// What it shows is not secret, but not meant for visitors either.
func (s *Server) health() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		writeHealth(w, http.StatusOK, "ok")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if st := s.Status(r.Context()); !st.Ready {
			w.Header().Set("Retry-After", retryAfter)
			writeHealth(w, http.StatusServiceUnavailable, "not ready")
			return
		}
		writeHealth(w, http.StatusOK, "ready")
	})
	mux.Handle("GET /metrics", s.shared.metrics.Handler())
	return mux
}

// writeHealth answers with the status code and one line of text, which must not
// be cached.
func writeHealth(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(code)
	_, _ = fmt.Fprintln(w, text)
}

// Status returns whether visitors can be served, and otherwise why not: a stop
// has begun, file descriptors have run out, or the store of sessions fails. It is
// the answer of gatehouse health and /readyz, and returns within about a second
// and a half.
func (s *Server) Status(ctx context.Context) admin.Status {
	st := admin.Status{Version: s.options.Version}
	var err error
	if s.ending.Load() {
		err = errors.New("it is stopping")
	} else if err = descriptorsLeft(); err == nil {
		err = s.storeHealth.ask(ctx, s.tryStore)
	}
	if err != nil {
		st.Why = err.Error()
	}
	st.Ready = err == nil
	return st
}

// tryStore returns an error if the store cannot load a session (there is none of
// that key, so nothing is found), cannot be written to, or has its disk full.
func (s *Server) tryStore() error {
	ctx, cancel := context.WithTimeout(context.Background(), healthPatience)
	defer cancel()
	nobody := strings.Repeat("0", 64)
	if _, err := s.shared.storage.store.Load(ctx, nobody); err != nil && !errors.Is(err, sessions.ErrNotFound) {
		return fmt.Errorf("the store of sessions does not answer: %w", err)
	}
	if err := s.shared.storage.store.CheckHealth(ctx); err != nil {
		return fmt.Errorf("the store of sessions takes nothing: %w", err)
	}
	if s.shared.storage.db != nil {
		return spaceLeft(s.shared.storage.dir)
	}
	return nil
}

// spaceLeft returns an error if the disk of the folder is full, even if the
// database still has free pages in its own file: the next larger write would
// fail.
func spaceLeft(dir string) error {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return fmt.Errorf("look at the disk of data_dir: %w", err)
	}
	if free := st.Bavail * uint64(st.Bsize); free < leastSpace { //nolint:gosec // G115: a block has a size
		return fmt.Errorf("the disk of data_dir is full: %d bytes are left", free)
	}
	return nil
}

// descriptorsLeft returns an error if there are too few file descriptors to serve
// one more visitor. It opens that many to find out, which also notices the limit
// of the whole system.
func descriptorsLeft() error {
	var got []int
	defer func() {
		for _, fd := range got {
			_ = unix.Close(fd) // nothing was written
		}
	}()
	for range leastFiles {
		fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		if outOfDescriptors(err) {
			return fmt.Errorf("there are no file descriptors left: %w; raise the limit (LimitNOFILE of systemd, ulimit -n)", err)
		} else if err != nil {
			return nil // the device cannot be opened, which says nothing about descriptors
		}
		got = append(got, fd)
	}
	return nil
}

// outOfDescriptors reports whether err is about the limit of file descriptors, of
// the process or of the system.
func outOfDescriptors(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// A checkup runs a check that may hang, at most one at a time, so that a hanging
// store does not collect a goroutine for each health check. The zero value is
// ready for use. It is safe for concurrent use.
type checkup struct {
	mu      sync.Mutex
	current *check // nil: none runs
}

// A check is one run of it. err may be read once done is closed.
type check struct {
	done chan struct{}
	err  error
}

// ask runs f and returns its result. Callers that come while f runs share its
// result. If f takes longer than one and a half times healthPatience, ask returns
// an error and f goes on.
func (c *checkup) ask(ctx context.Context, f func() error) error {
	c.mu.Lock()
	now := c.current
	if now == nil {
		now = &check{done: make(chan struct{})}
		c.current = now
		go func() {
			now.err = f()
			c.mu.Lock()
			c.current = nil
			c.mu.Unlock()
			close(now.done)
		}()
	}
	c.mu.Unlock()
	select {
	case <-now.done:
		return now.err
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(healthPatience + healthPatience/2):
		return errors.New("the store of sessions does not answer in time")
	}
}
