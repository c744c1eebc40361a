package sessions_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"time"

	"gatehouse/sessions"
)

// mapStore is a whole Store: a map and a lock. One that is for more than a few
// thousand records has an index by user and one by expiry beside it, as Memory has.
type mapStore struct {
	mu      sync.Mutex
	records map[string]sessions.Record
}

// lock locks the store for a call with the key.
func (s *mapStore) lock(ctx context.Context, key string) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if key == "" {
		return errors.New("the key is empty")
	}
	s.mu.Lock()
	return nil
}

// live returns a record that has not expired. The store is locked.
func (s *mapStore) live(key string) (sessions.Record, error) {
	r, ok := s.records[key]
	if !ok || r.Expired(time.Now()) {
		return sessions.Record{}, sessions.ErrNotFound
	}
	return r, nil
}

func (s *mapStore) Load(ctx context.Context, key string) (sessions.Record, error) {
	if err := s.lock(ctx, key); err != nil {
		return sessions.Record{}, err
	}
	defer s.mu.Unlock()
	r, err := s.live(key)
	return r.Stored(r.Version), err // a copy
}

func (s *mapStore) Create(ctx context.Context, key string, r sessions.Record) error {
	if err := s.lock(ctx, key); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if _, taken := s.records[key]; taken {
		return sessions.ErrExists
	}
	s.records[key] = r.Stored(1)
	return nil
}

func (s *mapStore) Update(ctx context.Context, key string, r sessions.Record) error {
	if err := s.lock(ctx, key); err != nil {
		return err
	}
	defer s.mu.Unlock()
	switch old, err := s.live(key); {
	case err != nil:
		return err
	case old.Version != r.Version:
		return sessions.ErrConflict
	}
	s.records[key] = r.Stored(r.Version + 1)
	return nil
}

func (s *mapStore) Touch(ctx context.Context, key string, seen, expires time.Time, mark []byte) error {
	if err := s.lock(ctx, key); err != nil {
		return err
	}
	defer s.mu.Unlock()
	r, err := s.live(key)
	if err != nil {
		return err
	}
	r.Touch(seen, expires, mark)
	s.records[key] = r
	return nil
}

func (s *mapStore) Delete(ctx context.Context, key string) (sessions.Record, error) {
	if err := s.lock(ctx, key); err != nil {
		return sessions.Record{}, err
	}
	defer s.mu.Unlock()
	r, ok := s.records[key]
	if !ok {
		return sessions.Record{}, sessions.ErrNotFound
	}
	delete(s.records, key)
	return r, nil
}

func (s *mapStore) List(ctx context.Context, q sessions.Query) iter.Seq2[sessions.Entry, error] {
	return func(yield func(sessions.Entry, error) bool) {
		s.mu.Lock()
		keys := slices.Sorted(maps.Keys(s.records))
		s.mu.Unlock()
		for _, key := range keys {
			if err := s.lock(ctx, key); err != nil {
				yield(sessions.Entry{}, err)
				return
			}
			r, ok := s.records[key]
			r = r.Stored(r.Version)
			s.mu.Unlock() // while the caller works, others may write
			if ok && q.Matches(key, &r) && !yield(sessions.Entry{Key: key, Record: r}, nil) {
				return
			}
		}
	}
}

func (s *mapStore) DeleteExpired(ctx context.Context, now time.Time, limit int) ([]sessions.Entry, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	var due []sessions.Entry
	for key, r := range s.records {
		if !r.Expires.After(now) {
			due = append(due, sessions.Entry{Key: key, Record: r})
		}
	}
	slices.SortFunc(due, func(a, b sessions.Entry) int {
		return cmp.Or(a.Expires.Compare(b.Expires), cmp.Compare(a.Key, b.Key))
	})
	due = due[:min(limit, len(due))]
	for _, e := range due {
		delete(s.records, e.Key)
	}
	return due, nil
}

func (s *mapStore) Count(context.Context) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.records), nil
}

func (s *mapStore) Close() error { return nil }

// A store of one's own. Its test is one line, storetest.Run, and a Manager takes it
// as it is. In Gatehouse itself it is one file, and one case of the switch in
// server/storage.go.
func ExampleStore() {
	store := &mapStore{records: map[string]sessions.Record{}}
	m, err := sessions.NewManager(sessions.Options{
		Store: store, Secrets: [][]byte{make([]byte, 32)}, IdleTimeout: time.Hour,
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer m.Close()

	r := httptest.NewRequest(http.MethodGet, "https://app.example/", nil) //nolint:noctx // an example
	s := m.Open(r)
	fmt.Println(s.Login(r.Context(), sessions.Login{User: "alice"}))

	slow := m.OpenByID(s.ID()) // another request of hers, which takes long
	fmt.Println(slow.Set(r.Context(), "page", 7))
	fmt.Println(s.Logout(r.Context()))
	fmt.Println(slow.Save(r.Context())) // it does not bring her session back
	// Output:
	// <nil>
	// <nil>
	// <nil>
	// sessions: no such session
}
