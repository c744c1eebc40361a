// Package server is the process: it listens, holds what outlives a
// configuration (listeners, database, throttle, counters), builds a site out
// of each configuration, swaps sites at a reload, stops without dropping a
// request, and lets an administrator in by a socket that only its owner can
// open.
package server

import (
	"context"
	"crypto/tls"
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

	"gatehouse/auth"
	"gatehouse/config"
	"gatehouse/internal/audit"
	"gatehouse/internal/metrics"
	"gatehouse/proxy"
	"gatehouse/server/admin"
)

// Limits that hold for every visitor (contract: Limits, always on).
const (
	maxHeaderBytes    = 64 << 10
	maxStreams        = 100      // of one HTTP/2 connection
	maxFrame          = 16 << 10 // of HTTP/2: net/http keeps a buffer for the largest that has come
	readHeaderTimeout = 10 * time.Second
	idleTimeout       = 120 * time.Second
)

// drainLimit is how long a stop waits for connections that the kernel has
// taken already, and for idle ones to carry their last request.
const drainLimit = 2 * time.Second

// spare is memory that is never touched, so that it takes address space and
// nothing else. The collector counts it: it waits for as much garbage again
// before it runs, where the few megabytes that a gate lives on would have it
// run sixteen times a second under load. A larger GOGC would do that too, but
// in proportion, and ten thousand WebSockets would cost twice their memory.
const spare = 32 << 20

// ballast returns the spare memory; none where somebody has told the
// collector what to do, because it would count against that limit.
func ballast() []byte {
	if os.Getenv("GOMEMLIMIT") != "" || os.Getenv("GOGC") != "" {
		return nil
	}
	return make([]byte, spare)
}

// Options are what a Server is made of.
type Options struct {
	Config    *config.Config                 // required: the first one
	Load      func() (*config.Config, error) // reads the configuration again; nil: reload is refused
	LoginHTML string                         // required: the built-in login page
	Version   string
	Log       *slog.Logger   // required
	Level     *slog.LevelVar // changed by a reload; may be nil
	// Dropped returns how many lines of the log nobody took. May be nil.
	Dropped func() uint64
	// ReloadOn makes it read its configuration again, as SIGHUP does. nil: only
	// the control socket does.
	ReloadOn <-chan os.Signal
	// Ready is told once visitors are served. May be nil.
	Ready func(StartupInfo)
	// Told says that Ready tells a person all of it, so that the log need not.
	Told bool
}

// A Server is a running gate.
type Server struct {
	options Options
	parts   shared
	site    atomic.Pointer[site]
	conns   conns
	ending  atomic.Bool // a stop has begun

	storeHealth checkup
	reload      sync.Mutex // held while a new site is built
	roster      *roster
	log         *slog.Logger
}

// Run serves until ctx is done, then stops as the section stop of the
// configuration says: it is not ready at once, takes what the kernel has
// accepted, answers what it has begun, and cuts what is left after the limit.
// It returns nil after a clean stop.
func Run(ctx context.Context, o Options) error {
	defer runtime.KeepAlive(ballast())
	s := &Server{options: o, log: o.Log}
	st, err := openState(o.Config, o.Log)
	if err != nil {
		return err
	}
	s.parts = shared{
		state: st, hasher: auth.NewHasher(0), throttle: auth.NewThrottle(o.Config.Login.Throttle), live: new(proxy.ActiveRequests),
		loginHTML: o.LoginHTML, pseudonym: proxy.NewPseudonym(), audit: audit.New(o.Log), metrics: metrics.New(o.Version), log: o.Log, warnings: new(warnings),
	}
	if st.counter != nil {
		s.parts.throttle.Share(st.counter, o.Log)
	}
	s.parts.accounts = func() auth.Accounts { return s.site.Load().accounts }
	s.parts.metrics.SessionCount(s.countSessions)
	s.parts.metrics.LogDropped(o.Dropped)
	first, err := s.parts.build(o.Config)
	if err != nil {
		return errors.Join(err, st.close())
	}
	s.site.Store(first)
	s.roster = openRoster(o.Config.DataDir, o.Log)
	s.endDeparted(ctx)
	s.parts.metrics.Reloaded(true)
	err = s.serve(ctx)
	s.site.Load().retire()
	return errors.Join(err, st.close())
}

// serve listens and waits for the end.
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

	// Requests end with live, not with ctx: stopping lets them finish.
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
	sweep, stopSweeping := context.WithCancel(context.WithoutCancel(ctx)) // sessions end while it stops, too
	var sweeper sync.WaitGroup
	sweeper.Go(func() { s.sweep(sweep) })
	sweeper.Go(func() { s.watch(sweep) })
	sweeper.Go(func() { s.watchDeparted(sweep) })
	sweeper.Go(func() { auth.Learn(sweep, s.parts.hasher, s.parts.state.accounts, s.log) })
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

// stop ends what serve began, in the order in which nobody notices: whoever
// asks is told that it is not ready, each answer is the last one of its
// connection, then no connection is taken any more, and what is under way ends.
func (s *Server) stop(visitors *http.Server, draining []*drainingListener, inside []*http.Server, cut context.CancelFunc) error {
	c := s.site.Load().config.Stop
	s.ending.Store(true)
	s.conns.draining.Store(true)
	s.log.Info("stopping", "delay", c.Delay.String(), "limit", c.Limit.String())
	_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
	time.Sleep(c.Delay.D())

	limit, cancel := context.WithTimeout(context.Background(), c.Limit.D())
	defer cancel()
	s.drain(limit, draining)
	err := visitors.Shutdown(limit)
	cut() // upgraded connections, which Shutdown does not know, and what is left
	if errors.Is(err, context.DeadlineExceeded) {
		s.log.Warn("requests were cut off", "after", c.Limit.String())
		err = visitors.Close()
	}
	err = errors.Join(err, closeServers(inside))
	s.log.Info("stopped")
	return err
}

