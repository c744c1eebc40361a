package sessions

import (
	"context"
	"errors"
	"net/http"
)

// NewValues makes a session for a request that has none: it is nobody's, and holds
// the values under one namespace (see Values). Its cookie is put into h. It ends by
// e, and by the idle timeout and lifetime of Options. A login of the same browser
// keeps the values, under a new id. ErrFull means that Options.DataLimit is
// reached, and nothing was made; after any other error it is not known.
func (m *Manager) NewValues(r *http.Request, h http.Header, namespace string, e Expiry, values map[string]string) error {
	ctx, cancel := detach(r.Context())
	defer cancel()
	s := &Session{m: m, ctx: ctx, secure: m.secure(r), state: state{loaded: true}}
	if err := s.content.setNamespace(namespace, values); err != nil {
		return err
	}
	if err := m.quota.room(ctx, m, len(s.content.Values[namespacePrefix+namespace])); err != nil {
		return err
	}
	if e != (Expiry{}) {
		s.content.Expiry = &e
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.create(ctx); err != nil {
		return err
	}
	return s.sendCookie(h)
}

// SetExpiry gives the session that Find has returned for the request a policy of
// its own, and puts a cookie that follows it into h. It does nothing if the session
// has that policy already. For a session that somebody is signed in with, it can
// only make the end earlier: After counts up to Options.IdleTimeout, and At takes
// the place of the session's lifetime. On a host other than Options.LoginHost it is
// about the id of that host alone, which no policy makes outlive its session.
//
// ErrNotFound means that the session has ended or has a new id.
func (m *Manager) SetExpiry(r *http.Request, h http.Header, i Info, e Expiry) error {
	key := i.cookieKey()
	id, ok := m.idOf(r, key)
	if !ok {
		return ErrNotFound
	}
	ctx, cancel := detach(r.Context())
	defer cancel()
	s := &Session{m: m, ctx: ctx, secure: m.secure(r), state: state{id: id}}
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		changed, err := s.bind(ctx, e)
		if err != nil || !changed {
			return err
		}
		switch err := s.replace(ctx, key); {
		case err == nil:
			return s.sendCookie(h)
		case !errors.Is(err, ErrConflict):
			return wrap("set the expiry of", key, err)
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}

// bind loads the session anew, gives it the policy, and reports whether it had
// another one.
func (s *Session) bind(ctx context.Context, e Expiry) (changed bool, err error) {
	if s.rec, s.content, err = s.read(ctx); err != nil {
		return false, err
	}
	s.loaded = true
	o := &s.m.o
	if s.rec.User != "" {
		if o.IdleTimeout > 0 && !s.content.Remember {
			e.After = min(e.After, o.IdleTimeout)
		}
		if !e.At.IsZero() {
			if !s.rec.Limit.IsZero() && !e.At.Before(s.rec.Limit) {
				return false, nil
			}
			s.rec.Limit = stored(e.At)
			return true, nil
		}
	}
	have := Expiry{}
	if s.content.Expiry != nil {
		have = *s.content.Expiry
	}
	if have.After == e.After && have.AtBrowserClose == e.AtBrowserClose && have.At.Equal(e.At) {
		return false, nil
	}
	s.content.Expiry = &e
	return true, nil
}
