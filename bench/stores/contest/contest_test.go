package contest

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"
	"time"
)

// memory is a store that forgets nothing when it is closed.
type memory struct {
	mu  sync.Mutex
	all map[string]time.Time // tokens, which are their users' names
}

func (m *memory) Fill(n, few int, expires time.Time) (tokens []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range n {
		token := fmt.Sprintf("%d-%d", len(m.all), i)
		m.all[token] = expires
		if i < few {
			tokens = append(tokens, token)
		}
	}
	return tokens, nil
}

func (m *memory) Find(token string) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all[token].Before(time.Now()) {
		return "", errors.New("gone")
	}
	return token, nil
}

func (m *memory) Login(user string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all[user] = time.Now().Add(time.Hour)
	return nil
}

func (m *memory) Sweep() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.all, func(_ string, expires time.Time) bool { return expires.Before(time.Now()) })
	return nil
}

func (m *memory) Close() error { return nil }

func TestSteps(t *testing.T) {
	m := &memory{all: map[string]time.Time{}}
	open := func(string) (Store, error) { return m, nil }
	short := times{again: time.Millisecond, login: time.Millisecond, calm: 20 * time.Millisecond}
	dir := t.TempDir()
	for _, tt := range []struct {
		do, want string
	}{
		{"fill", "bytes_each"}, {"open", "open_ms"}, {"find", "hot"}, {"login", "logins_many"}, {"expire", ""}, {"sweep", "sweep_p99"},
	} {
		r, err := short.step(open, dir, tt.do, 10, time.Now())
		if err != nil {
			t.Fatalf("%s: %v", tt.do, err)
		}
		if _, ok := r[tt.want]; tt.want != "" && !ok {
			t.Errorf("%s: %v has no %s", tt.do, r, tt.want)
		}
	}
	for token, expires := range m.all {
		if expires.Before(time.Now()) {
			t.Errorf("%s was not swept", token)
		}
	}
	if _, err := short.step(open, dir, "nothing", 10, time.Now()); err == nil {
		t.Error("an unknown step is no error")
	}
}
