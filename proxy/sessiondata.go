package proxy

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	"gatehouse/internal/web"
	"gatehouse/proxy/engine"
	"gatehouse/sessions"
)

// A SessionData keeps values in sessions: *sessions.Manager is one.
type SessionData interface {
	Find(r *http.Request) (sessions.Info, error)
	Touch(i sessions.Info)
	Refresh(r *http.Request, h http.Header) error
	NewValues(r *http.Request, h http.Header, space string, e sessions.Expiry, values map[string]string) error
	SetExpiry(r *http.Request, h http.Header, i sessions.Info, e sessions.Expiry) error
	Values(r *http.Request, i sessions.Info, space string) (map[string]string, error)
	ChangeValues(r *http.Request, i sessions.Info, space string, used bool, change func(map[string]string) bool) error
}

// kindData is counted beside the kinds of engine.Error: an answer wanted
// something to be kept that is too much, or cannot be read.
const kindData = "session_data"

// namespace names the values of a route: whatever answers at its host and path
// has them, and no other route.
func (c *RouteConfig) namespace(prefix string) string {
	return hostKey(strings.ToLower(c.Host)) + prefix + "/"
}

// keepsData reports whether an answer with the status may change what the
// application keeps: it may where the route says so, if the answer is final or
// switches protocols. One of 500 and more keeps nothing (Django's
// SessionMiddleware).
func (s *exchange) keepsData(status int) bool {
	return s.route.conf.SessionData &&
		(status >= http.StatusOK && status < http.StatusInternalServerError || status == http.StatusSwitchingProtocols)
}

// findData finds the session in which the application keeps values: that of
// who is signed in, or one that is nobody's. Without a cookie of ours there is
// none, and nothing is looked up.
func (s *exchange) findData() error {
	s.asked = true
	if s.id != nil {
		s.data = s.id.Session
		return nil
	}
	i, err := s.p.sessionData.Find(s.in)
	switch {
	case errors.Is(err, sessions.ErrNotFound):
		return nil
	case err != nil:
		return err
	case i.User != "": // on a public path: told nothing but what was kept, if the account still counts
		id, err := s.p.auth.Identify(s.in)
		if err != nil || id == nil {
			return err
		}
		s.data = id.Session
		return nil
	}
	s.data = i
	if s.active = s.p.activity.counts(&s.question, s.in); s.active {
		s.p.sessionData.Touch(i)
	}
	return nil
}

// tellData puts into h what the application has kept. That it cannot be told
// is no reason to say that there is nothing.
func (s *exchange) tellData(h *engine.Header) error {
	if !s.route.conf.SessionData {
		return nil
	}
	err := s.findData()
	var values map[string]string
	if err == nil && s.data.Key != "" {
		values, err = s.p.sessionData.Values(s.in, s.data, s.route.namespace)
	}
	if err != nil {
		return web.Fail(http.StatusServiceUnavailable, "", fmt.Errorf("read session data: %w", err))
	}
	if len(values) > 0 {
		s.set(h, dataHeader, formatData(values))
	}
	return nil
}

// keepData keeps what an answer asks for. When it returns, the next request
// sees it. An error refuses the answer: the application believes that it was
// kept, or deleted.
func (s *exchange) keepData(h http.Header, c *dataChange) error {
	refused := c.refused
	over, err := s.storeData(h, c)
	if errors.Is(err, sessions.ErrFull) {
		refused = append(refused, err)
		c.set = nil // what is to go goes
		over, err = s.storeData(h, c)
	}
	if err == nil && c.expiry != nil && s.data.Key != "" {
		err = s.p.sessionData.SetExpiry(s.in, h, s.data, *c.expiry)
	}
	switch {
	case errors.Is(err, sessions.ErrNotFound):
		s.p.log.LogAttrs(s.in.Context(), slog.LevelDebug, "session ended before its data were kept", s.about()...)
		return nil
	case err != nil:
		s.unkept = fmt.Errorf("keep session data: %w", err)
		return s.unkept
	}
	if refused = append(refused, over...); len(refused) > 0 {
		s.p.metrics.UpstreamError(s.route.label, kindData)
		s.p.log.LogAttrs(s.in.Context(), slog.LevelWarn, "session data refused",
			append(s.about(), slog.Any("why", refused[0]), slog.Int("count", len(refused)))...)
	}
	return nil
}

// storeData changes the values, in a new session if there is none, and says
// what was over the bounds.
func (s *exchange) storeData(h http.Header, c *dataChange) (over []error, err error) {
	switch {
	case len(c.set)+len(c.delete) == 0:
		return nil, nil
	case s.data.Key != "":
		err = s.p.sessionData.ChangeValues(s.in, s.data, s.route.namespace, s.active, func(values map[string]string) (changed bool) {
			changed, over = c.apply(values)
			return changed
		})
		return over, err
	}
	values := map[string]string{}
	if _, over = c.apply(values); len(values) == 0 {
		return over, nil
	}
	if !s.p.anonymous.take(s.info.Client) {
		return append(over, errAnonymous), nil
	}
	if err = s.p.sessionData.NewValues(s.in, h, s.route.namespace, c.expiryOrNone(), values); err != nil {
		return over, err
	}
	c.expiry = nil // it has it
	return over, nil
}

// refreshData gives a session of nobody's whose cookie was signed with an older
// secret one of the first.
func (s *exchange) refreshData(h http.Header) {
	if err := s.p.sessionData.Refresh(s.in, h); err != nil {
		s.p.log.LogAttrs(s.in.Context(), slog.LevelWarn, "session not signed anew", append(s.about(), slog.Any("error", err))...)
	}
}

func (s *exchange) about() []slog.Attr {
	return []slog.Attr{
		slog.String("request_id", s.info.ID), slog.String("route", s.route.label), slog.String("session", s.data.Handle),
	}
}
