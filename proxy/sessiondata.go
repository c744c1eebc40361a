package proxy

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"

	"gatehouse/internal/web"
	"gatehouse/sessions"
)

// SessionData stores values of applications in sessions. *sessions.Manager
// implements it and documents the methods. They may be called concurrently. An
// error of Find, Values or ChangeValues other than sessions.ErrNotFound and ErrFull
// means that the answer is unknown, never that there is nothing.
type SessionData interface {
	Find(r *http.Request) (sessions.Info, error)
	Touch(i sessions.Info)
	Refresh(r *http.Request, h http.Header) error
	NewValues(r *http.Request, h http.Header, space string, e sessions.Expiry, values map[string]string) error
	SetExpiry(r *http.Request, h http.Header, i sessions.Info, e sessions.Expiry) error
	Values(r *http.Request, i sessions.Info, space string) (map[string]string, error)
	ChangeValues(r *http.Request, i sessions.Info, space string, used bool, change func(map[string]string) bool) error
}

// kindData counts, besides the kinds of engine.Error, answers with values that
// cannot be stored: too large or malformed.
const kindData = "session_data"

// namespace returns the name under which sessions store a route's values. Only
// applications with the same host and path share it.
func (c *RouteConfig) namespace(prefix string) string {
	return hostKey(strings.ToLower(c.Host)) + prefix + "/"
}

// A dataSession is the session that holds the application's values during one
// exchange of a route with session_data.
type dataSession struct {
	store     SessionData
	limit     anonymousLimit // limits new sessions for visitors without one
	in        *http.Request
	client    netip.Addr
	namespace string

	info   sessions.Info // zero: there is no session yet
	isUse  bool          // the request is a use of it
	change dataChange    // what the answer asks to store
	failed error         // why it could not be stored; nil: no error
}

// addSessionData is the request filter that sends the application its values. If
// they cannot be read the request fails (503): without the header the application
// would conclude that there are none.
func addSessionData(s *exchange, out *outgoing) error {
	s.dependsOnSession = true
	d := &s.data
	d.store, d.limit, d.in, d.client, d.namespace = s.p.sessionData, s.p.anonymous, s.in, s.info.Client, s.route.namespace
	err := findDataSession(s)
	var values map[string]string
	if err == nil && d.info.Key != "" {
		values, err = d.store.Values(d.in, d.info, d.namespace)
	}
	if err != nil {
		return web.Fail(http.StatusServiceUnavailable, "", fmt.Errorf("read session data: %w", err))
	}
	if len(values) > 0 {
		out.set(dataHeader, formatData(values))
	}
	return nil
}

// findDataSession finds the session of the person who is signed in, or the
// visitor's anonymous one. Without a session cookie there is none, and nothing is
// looked up.
func findDataSession(s *exchange) error {
	d := &s.data
	if s.id != nil {
		d.info, d.isUse = s.id.Session, s.active.isUse
		return nil
	}
	i, err := d.store.Find(d.in)
	switch {
	case errors.Is(err, sessions.ErrNotFound):
		return nil
	case err != nil:
		return err
	case i.User != "": // on a public path the upstream gets the values but not the identity; the account must still be valid
		id, err := s.p.auth.Identify(d.in)
		if err != nil || id == nil {
			return err
		}
		d.info = id.Session
		return nil
	}
	d.info = i
	if d.isUse = s.p.activity.counts(&s.input, d.in); d.isUse {
		d.store.Touch(i)
	}
	return nil
}

// takeSessionData is the answer filter that parses what an answer asks to store.
// Only final answers below 500 and those that switch protocols may ask, as in
// Django's SessionMiddleware.
func takeSessionData(s *exchange, status int, h http.Header) error {
	s.data.change = dataChange{}
	if status >= http.StatusOK && status < http.StatusInternalServerError || status == http.StatusSwitchingProtocols {
		s.data.change = takeData(h)
	}
	return nil
}

// storeSessionData is the answer filter that stores what an answer asks for before
// the answer is passed on, so that the next request sees it. If that fails the
// answer is refused, because the application believes that it was stored.
func storeSessionData(s *exchange, _ int, h http.Header) error {
	if !s.data.change.asks() {
		return nil
	}
	refused, err := s.data.keep(h)
	switch {
	case errors.Is(err, sessions.ErrNotFound):
		s.p.log.LogAttrs(s.in.Context(), slog.LevelDebug, "session ended before its data were kept", aboutData(s)...)
		return nil
	case err != nil:
		s.data.failed = fmt.Errorf("keep session data: %w", err)
		return s.data.failed
	}
	if len(refused) > 0 {
		s.p.metrics.UpstreamError(s.route.label, kindData)
		s.p.log.LogAttrs(s.in.Context(), slog.LevelWarn, "session data refused",
			append(aboutData(s), slog.Any("why", refused[0]), slog.Int("count", len(refused)))...)
	}
	return nil
}

// keep stores what the answer with the header h asks for, and returns why parts of
// it were refused. If the new values do not fit into the session, the deletions are
// still done.
func (d *dataSession) keep(h http.Header) (refused []error, err error) {
	refused = d.change.refused
	over, err := d.apply(h)
	if errors.Is(err, sessions.ErrFull) {
		refused = append(refused, err)
		d.change.set = nil
		over, err = d.apply(h)
	}
	if err == nil && d.change.expiry != nil && d.info.Key != "" {
		err = d.store.SetExpiry(d.in, h, d.info, *d.change.expiry)
	}
	return append(refused, over...), err
}

// apply changes the values, in a new session if there is none, and returns an error
// for each value over the limits.
func (d *dataSession) apply(h http.Header) (over []error, err error) {
	c := &d.change
	switch {
	case len(c.set)+len(c.delete) == 0:
		return nil, nil
	case d.info.Key != "":
		err = d.store.ChangeValues(d.in, d.info, d.namespace, d.isUse, func(values map[string]string) (changed bool) {
			changed, over = c.apply(values)
			return changed
		})
		return over, err
	}
	values := map[string]string{}
	if _, over = c.apply(values); len(values) == 0 {
		return over, nil
	}
	if !d.limit.take(d.client) {
		return append(over, errAnonymous), nil
	}
	if err = d.store.NewValues(d.in, h, d.namespace, c.expiryOrNone(), values); err != nil {
		return over, err
	}
	c.expiry = nil // the new session has it
	return over, nil
}

// refreshDataSession sets the cookie of an anonymous session again if it was signed
// with an old secret. A failure is only logged: the next answer tries again.
func refreshDataSession(s *exchange, h http.Header) {
	if err := s.data.store.Refresh(s.in, h); err != nil {
		s.p.log.LogAttrs(s.in.Context(), slog.LevelWarn, "session not signed anew", append(aboutData(s), slog.Any("error", err))...)
	}
}

// aboutData returns the attributes that log entries about session data share.
func aboutData(s *exchange) []slog.Attr {
	return []slog.Attr{
		slog.String("request_id", s.info.ID), slog.String("route", s.route.label), slog.String("session", s.data.info.Handle),
	}
}
