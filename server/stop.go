package server

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// drainLimit bounds how long a stop waits for connections that the kernel has
// accepted already, and for idle ones to carry their last request.
const drainLimit = 2 * time.Second

// stop ends what serve began, in an order in which no client loses a request:
// /readyz answers 503, each response becomes the last one of its connection, the
// listeners close, and then requests under way end. cut ends upgraded
// connections, which Shutdown does not know. The listeners inside close last, so
// that health checks see the stop.
func (s *Server) stop(visitors *http.Server, draining []*drainingListener, inside []*http.Server, cut context.CancelFunc) error {
	c := s.site.Load().config.Stop
	s.ending.Store(true)
	s.conns.draining.Store(true)
	s.log.Info("stopping", "delay", c.Delay.String(), "limit", c.Limit.String())
	_, _ = daemon.SdNotify(false, daemon.SdNotifyStopping)
	// Until the delay is over, new connections are served as before, but each
	// response is the last one of its connection.
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

// drain closes the listeners and the idle HTTP/1 connections. It returns at the
// latest when limit is done or after drainLimit.
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

// closeServers closes all servers with their connections and returns all errors.
func closeServers(list []*http.Server) error {
	var errs []error
	for _, hs := range list {
		errs = append(errs, hs.Close())
	}
	return errors.Join(errs...)
}
