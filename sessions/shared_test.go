package sessions_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
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

// watched returns a cache in front of a store that others write to, which has a
// session under key, known to the cache.
func watched(t *testing.T) (*sessions.Cached, *shared, string) {
	t.Helper()
	s := &shared{Memory: sessions.NewMemory(), begun: make(chan struct{})}
	c := sessions.NewCached(s, 1<<24)
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

// slowShared is a shared store whose first Load answers late.
type slowShared struct {
	*shared

	first  atomic.Bool
	loaded chan struct{} // the first Load has read
	goOn   chan struct{} // it may answer
}

func (s *slowShared) Load(ctx context.Context, key string) (sessions.Record, error) {
	r, err := s.shared.Load(ctx, key)
	if s.first.CompareAndSwap(false, true) {
		close(s.loaded)
		<-s.goOn
	}
	return r, err
}

// TestNoIsTheLastWord: one reader has learned that the session has ended,
// before the announcement is heard. Another one, who has read it before its
// end and is late, does not put it back.
func TestNoIsTheLastWord(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &slowShared{
			shared: &shared{Memory: sessions.NewMemory(), begun: make(chan struct{})},
			loaded: make(chan struct{}), goOn: make(chan struct{}),
		}
		c := sessions.NewCached(s, 1<<24)
		defer c.Close() //nolint:errcheck // it is memory
		<-s.begun
		key := strings.Repeat("ab", 32)
		if err := s.Create(t.Context(), key, sessions.Record{User: "alice", Expires: time.Now().Add(time.Hour)}); err != nil {
			t.Fatal(err)
		}
		late := make(chan error)
		go func() { _, err := c.Load(t.Context(), key); late <- err }()
		<-s.loaded
		endElsewhere(t, s.shared, key)
		if _, err := c.Load(t.Context(), key); !errors.Is(err, sessions.ErrNotFound) {
			t.Fatalf("after its end: %v", err)
		}
		close(s.goOn)
		if err := <-late; err != nil {
			t.Errorf("who has asked before its end: %v", err)
		}
		if _, err := c.Load(t.Context(), key); !errors.Is(err, sessions.ErrNotFound) {
			t.Errorf("it came back: %v", err)
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
		if err := s.Touch(t.Context(), key, time.Now(), time.Now().Add(4*time.Second), nil); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2*time.Second + 1)
		if _, err := c.Load(t.Context(), key); err != nil {
			t.Errorf("a session that was used on another node: %v", err)
		}
	})
}
