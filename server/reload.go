package server

import (
	"context"
	"errors"
	"log/slog"
	"strings"

	"gatehouse/config"
	"gatehouse/internal/audit"
)

// Reload reads the configuration again and swaps the site, all or nothing: after
// an error the old site is in force. Requests under way finish with the site that
// they began with. The error is config.Problems if the file has mistakes, and
// another one if it changes what only a restart can change (see needsRestart). It
// is safe for concurrent use; one reload runs at a time. The result is logged.
func (s *Server) Reload(ctx context.Context) (err error) {
	s.reload.Lock()
	defer s.reload.Unlock()
	defer func() {
		s.shared.metrics.Reloaded(err == nil)
		if err != nil {
			s.log.ErrorContext(ctx, "configuration not reloaded, the old one goes on", "error", err)
			return
		}
		s.shared.audit.Event(ctx, audit.ConfigReloaded, slog.String("file", s.site.Load().config.File))
	}()
	if s.options.Load == nil {
		return errors.New("there is no configuration file to reload")
	}
	next, err := s.options.Load()
	if err != nil {
		return err
	}
	old := s.site.Load()
	if err := needsRestart(old.config, next); err != nil {
		return err
	}
	built, err := s.shared.build(next)
	if err != nil {
		return err
	}
	if s.options.Level != nil {
		if err := setLevel(s.options.Level, next.Log); err != nil {
			built.retire()
			return err
		}
	}
	// From here on nothing can fail: all of the new configuration comes into
	// force.
	s.shared.throttle.Limits(next.Login.Throttle)
	s.site.Store(built)
	s.endDeparted(ctx)
	old.retire()
	for _, w := range next.Warnings {
		s.log.WarnContext(ctx, "the configuration is dangerous", "problem", w.String())
	}
	return nil
}

// needsRestart returns an error that names the keys that differ between the two
// configurations and that a running process cannot change; nil if there are none.
func needsRestart(old, next *config.Config) error {
	var keys []string
	for _, k := range []struct {
		name    string
		changed bool
	}{
		{"listen", old.Listen != next.Listen},
		{"listen_mode", old.ListenMode != next.ListenMode},
		{"data_dir", old.DataDir != next.DataDir},
		{"admin.listen", old.Admin.Listen != next.Admin.Listen},
		{"session.store", old.Session.Store != next.Session.Store},
		{"session.cache", old.Session.Cache != next.Session.Cache},
		{"session.postgres", !old.Session.Postgres.Same(&next.Session.Postgres)},
		{"session.redis", !old.Session.Redis.Same(&next.Session.Redis)},
		{"tls", old.TLS.Enabled() != next.TLS.Enabled()},
		{"log.format", old.Log.Format != next.Log.Format},
	} {
		if k.changed {
			keys = append(keys, k.name)
		}
	}
	if len(keys) == 0 {
		return nil
	}
	return &restartError{keys}
}

// A restartError names the changed keys that need a restart.
type restartError struct{ keys []string }

func (e *restartError) Error() string { return "needs a restart: " + strings.Join(e.keys, ", ") }
