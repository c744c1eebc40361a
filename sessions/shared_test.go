package sessions_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/sessions"
)

// shared is a store that others write to: the test.
type shared struct {
	*sessions.Memory

	changed func(string)
	missed  func()
	begun   chan struct{}
}

func (s *shared) Watch(ctx context.Context, changed func(string), missed func()) {
	s.changed, s.missed = changed, missed
	close(s.begun)
	<-ctx.Done()
}

// watched gives a cache in front of a store that others write to, which has a
// session under key, known to the cache.
func watched(t *testing.T) (*sessions.Cached, *shared, string) {
	t.Helper()
	s := &shared{Memory: sessions.NewMemory(), begun: make(chan struct{})}
	c := sessions.NewCached(s, 100)
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	<-s.begun
	key := strings.Repeat("ab", 32)
	if err := c.Create(t.Context(), key, sessions.Record{User: "alice", Idle: 4 * time.Second, Expires: time.Now().Add(4 * time.Second)}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Load(t.Context(), key); err != nil {
		t.Fatal(err)
	}
	return c, s, key
}

// endElsewhere ends the session on another node.
func endElsewhere(t *testing.T, s *shared, key string) {
	t.Helper()
	if _, err := s.Delete(t.Context(), key); err != nil {
		t.Fatal(err)
	}
}

func TestAnnouncedRevocationIsSeenAtOnce(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s, key := watched(t)
		endElsewhere(t, s, key)
		s.changed(key)
		if r, err := c.Load(t.Context(), key); !errors.Is(err, sessions.ErrNotFound) {
			t.Errorf("after the announcement Load gives %v, %v", r, err)
		}
	})
}

func TestMissedRevocationIsSeenAtReconnect(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s, key := watched(t)
		endElsewhere(t, s, key)
		s.missed()
		if r, err := c.Load(t.Context(), key); !errors.Is(err, sessions.ErrNotFound) {
			t.Errorf("after missed announcements Load gives %v, %v", r, err)
		}
	})
}

// Django 84.
func TestUnannouncedRevocationIsSeenWithinThreeSeconds(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s, key := watched(t)
		endElsewhere(t, s, key)
		if _, err := c.Load(t.Context(), key); err != nil {
			t.Errorf("the cache asked the store again at once: %v", err)
		}
		time.Sleep(3*time.Second + 1)
		if r, err := c.Load(t.Context(), key); !errors.Is(err, sessions.ErrNotFound) {
			t.Errorf("after three seconds Load gives %v, %v", r, err)
		}
	})
}

// TestUseOnAnotherNodeKeepsTheSession: what the cache believes to have expired
// may have been used elsewhere.
func TestUseOnAnotherNodeKeepsTheSession(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		c, s, key := watched(t)
		time.Sleep(2 * time.Second)
		s.missed()
		if _, err := c.Load(t.Context(), key); err != nil {
			t.Fatal(err)
		}
		if err := s.Touch(t.Context(), key, time.Now(), time.Now().Add(4*time.Second)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2*time.Second + 1)
		if _, err := c.Load(t.Context(), key); err != nil {
			t.Errorf("a session that was used on another node: %v", err)
		}
	})
}
