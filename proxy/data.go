package proxy

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/web"
	"gatehouse/proxy/engine"
	"gatehouse/sessions"
)

// A Keeper keeps values in sessions: *sessions.Manager is one.
type Keeper interface {
	Values(r *http.Request, i sessions.Info, space string) (map[string]string, error)
	ChangeValues(r *http.Request, i sessions.Info, space string, used bool, change func(map[string]string) bool) error
}

// kindData is counted beside the kinds of engine.Error: an answer wanted
// something to be kept that is too much, or cannot be read.
const kindData = "session_data"

// space names the values of a route: whatever answers at its host and path
// has them, and no other route.
func (c *RouteConfig) space(prefix string) string {
	return hostKey(strings.ToLower(c.Host)) + prefix + "/"
}

// keepsData says whether the application has a session to keep values in: it
// does where the route says so, and somebody is signed in.
func (s *passage) keepsData() bool { return s.route.conf.SessionData && s.id != nil }

// tellData puts into h what the application has kept. That it cannot be told
// is no reason to say that there is nothing.
func (s *passage) tellData(h *engine.Header) error {
	if !s.keepsData() {
		return nil
	}
	values, err := s.p.keeper.Values(s.in, s.id.Session, s.route.space)
	if err != nil {
		return web.Fail(http.StatusServiceUnavailable, "", fmt.Errorf("read session data: %w", err))
	}
	if len(values) > 0 {
		s.say(h, dataHeader, formatData(values))
	}
	return nil
}

// keepData keeps what a final answer, or one that switches protocols, asks
// for. When it returns, the next request sees it. An error refuses the answer:
// the application believes that it was kept, or deleted.
func (s *passage) keepData(set, del []string) error {
	c := readData(set, del)
	refused := c.refused
	if len(c.set)+len(c.delete) > 0 {
		err := s.p.keeper.ChangeValues(s.in, s.id.Session, s.route.space, s.active, func(values map[string]string) bool {
			changed, over := c.apply(values)
			refused = slices.Concat(c.refused, over)
			return changed
		})
		switch {
		case errors.Is(err, sessions.ErrNotFound):
			s.p.log.LogAttrs(s.in.Context(), slog.LevelDebug, "session ended before its data were kept", s.about()...)
			return nil
		case err != nil:
			s.unkept = fmt.Errorf("keep session data: %w", err)
			return s.unkept
		}
	}
	if len(refused) > 0 {
		s.p.metrics.UpstreamError(s.route.label, kindData)
		s.p.log.LogAttrs(s.in.Context(), slog.LevelWarn, "session data refused",
			append(s.about(), slog.Any("why", refused[0]), slog.Int("count", len(refused)))...)
	}
	return nil
}

func (s *passage) about() []slog.Attr {
	return []slog.Attr{
		slog.String("request_id", s.info.ID), slog.String("route", s.route.label), slog.String("session", s.id.Session.Handle),
	}
}
