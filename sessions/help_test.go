package sessions

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

var testSecret = []byte("a secret of the tests, 32 bytes or more")

// newManager makes a Manager with what the options leave out, and closes it
// at the end of the test.
func newManager(tb testing.TB, o Options) *Manager {
	tb.Helper()
	if o.Store == nil {
		o.Store = NewMemory()
	}
	if o.Secrets == nil {
		o.Secrets = [][]byte{testSecret}
	}
	if o.IdleTimeout == 0 && o.Lifetime == 0 {
		o.IdleTimeout = time.Hour
	}
	m, err := NewManager(o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(m.Close)
	return m
}

// request makes a GET with the cookies; nil ones are left out.
func request(cookies ...*http.Cookie) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "https://gate.example/", nil) //nolint:noctx // the context of no test is needed
	for _, c := range cookies {
		if c != nil {
			r.AddCookie(c)
		}
	}
	return r
}

// login returns the cookie of a new session of the user.
func login(tb testing.TB, m *Manager, user string) *http.Cookie {
	tb.Helper()
	return loginAs(tb, m, request(), Login{User: user, Source: "file", Stamp: "s1", Addr: "192.0.2.7", Agent: "agent"})
}

func loginAs(tb testing.TB, m *Manager, r *http.Request, l Login) *http.Cookie {
	tb.Helper()
	s := m.Open(r)
	if err := s.Login(tb.Context(), l); err != nil {
		tb.Fatal(err)
	}
	return commit(tb, m, s)
}

// commit returns the cookie that the answer sets; nil: none.
func commit(tb testing.TB, m *Manager, s *Session) *http.Cookie {
	tb.Helper()
	h := http.Header{}
	if err := m.Commit(s, h, http.StatusOK); err != nil {
		tb.Fatal(err)
	}
	lines := h["Set-Cookie"]
	if len(lines) == 0 {
		return nil
	}
	c, err := http.ParseSetCookie(lines[0])
	if err != nil || len(lines) != 1 {
		tb.Fatalf("Set-Cookie %q: %v", lines, err)
	}
	return c
}

// endings notes what Options.Ended is told.
type endings struct {
	mu  sync.Mutex
	all []string
}

func (e *endings) ended(i Info, reason string) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.all = append(e.all, i.User+" "+reason)
}

// want compares with what was told since the last want, in any order.
func (e *endings) want(tb testing.TB, want ...string) {
	tb.Helper()
	e.mu.Lock()
	defer e.mu.Unlock()
	slices.Sort(e.all)
	slices.Sort(want)
	if !slices.Equal(e.all, want) {
		tb.Errorf("ended: %q, want %q", e.all, want)
	}
	e.all = nil
}

// rawRecord returns the bytes of a record in the file, and replaces them unless
// with is nil.
func rawRecord(tb testing.TB, b *Bolt, key string, with []byte) (raw []byte) {
	tb.Helper()
	err := b.db.Update(func(tx *bbolt.Tx) error {
		raw = bytes.Clone(tx.Bucket(bucketRecords).Get([]byte(key)))
		if with == nil {
			return nil
		}
		return tx.Bucket(bucketRecords).Put([]byte(key), with)
	})
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// A lockedLog takes lines from several goroutines. The zero value is empty.
type lockedLog struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedLog) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *lockedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func (l *lockedLog) Reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.text.Reset()
}
