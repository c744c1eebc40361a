package sessions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"time"

	"gatehouse/internal/web"
)

const (
	createTries = 3  // new ids: one that is taken is a miracle, three are a broken store
	mergeTries  = 64 // times that others may write to the session meanwhile
)

// Save stores the session: under a new id if it has none, else in place. What
// other requests have stored since it was loaded stays, except under the keys that
// this request has set or deleted.
//
// It returns ErrNotFound, and stores nothing, if the session has ended meanwhile:
// saving never brings one back. It goes on when ctx ends, for 5 seconds at most.
// Handlers call Commit, which saves and sends the cookie.
func (s *Session) Save(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.save(ctx)
}

func (s *Session) save(ctx context.Context) error {
	ctx, cancel := detach(ctx)
	defer cancel()
	if s.id == "" {
		return s.create(ctx)
	}
	if err := s.load(ctx); err != nil {
		return err
	}
	if s.id == "" {
		return ErrNotFound // it had an id until now: a new one is the next Save's
	}
	key := keyOf(s.id)
	for range mergeTries {
		err := s.replace(ctx, key)
		if !errors.Is(err, ErrConflict) {
			return wrap("save", key, err)
		}
		if err := s.merge(ctx); err != nil {
			return err
		}
	}
	return fmt.Errorf("save session %s: %w %d times", Handle(key), ErrConflict, mergeTries)
}

// replace updates the record if it is still of the version that was loaded.
func (s *Session) replace(ctx context.Context, key string) error {
	r := s.rec
	now := s.m.now()
	s.apply(&r, now)
	r.Seen = now
	if err := s.m.write(s.id, key, 0, &r, s.content, r.Version+1); err != nil {
		return err
	}
	if err := s.m.store.Update(ctx, key, r); err != nil {
		return err
	}
	s.m.removeHosts(s.rec.Hosts, r.Hosts)
	r.Version++
	s.stored(r)
	return nil
}

// merge loads the session anew, and applies to it what this request has changed.
func (s *Session) merge(ctx context.Context) error {
	rec, theirs, err := s.read(ctx)
	if err != nil {
		return err
	}
	if s.cleared {
		theirs.Values = nil
	}
	for key, raw := range s.changes {
		theirs.set(key, raw)
	}
	if s.policy {
		theirs.Expiry = s.content.Expiry
	}
	s.rec, s.content = rec, theirs
	return nil
}

// Create stores the session under a new id, whatever id it had. The record under
// that one stays (Django's create; see Cycle).
func (s *Session) Create(ctx context.Context) error {
	ctx, cancel := detach(ctx)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(ctx); err != nil {
		return err
	}
	return s.create(ctx)
}

// create stores the session as it is under a new id. The caller holds s.mu.
func (s *Session) create(ctx context.Context) error {
	s.loaded = true
	r := s.rec
	now := s.m.now()
	if r.User == "" && r.Host == "" && r.Version == 0 && s.m.o.Lifetime > 0 { // a login has set its own
		r.Limit = now.Add(s.m.o.Lifetime)
	}
	s.apply(&r, now)
	r.Created, r.Seen = now, now
	var err error
	for range createTries {
		id := newID()
		key := keyOf(id)
		if err = s.m.write(id, key, 0, &r, s.content, 1); err != nil {
			return err
		}
		if err = s.m.store.Create(ctx, key, r); errors.Is(err, ErrExists) {
			continue
		} else if err != nil {
			return wrap("create", key, err)
		}
		s.m.quota.add(len(r.Data))
		s.id, r.Version = id, 1
		s.stored(r)
		s.accessed, s.modified = true, true
		return nil
	}
	return fmt.Errorf("create session: %w", err)
}

// stored remembers r as what the store has.
func (s *Session) stored(r Record) {
	s.rec, s.changes, s.cleared, s.policy, s.saved = r, nil, false, false, true
}

// apply puts into r the times of a session that is used now, by its own policy or
// else by that of Options, and never past r.Limit.
func (s *Session) apply(r *Record, now time.Time) {
	o, own := &s.m.o, Expiry{}
	if s.content.Expiry != nil {
		own = *s.content.Expiry
	}
	r.Browser = own.AtBrowserClose || o.SessionCookie && own.After == 0 && own.At.IsZero() && !s.content.Remember
	switch {
	case !own.At.IsZero():
		r.Idle, r.Expires = 0, own.At
	case own.After != 0:
		r.Idle, r.Expires = max(0, own.After), now.Add(own.After)
	case r.Host != "":
		r.Idle, r.Expires = 0, r.Limit
		if r.Limit.IsZero() {
			r.Expires = now.Add(forever)
		}
	case s.content.Remember || o.IdleTimeout == 0:
		r.Idle, r.Expires = 0, r.Limit
		if r.Limit.IsZero() { // not stored yet, or stored under other Options
			r.Expires = now.Add(max(o.Lifetime, o.IdleTimeout))
		}
	default:
		r.Idle, r.Expires = o.IdleTimeout, now.Add(o.IdleTimeout)
	}
	if !r.Limit.IsZero() && r.Expires.After(r.Limit) {
		r.Expires = r.Limit
	}
}

