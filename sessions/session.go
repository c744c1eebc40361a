package sessions

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"
)

// A Session is one request's view of a session. It is safe for concurrent use.
// The package documentation has the names of its methods in Django.
//
// The store is asked at the first use, and what was read stays for the rest of
// the request. A method that asks the store returns its failure, and the session
// is then as it was before the call. Get, Set and the like mark the session as
// accessed, and those that change something as modified: Commit saves it then.
type Session struct {
	m      *Manager
	ctx    context.Context //nolint:containedctx // of the request, whose part a Session is: Commit has no other
	secure bool            // the answer carries a Secure cookie
	sent   sent            // the cookies of the request, which may have to be deleted
	bound  bool            // it counts on the host of the request only, or where countsOn says
	host   string          // of the request, if Options.LoginHost is set
	old    bool            // it was signed with an older secret

	mu       sync.Mutex
	accessed bool
	modified bool
	state
}

// state is what is put back when the store fails in the middle of a change.
type state struct {
	id      string // "" until saved, and again when it has ended
	loaded  bool   // rec and content are known
	rec     Record // as the store has it; the zero Record: not stored
	content content
	changes map[string]json.RawMessage // since it was loaded or saved; nil: deleted
	cleared bool                       // everything was deleted before these changes
	policy  bool                       // SetExpiry was called since then
	saved   bool                       // nothing was changed since it was saved
}

// An Expiry is a session's own policy of when it ends, in place of IdleTimeout in
// Options (Django's set_expiry). The zero Expiry is that of Options. At most one of
// After and At is set; AtBrowserClose goes with either. No policy reaches past the
// end of Lifetime.
type Expiry struct {
	// After ends the session when it was not used for so long. Negative: at once.
	After time.Duration `json:"after,omitempty"`

	// At ends the session at that time, used or not.
	At time.Time `json:"at,omitzero"`

	// AtBrowserClose makes a cookie that browsers forget when they close. The
	// record stays as long as it would otherwise.
	AtBrowserClose bool `json:"close,omitempty"`
}

// Open returns the request's session, or a new and empty one if it has none. The
// store is asked at the first use of the session, so Open costs little on a page
// that may not use it.
func (m *Manager) Open(r *http.Request) *Session {
	s := &Session{m: m, ctx: r.Context(), secure: m.secure(r), sent: m.sentBy(r), bound: true}
	if m.o.LoginHost != "" {
		s.host = m.hostOf(r)
	}
	value, _, err := m.find(r, m.now())
	if err != nil {
		return s // a store that could not tell cannot at the first use either
	}
	if id, _, by, ok := m.verify(value); ok {
		s.id, s.old = id, by > 0
	}
	return s
}

// OpenByID returns the session with the id, outside of any request, as Open does
// for the id in a cookie (Django's SessionStore(key)). An id of fewer than 8 or
// more than 128 characters counts as none. The id comes from Session.ID: never
// take one from a request, where only Open checks the signature.
func (m *Manager) OpenByID(id string) *Session {
	s := &Session{m: m, ctx: context.Background(), secure: true}
	if len(id) >= 8 && len(id) <= 128 {
		s.id = id
	}
	return s
}

// ID returns the session's id: "" until it is saved, and after it has ended.
// Whoever has the id has the session. Info.Handle is for lists and logs.
func (s *Session) ID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id
}

// Get decodes the key's value from JSON into v, and reports whether there is one.
// If there is none, v stays as it was. v is a copy: changing it does not change the
// session.
func (s *Session) Get(ctx context.Context, key string, v any) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.access(ctx); err != nil {
		return false, err
	}
	return s.decode(key, v)
}

// Set puts v under the key, encoded as JSON. It is in the store after Save or
// Commit.
func (s *Session) Set(ctx context.Context, key string, v any) error {
	raw, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode session value %q: %w", key, err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.access(ctx); err != nil {
		return err
	}
	s.change(key, raw)
	return nil
}

// Delete removes the key. If there is none, nothing has changed, and it is no
// error.
func (s *Session) Delete(ctx context.Context, key string) error {
	_, err := s.Pop(ctx, key, nil)
	return err
}

// Pop is Get and Delete in one: it decodes the key's value into v, unless v is
// nil, removes the key, and reports whether there was one.
func (s *Session) Pop(ctx context.Context, key string, v any) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.access(ctx); err != nil {
		return false, err
	}
	found, err := s.decode(key, v)
	if err != nil || !found {
		return found, err
	}
	s.change(key, nil)
	return true, nil
}

// Keys returns the keys of the data in ascending order.
func (s *Session) Keys(ctx context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.access(ctx); err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(s.content.Values)), nil
}

// Clear removes all data and keeps the id. Flush ends the session as a whole.
func (s *Session) Clear(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.access(ctx); err != nil {
		return err
	}
	s.content.Values, s.changes, s.cleared = nil, nil, true
	s.modify()
	return nil
}

