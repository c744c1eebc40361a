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

// A Session is one request's view of a session; safe for concurrent use. See
// the package documentation for the Django names.
//
// The store is asked at the first use, and what was read stays for the rest
// of the request. A method that may ask the store returns its failure; the
// session is as it was then. Get, Set and their like mark the session as
// accessed, and those that change something as modified: Commit saves it then.
type Session struct {
	m      *Manager
	ctx    context.Context //nolint:containedctx // of the request, whose part a Session is: Commit has no other
	secure bool            // the answer carries a Secure cookie
	sent   sent            // cookies that may have to be deleted
	old    bool            // it was signed with an older secret

	mu       sync.Mutex
	accessed bool
	modified bool
	state
}

// state is what a change that fails in the store leaves as it was.
type state struct {
	id      string // "" until saved, and again when it has ended
	loaded  bool   // rec and content are known
	rec     Record // as the store has it; the zero Record: not stored
	content content
	changes map[string]json.RawMessage // since it was loaded or saved; nil: deleted
	cleared bool                       // before the changes, everything was deleted
	policy  bool                       // SetExpiry was called since
	saved   bool                       // nothing was changed since it was saved
}

// An Expiry is a session's own policy. The zero value is the manager's.
type Expiry struct {
	After          time.Duration `json:"after,omitempty"` // of inactivity; negative: has expired
	At             time.Time     `json:"at,omitzero"`     // then, whatever happens
	AtBrowserClose bool          `json:"close,omitempty"` // with the browser; the record keeps the manager's Age
}

// Open gives the request's session, or a new one when it has none. Lazy: the
// store is asked at the first use.
func (m *Manager) Open(r *http.Request) *Session {
	s := &Session{m: m, ctx: r.Context(), secure: m.secure(r), sent: m.sentBy(r)}
	value, _, err := m.find(r, m.now())
	if err != nil {
		return s // a store that could not tell cannot at the first use either
	}
	if id, _, by, ok := m.verify(value); ok {
		s.id, s.old = id, by > 0
	}
	return s
}

// OpenByID gives the session with the id, outside of any request, as Open does
// with the id in a cookie. Ids of fewer than 8 or more than 128 characters
// count as none.
func (m *Manager) OpenByID(id string) *Session {
	s := &Session{m: m, ctx: context.Background(), secure: true}
	if len(id) >= 8 && len(id) <= 128 {
		s.id = id
	}
	return s
}

// ID gives the session's id: "" until it is saved, and after it has ended.
// Whoever has the id has the session; for lists and logs there is Info.Handle.
func (s *Session) ID() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.id
}

// Get decodes the key's value into v, and says whether there is one.
func (s *Session) Get(ctx context.Context, key string, v any) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.access(ctx); err != nil {
		return false, err
	}
	return s.decode(key, v)
}

// Set stores v under the key, as JSON.
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

// Delete removes the key. It is no change, and no error, if there is none.
func (s *Session) Delete(ctx context.Context, key string) error {
	_, err := s.Pop(ctx, key, nil)
	return err
}

// Pop decodes the key's value into v, unless v is nil, removes the key, and
// says whether there was one.
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

// Keys gives the keys of the data in ascending order.
func (s *Session) Keys(ctx context.Context) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.access(ctx); err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(s.content.Values)), nil
}

// Clear drops the data and keeps the id.
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

// SetExpiry gives the session a policy of its own, which stays with it; the
// zero Expiry gives it back to the manager's. No policy of a session reaches
// past its Limit.
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

// Expires says when the session would expire if it were saved now (zero:
// with its Limit, if any, alone), and whether its cookie ends with the browser.
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

// Info gives what lists show of the session. ErrNotFound: not saved.
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

// Empty says whether there is neither an id, nor data, nor an Expiry of its
// own: the cookie goes then.
// It asks no store: an id that was not looked up counts as not empty.
func (s *Session) Empty() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.empty()
}

func (s *Session) empty() bool {
	return s.id == "" && len(s.content.Values) == 0 && s.content.Expiry == nil
}

// Accessed says whether the session was read or written: the answer depends
// on it.
func (s *Session) Accessed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.accessed
}

// Modified says whether the session was written to: Commit saves it.
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

// load asks the store, once. An id that the store does not know is dropped:
// it is never adopted. Data that cannot be opened count as none.
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
	}
	s.rec, s.content, s.loaded = rec, c, true
	return nil
}

// read gives what the store has under the session's id.
func (s *Session) read(ctx context.Context) (Record, content, error) {
	rec, c, _, err := s.m.unseal(ctx, s.id, keyOf(s.id))
	return rec, c, err
}

// wrap says what was done to which session. The three answers of a Store
// pass as they are.
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

// change sets the key, or deletes it (nil), and remembers that for a merge.
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