// drain closes the listeners, and the HTTP/1 connections that nobody uses.
func (s *Server) drain(limit context.Context, listeners []*drainingListener) {
	limit, cancel := context.WithTimeout(limit, drainLimit)
	defer cancel()
	var wg sync.WaitGroup
	for _, l := range listeners {
		wg.Go(func() { l.drain(drainLimit) })
	}
	wg.Wait()
	s.conns.drain(limit)
}

// visitors is the server for everybody, HTTP/1.1, and HTTP/2 under TLS, with
// the door through which its connections have to come. It never speaks HTTP/2
// in the clear, whatever a client asks for: what looks to net/http like that
// comes out of a visitor's TLS.
func (s *Server) visitors(live context.Context) (*http.Server, *door) {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	hs := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c := visitorOf(r.Context()); c != nil {
				r.TLS = c.state
				c.begin(!r.ProtoAtLeast(1, 1))
			}
			s.conns.lastAnswer(w)
			s.site.Load().handler.ServeHTTP(w, r) // one load: a reload never shows in the middle of a request
		}),
		Protocols:         protocols,
		ConnState:         s.conns.track,
		ConnContext:       withVisitor,
		MaxHeaderBytes:    maxHeaderBytes,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams: maxStreams, MaxReadFrameSize: maxFrame, MaxReceiveBufferPerConnection: maxData, MaxReceiveBufferPerStream: maxData,
		},
		DisableGeneralOptionsHandler: true,
		BaseContext:                  func(net.Listener) context.Context { return live },
		ErrorLog:                     slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	var secure *tls.Config
	if s.options.Config.TLS.Enabled() {
		protocols.SetUnencryptedHTTP2(true)
		secure = tlsConfig(func() certificateSource { return s.site.Load().certificates })
	}
	return hs, newDoor(secure, func() *config.Config { return s.site.Load().config }, s.log)
}

// control is the handler of the control socket.
func (s *Server) control() http.Handler {
	b := s.parts.state.backend(s.site.Load)
	b.Server, b.Audit, b.Log = s, s.parts.audit, s.log
	return admin.Handler(b)
}

// inside is the server of a listener that visitors cannot reach.
func (s *Server) inside(live context.Context, h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: readHeaderTimeout,
		IdleTimeout:       idleTimeout,
		BaseContext:       func(net.Listener) context.Context { return live },
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
}

// announce says where it listens, what lies behind it, and what is dangerous.
func (s *Server) announce(ctx context.Context, lns []net.Listener) {
	f := s.facts(ctx, lns)
	if !s.options.Told {
		f.log(s.log, s.options.Config, s.options.Version)
	}
	_, _ = daemon.SdNotify(false, daemon.SdNotifyReady)
	if s.options.Ready != nil {
		s.options.Ready(f)
	}
}

// Reload reads the configuration again and swaps the site: all or nothing.
// An error says why the old one goes on.
func (s *Server) Reload(ctx context.Context) (err error) {
	s.reload.Lock()
	defer s.reload.Unlock()
	defer func() {
		s.parts.metrics.Reloaded(err == nil)
		if err != nil {
			s.log.ErrorContext(ctx, "configuration not reloaded, the old one goes on", "error", err)
			return
		}
		s.parts.audit.Event(ctx, audit.ConfigReloaded, slog.String("file", s.site.Load().config.File))
	}()
	if s.options.Load == nil {
		return errors.New("there is no configuration file to reload")
	}
	next, err := s.options.Load()
	if err != nil {
		return err
	}
	old := s.site.Load()
	if err := restart(old.config, next); err != nil {
		return err
	}
	built, err := s.parts.build(next)
	if err != nil {
		return err
	}
	if s.options.Level != nil {
		if err := setLevel(s.options.Level, next.Log); err != nil {
			built.retire()
			return err
		}
	}
	s.parts.throttle.Limits(next.Login.Throttle)
	s.site.Store(built)
	s.endDeparted(ctx)
	old.retire()
	for _, w := range next.Warnings {
		s.log.WarnContext(ctx, "the configuration is dangerous", "problem", w.String())
	}
	return nil
}

// sweep removes expired sessions now and then.
func (s *Server) sweep(ctx context.Context) {
	const every = 5 * time.Minute
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		n, err := s.site.Load().sessions.DeleteExpired(ctx)
		if err != nil && ctx.Err() == nil {
			s.log.Error("expired sessions not removed", "error", err)
		} else if n > 0 {
			s.log.Info("expired sessions removed", "count", n)
		}
		if c, ok := s.parts.state.counter.(interface {
			Purge(ctx context.Context) error
		}); ok {
			if err := c.Purge(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("counts of tries to sign in not removed", "error", err)
			}
		}
	}
}

func (s *Server) countSessions() float64 {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	n, err := s.parts.state.store.Count(ctx)
	if err != nil {
		return -1 // could not tell; 0 would be a lie
	}
	return float64(n)
}

func closeAll(lns []net.Listener) error {
	var errs []error
	for _, ln := range lns {
		errs = append(errs, ln.Close())
	}
	return errors.Join(errs...)
}

func closeServers(list []*http.Server) error {
	var errs []error
	for _, hs := range list {
		errs = append(errs, hs.Close())
	}
	return errors.Join(errs...)
}