// SetExpiry gives the session a policy of its own, which is stored with it. The
// zero Expiry returns it to the policy of Options.
func (s *Session) SetExpiry(ctx context.Context, e Expiry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.access(ctx); err != nil {
		return err
	}
	if e == (Expiry{}) && s.content.Expiry == nil {
		return nil
	}
	s.content.Expiry, s.policy = &e, true
	if e == (Expiry{}) {
		s.content.Expiry = nil
	}
	s.modify()
	return nil
}

// Expires returns when the session would expire if it were saved now, and whether
// browsers forget its cookie when they close.
func (s *Session) Expires(ctx context.Context) (at time.Time, browser bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.access(ctx); err != nil {
		return time.Time{}, false, err
	}
	r := s.rec
	s.apply(&r, s.m.now())
	return r.Expires, r.Browser, nil
}

// Info returns what lists show of the session, or ErrNotFound if it is not saved.
func (s *Session) Info(ctx context.Context) (Info, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.access(ctx); err != nil {
		return Info{}, err
	}
	if s.id == "" {
		return Info{}, ErrNotFound
	}
	return newInfo(keyOf(s.id), &s.rec), nil
}

// Empty reports whether the session has no id, no data and no Expiry of its own:
// Commit deletes the cookie then. It asks no store, so a session whose id was not
// looked up yet is not empty.
func (s *Session) Empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.empty()
}

func (s *Session) empty() bool {
	return s.id == "" && len(s.content.Values) == 0 && s.content.Expiry == nil
}

// Accessed reports whether the session was read or written, so that the answer
// depends on it: Commit adds Vary: Cookie then.
func (s *Session) Accessed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accessed
}

// Modified reports whether the session was written to: Commit saves it then.
func (s *Session) Modified() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.modified
}

// access loads the session for a use by the application.
func (s *Session) access(ctx context.Context) error {
	if err := s.load(ctx); err != nil {
		return err
	}
	s.accessed = true
	return nil
}

// load asks the store, once. An id that the store does not know is dropped and
// never adopted, so that nobody can choose the id of another person's session.
// Data that cannot be decrypted count as none.
func (s *Session) load(ctx context.Context) error {
	if s.loaded {
		return nil
	}
	if s.id == "" {
		s.loaded = true
		return nil
	}
	rec, c, err := s.read(ctx)
	switch {
	case errors.Is(err, ErrNotFound):
		s.id = ""
	case err != nil:
		return err
	case s.bound:
		ok, err := s.counts(ctx, &rec, c.Session)
		if err != nil {
			return err
		}
		if !ok {
			s.id, rec, c = "", Record{}, content{}
		}
	}
	s.rec, s.content, s.loaded = rec, c, true
	return nil
}

// counts reports whether the record counts on the request's host. of is the id of the
// session that the id of a host belongs to.
func (s *Session) counts(ctx context.Context, rec *Record, of string) (bool, error) {
	if !s.m.countsOn(s.host, rec.User, rec.Host) {
		return false, nil
	}
	if rec.Host == "" {
		return true, nil
	}
	session := s.m.OpenByID(of)
	err := session.load(ctx)
	return session.rec.User != "", err
}

// read returns what the store has under the session's id.
func (s *Session) read(ctx context.Context) (Record, content, error) {
	rec, c, _, err := s.m.unseal(ctx, s.id, keyOf(s.id))
	return rec, c, err
}

// wrap adds to a failure what was done to which session. The answers of a Store,
// and ErrFull, pass as they are.
func wrap(what, key string, err error) error {
	switch {
	case err == nil, errors.Is(err, ErrNotFound), errors.Is(err, ErrExists), errors.Is(err, ErrConflict), errors.Is(err, ErrFull):
		return err
	}
	return fmt.Errorf("%s session %s: %w", what, Handle(key), err)
}

func (s *Session) decode(key string, v any) (bool, error) {
	raw, ok := s.content.Values[key]
	if !ok || v == nil {
		return ok, nil
	}
	if err := json.Unmarshal(raw, v); err != nil {
		return false, fmt.Errorf("decode session value %q: %w", key, err)
	}
	return true, nil
}

// change sets the key, or deletes it if raw is nil, and remembers that for a
// merge.
func (s *Session) change(key string, raw json.RawMessage) {
	if s.changes == nil {
		s.changes = map[string]json.RawMessage{}
	}
	s.changes[key] = raw
	s.content.set(key, raw)
	s.modify()
}

func (c *content) set(key string, raw json.RawMessage) {
	if raw == nil {
		delete(c.Values, key)
		return
	}
	if c.Values == nil {
		c.Values = map[string]json.RawMessage{}
	}
	c.Values[key] = raw
}

func (s *Session) modify() { s.accessed, s.modified, s.saved = true, true, false }
