// Package server is the process: it listens, holds what outlives a configuration
// (listeners, stores, throttle, counters), builds a site from each configuration,
// swaps sites at a reload, and stops without dropping a request. Administrators
// reach it through a unix socket that only its owner can open (package admin).
package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"gatehouse/auth/account"
	"gatehouse/auth/password"
	"gatehouse/auth/throttle"
	"gatehouse/config"
	"gatehouse/internal/audit"
	"gatehouse/internal/metrics"
	"gatehouse/proxy"
	"gatehouse/server/admin"
)

// Options are the parameters of Run. What is not said to be required may be left
// out. They must not be changed afterwards.
type Options struct {
	Config    *config.Config                 // the configuration to start with; required
	Load      func() (*config.Config, error) // reads the configuration again; nil: a reload is an error
	LoginHTML string                         // the template of the built-in login page; required
	Version   string
	Log       *slog.Logger   // required
	Level     *slog.LevelVar // set by a reload; nil: a reload does not change the level
	// Dropped returns how many lines of the log were lost, for the metrics; nil:
	// they are not counted.
	Dropped func() uint64
	// ReloadOn makes the server reload its configuration for each value, as on
	// SIGHUP; nil: only the control socket does.
	ReloadOn <-chan os.Signal
	// Ready is called once, when visitors are served; may be nil. The server
	// waits for it before it acts on signals.
	Ready func(StartupInfo)
	// Told means that Ready shows all of its argument to a person, so that the
	// log need not repeat it.
	Told bool
}

// A Server is a running gate. It implements admin.Server.
type Server struct {
	options Options
	shared  shared
	site    atomic.Pointer[site]
	conns   conns
	ending  atomic.Bool // a stop has begun

	storeHealth checkup
	reload      sync.Mutex // held while a new site is built
	roster      *roster
	log         *slog.Logger
}

// Run serves until ctx is done. Then it stops as the section stop of the
// configuration says: /readyz answers 503 at once; after the delay, the server
// accepts the connections that the kernel has completed, answers the requests
// that it has begun, and cuts off what is left after the limit.
//
// It returns nil after a clean stop. Other errors are boltfile.ErrLocked if
// another process uses data_dir, and that of a configuration, a store or a
// listener that cannot be used.
func Run(ctx context.Context, o Options) error {
	defer runtime.KeepAlive(ballast())
	s := &Server{options: o, log: o.Log}
	// A second process on the same gatehouse.db fails here, before it listens.
	st, err := openStorage(o.Config, o.Log)
	if err != nil {
		return err
	}
	s.shared = shared{
		storage: st, hasher: password.NewHasher(password.Options{}), throttle: throttle.New(o.Config.Login.Throttle), live: new(proxy.ActiveRequests),
		loginHTML: o.LoginHTML, pseudonym: proxy.NewPseudonym(), audit: audit.New(o.Log), metrics: metrics.New(o.Version), log: o.Log, warnings: new(warnings),
	}
	if st.counter != nil {
		s.shared.throttle.Share(st.counter, o.Log)
	}
	s.shared.accounts = func() *account.Sources { return s.site.Load().accounts }
	s.shared.metrics.SessionCount(s.countSessions)
	s.shared.metrics.LogDropped(o.Dropped)
	first, err := s.shared.build(o.Config)
	if err != nil {
		return errors.Join(err, st.close())
	}
	s.site.Store(first)
	s.roster = openRoster(o.Config.DataDir, o.Log)
	s.endDeparted(ctx)
	s.shared.metrics.Reloaded(true)
	err = s.serve(ctx)
	s.site.Load().retire()
	return errors.Join(err, st.close())
}

// serve listens and runs all servers. It returns after the stop, or when a
// listener fails.
func (s *Server) serve(ctx context.Context) error {
	c := s.options.Config
	lns, err := listen(ctx, c.Listen, c.SocketMode())
	if err != nil {
		return err
	}
	control, err := listenUnix(ctx, filepath.Join(c.DataDir, admin.SocketFile), 0o600)
	if err != nil {
		return errors.Join(fmt.Errorf("control socket: %w", err), closeAll(lns))
	}
	var inner net.Listener // of admin.listen
	if c.Admin.Listen != "" {
		if inner, err = new(net.ListenConfig).Listen(ctx, "tcp", c.Admin.Listen); err != nil {
			return errors.Join(fmt.Errorf("admin.listen: %w", err), closeAll(lns), control.Close())
		}
	}

	// The contexts of requests end with live and not with ctx: a stop lets
	// requests finish.
	live, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	visitors, door := s.visitors(live)
	failed := make(chan error, len(lns)+2)
	var draining []*drainingListener
	for _, ln := range lns {
		d := newDrainingListener(ln)
		d.failed = s.notAccepted
		draining = append(draining, d)
		go func() { failed <- visitors.Serve(&visitorListener{d, door}) }()
	}
	hs := s.inside(live, s.control())
	inside := []*http.Server{hs}
	go func() { failed <- hs.Serve(reserve(control)) }()
	if inner != nil {
		hs := s.inside(live, s.health())
		inside = append(inside, hs)
		go func() { failed <- hs.Serve(reserve(inner)) }()
	}
	sweep, stopSweeping := context.WithCancel(context.WithoutCancel(ctx)) // goes on during a stop, as sessions end then, too
	var sweeper sync.WaitGroup
	sweeper.Go(func() { s.sweep(sweep) })
	sweeper.Go(func() { s.watchSessions(sweep) })
	sweeper.Go(func() { s.watchDeparted(sweep) })
	sweeper.Go(func() { account.Learn(sweep, s.shared.hasher, s.shared.storage.accounts, s.log) })
	// Deferred calls run in reverse: the loops are told to stop, and have ended
	// before Run closes the stores.
	defer sweeper.Wait()
	defer stopSweeping()

	s.announce(ctx, lns)
	for {
		select {
		case err := <-failed:
			err = fmt.Errorf("serve: %w", err)
			return errors.Join(err, visitors.Close(), closeServers(inside))
		case <-s.options.ReloadOn:
			_ = s.Reload(ctx) // Reload has logged why not
		case <-ctx.Done():
			return s.stop(visitors, draining, inside, cut)
		}
	}
}

// announce reports that visitors are served: to the log, to systemd
// (sd_notify(3)), and to Options.Ready.
func (s *Server) announce(ctx context.Context, lns []net.Listener) {
	f := s.startupInfo(ctx, lns)
	if !s.options.Told {
		f.log(s.log, s.options.Config, s.options.Version)
	}
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)
	if s.options.Ready != nil {
		s.options.Ready(f)
	}
}

// countSessions returns the number of sessions for the metrics; -1 if the store
// cannot tell within a second.
func (s *Server) countSessions() float64 {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	n, err := s.shared.storage.store.Count(ctx)
	if err != nil {
		return -1 // not known; 0 would be wrong
	}
	return float64(n)
}

// closeAll closes all listeners and returns all errors.
func closeAll(lns []net.Listener) error {
	var errs []error
	for _, ln := range lns {
		errs = append(errs, ln.Close())
	}
	return errors.Join(errs...)
}