// Cycle gives the session a new id and keeps its data (Django's cycle_key): call
// it when what the session may do grows, so that an id which somebody has planted
// or read before opens nothing. The old id is dead when Cycle returns; Commit
// sends the new one. It returns ErrNotFound if the session has ended meanwhile,
// and does not bring it back. Login does all this by itself.
func (s *Session) Cycle(ctx context.Context) error {
	ctx, cancel := detach(ctx)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.load(ctx); err != nil {
		return err
	}
	before := s.state
	if err := s.cycle(ctx, false); err != nil {
		s.state = before
		return err
	}
	return nil
}

// cycle creates the new record before it deletes the old one: a crash in between
// leaves two, never none, and nobody has the id of the second. If the old one has
// gone meanwhile, the session has ended, and cycle deletes the new record again;
// but not after a login (proved), which does not depend on the session before. The
// caller restores the state after an error.
func (s *Session) cycle(ctx context.Context, proved bool) error {
	oldID := s.id
	if err := s.create(ctx); err != nil || oldID == "" {
		return err
	}
	oldKey := keyOf(oldID)
	s.moveHosts(ctx)
	old, err := s.m.store.Delete(ctx, oldKey)
	switch {
	case err == nil:
		s.m.removeHosts(old.Hosts, s.rec.Hosts)
		old.Hosts = nil
		s.m.ended(oldKey, &old, "replaced")
		return nil
	case errors.Is(err, ErrNotFound) && proved:
		return nil
	}
	if _, undo := s.m.store.Delete(ctx, keyOf(s.id)); undo != nil {
		s.m.o.Log.Warn("session left over", slog.String("session", Handle(keyOf(s.id))), slog.Any("error", undo))
	}
	return wrap("cycle", oldKey, err)
}

// Flush ends the session: it has no data, no id and no record any more, and Commit
// deletes its cookie. What is written to it afterwards belongs to a new session. A
// session that has ended already, or was never saved, is no error.
func (s *Session) Flush(ctx context.Context) error { return s.end(ctx, "flush") }

// Logout is Flush, with the reason logout for Options.OnEnd.
func (s *Session) Logout(ctx context.Context) error { return s.end(ctx, "logout") }

func (s *Session) end(ctx context.Context, reason string) error {
	ctx, cancel := detach(ctx)
	defer cancel()
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.id != "" {
		key := keyOf(s.id)
		switch old, err := s.m.store.Delete(ctx, key); {
		case err == nil:
			s.m.ended(key, &old, reason)
		case !errors.Is(err, ErrNotFound):
			return wrap("end", key, err)
		}
	}
	s.state = state{loaded: true}
	s.modify()
	return nil
}

// Commit saves the session if it was modified, and puts Set-Cookie into the
// answer's header h, with the Vary and Cache-Control that caches need. Call it
// once, before the first byte of the answer. An answer with a status of 500 or
// more saves nothing (Django 4.2).
//
// A session that has ended meanwhile is no error: the changes are dropped, and no
// cookie is sent. A session whose cookie was signed with an older secret is saved
// at its first use, and gets a cookie signed with the first one.
func (m *Manager) Commit(s *Session, h http.Header, status int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.empty() {
		s.sent.expire(m, h, false)
	}
	if s.accessed {
		web.AddVary(h, "Cookie")
	}
	modified := s.modified || s.old && s.accessed
	if !modified || s.empty() || status >= http.StatusInternalServerError {
		return nil
	}
	if !s.saved {
		err := s.save(s.ctx)
		if errors.Is(err, ErrNotFound) {
			m.o.Log.Debug("session ended before it was saved")
			return nil
		}
		if err != nil {
			return err
		}
	}
	return s.sendCookie(h)
}

// sendCookie puts the session's cookie into h. The caller holds s.mu.
func (s *Session) sendCookie(h http.Header) error {
	value, err := s.m.sign(s.id)
	if err != nil {
		return fmt.Errorf("sign the session's cookie: %w", err)
	}
	c := s.m.cookie(s.m.nameFor(s.secure), value, s.secure) //nolint:gosec // see there
	if !s.rec.Browser {
		now := s.m.now()
		c.Expires = s.rec.cookieEnds(now, s.m.o.SlideAnonymous)
		c.MaxAge = int(c.Expires.Sub(now).Round(time.Second) / time.Second)
		if c.MaxAge <= 0 {
			c.MaxAge = -1 // 0 would leave it out
		}
	}
	s.sent.expire(s.m, h, true)
	putCookie(h, c)
	return nil
}

// cookieEnds returns until when the browser keeps the cookie. Where uses prolong
// the session without a new cookie (Touch: for users, and with SlideAnonymous for
// everybody), the browser has to keep the cookie longer than the idle timeout.
func (r *Record) cookieEnds(now time.Time, slide bool) time.Time {
	at := r.Expires
	if (r.User != "" || slide) && r.Idle > 0 {
		at = r.Limit
	}
	if last := now.Add(forever); at.IsZero() || at.After(last) {
		return last
	}
	return at
}
