package sessions

import (
	"context"
	"errors"
	"net/http"
)

// NewValues makes a session of nobody's that holds the values in one space, and
// puts its cookie into h, for a request that has none. It ends by e, and
// like others by its idle time and at its Limit. A login takes the values along, under a new
// id. ErrFull: nothing was made. Any other error: the store could not tell.
func (m *Manager) NewValues(r *http.Request, h http.Header, space string, e Expiry, values map[string]string) error {
	ctx, cancel := detach(r.Context())
	defer cancel()
	s := &Session{m: m, ctx: ctx, secure: m.secure(r), state: state{loaded: true}}
	if err := s.content.setSpace(space, values); err != nil {
		return err
	}
	if err := m.quota.room(ctx, m, len(s.content.Values[spacePrefix+space])); err != nil {
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

// SetExpiry gives the session that Find has found for the request a policy of
// its own, and its browser a cookie of it, unless it has that policy already.
// In a session that somebody is signed in with, it only makes the end earlier:
// After counts up to Age, and At moves the Limit.
//
// ErrNotFound: the session has ended, or has got a new id.
func (m *Manager) SetExpiry(r *http.Request, h http.Header, i Info, e Expiry) error {
	id, ok := m.idOf(r, i.Key)
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
		switch err := s.replace(ctx, i.Key); {
		case err == nil:
			return s.sendCookie(h)
		case !errors.Is(err, ErrConflict):
			return wrap("set the expiry of", i.Key, err)
		case ctx.Err() != nil:
			return ctx.Err()
		}
	}
}

// bind loads the session anew, gives it the policy, and reports whether that is
// another one than it had.
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
