package sessions

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// wantNobody fails if the request opens a session, by either way in.
func wantNobody(t *testing.T, m *Manager, r *http.Request, what string) {
	t.Helper()
	if i, err := m.Find(r); !errors.Is(err, ErrNotFound) {
		t.Errorf("%s: Find = %s's, %v", what, i.User, err)
	}
	if i, err := m.Open(r).Info(t.Context()); !errors.Is(err, ErrNotFound) {
		t.Errorf("%s: Open = %s's, %v", what, i.User, err)
	}
}

func wantUser(t *testing.T, m *Manager, r *http.Request, user string) {
	t.Helper()
	if i, err := m.Find(r); err != nil || i.User != user {
		t.Errorf("Find = %q's, %v; want %q's", i.User, err, user)
	}
}

// A request that is still running when its user logs out must not
// bring the session back when it ends.
//
// Django 70, 71, 121, 126.
func TestAttackLogoutUndoneByASlowRequest(t *testing.T) {
	for name, outlive := range map[string]func(ctx context.Context, m *Manager, s *Session, i Info) error{
		"a write": func(ctx context.Context, m *Manager, s *Session, _ Info) error {
			h := http.Header{}
			err := errors.Join(s.Set(ctx, "k", 1), m.Commit(s, h, http.StatusOK))
			if c := h.Get("Set-Cookie"); c != "" {
				err = errors.Join(err, errors.New("the answer sets "+c))
			}
			return err
		},
		"a use": func(_ context.Context, m *Manager, _ *Session, i Info) error {
			time.Sleep(2 * time.Minute)
			m.Touch(i)
			m.Close()
			return nil
		},
		"a new id": func(ctx context.Context, _ *Manager, s *Session, _ Info) error {
			return refused(s.Cycle(ctx))
		},
		"a new password": func(ctx context.Context, _ *Manager, s *Session, _ Info) error {
			return refused(s.Renew(ctx, "s2"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newManager(t, Options{IdleTimeout: time.Hour})
				r := request(login(t, m, "alice"))
				i, err := m.Find(r)
				if err != nil {
					t.Fatal(err)
				}
				slow := m.Open(r)
				if _, err := slow.Keys(t.Context()); err != nil {
					t.Fatal(err)
				}
				if err := m.Open(r).Logout(t.Context()); err != nil {
					t.Fatal(err)
				}
				check(t, outlive(t.Context(), m, slow, i))
				wantNobody(t, m, r, "after logout")
				if n, err := m.store.Count(t.Context()); n != 0 || err != nil {
					t.Errorf("%d sessions are stored, %v", n, err)
				}
			})
		})
	}
}

// refused turns ErrNotFound into success, and anything else into an error.
func refused(err error) error {
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	return fmt.Errorf("not refused: %w", err)
}

// Session fixation: an id that the visitor brings is never taken over, not
// even one that is well signed.
//
// Django 6, 7, 91.
func TestAttackPlantedID(t *testing.T) {
	m := newManager(t, Options{})
	planted := newID()
	value, err := m.sign(planted)
	if err != nil {
		t.Fatal(err)
	}
	mallory := &http.Cookie{Name: "__Host-gatehouse", Value: value} //nolint:gosec // of a request
	wantNobody(t, m, request(mallory), "before")
	c := loginAs(t, m, request(mallory), Login{User: "alice"})
	wantNobody(t, m, request(mallory), "after the login")
	wantUser(t, m, request(c), "alice")

	// The same with an anonymous session that the attacker has really got.
	s := m.Open(request())
	if err := s.Set(t.Context(), "k", 1); err != nil {
		t.Fatal(err)
	}
	anonymous := commit(t, m, s)
	c = loginAs(t, m, request(anonymous), Login{User: "alice"})
	wantNobody(t, m, request(anonymous), "the anonymous id after the login")
	wantUser(t, m, request(c), "alice")
}

// Cookie tossing: a host of the same domain plants the cookie of a session that
// its owner has really got. With two that live nobody can say which is the
// visitor's, so that neither counts.
//
// Django 15.
func TestAttackTwoCookies(t *testing.T) {
	m := newManager(t, Options{})
	a, b := login(t, m, "alice").Value, login(t, m, "mallory").Value
	const name = "__Host-gatehouse"
	for what, lines := range map[string][]string{
		"two in one line":        {name + "=" + a + "; " + name + "=" + b},
		"on two lines":           {name + "=" + a, name + "=" + b},
		"one empty":              {name + "=; " + name + "=" + a + "; " + name + "=" + b},
		"spaces round the names": {name + "=" + a + ";\t " + name + " =" + b},
	} {
		r := request()
		r.Header["Cookie"] = lines
		wantNobody(t, m, r, what)
	}
	for what, line := range map[string]string{
		"the same twice":            name + "=" + a + "; " + name + "=" + a,
		"one that nobody signed":    name + "=another gate's; " + name + "=" + a,
		"one empty":                 name + "=; " + name + "=" + a,
		"another name before":       "x=1; " + name + "=" + a,
		"a longer name":             name + "2=" + b + "; " + name + "=" + a,
		"another letter case":       strings.ToLower(name) + "=" + b + "; " + name + "=" + a,
		"the name without a prefix": "gatehouse=" + b + "; " + name + "=" + a,
		"no space, no value":        "x;" + name + "=" + a + ";",
	} {
		r := request()
		r.Header["Cookie"] = []string{line}
		if i, err := m.Find(r); err != nil || i.User != "alice" {
			t.Errorf("%s: %v, %v", what, i.User, err)
		}
	}
}

// Whatever byte of the cookie is changed, it opens nothing; neither do other
// ways to write the same bytes, so there is one cookie for a session.
//
// Django 4, 9.
func TestAttackChangedCookie(t *testing.T) {
	m := newManager(t, Options{})
	c := login(t, m, "alice")
	wantUser(t, m, request(c), "alice")
	header := func(v string) *http.Request {
		r := request()
		r.Header["Cookie"] = []string{"__Host-gatehouse=" + v}
		return r
	}
	for i := range len(c.Value) {
		for bit := range 8 {
			v := []byte(c.Value)
			v[i] ^= 1 << bit
			if _, err := m.Find(header(string(v))); !errors.Is(err, ErrNotFound) {
				t.Fatalf("byte %d, bit %d: %v", i, bit, err)
			}
		}
	}
	raw, err := base64.URLEncoding.DecodeString(c.Value)
	if err != nil {
		t.Fatal(err)
	}
	lastBits := []byte(c.Value)
	pad := strings.IndexByte(c.Value, '=')
	lastBits[pad-1]++
	for what, v := range map[string]string{
		"empty":                 "",
		"cut off":               c.Value[:len(c.Value)-1],
		"longer":                c.Value + "A",
		"more padding":          c.Value + "=",
		"no padding":            strings.TrimRight(c.Value, "="),
		"the other padding":     base64.RawURLEncoding.EncodeToString(raw) + "..",
		"a line break in it":    c.Value[:10] + "\r\n" + c.Value[10:],
		"a line break for '='":  strings.Replace(c.Value, "=", "\n", 1),
		"bits nobody looks at":  string(lastBits),
		"quoted":                `"` + c.Value + `"`,
		"percent-encoded":       strings.ReplaceAll(c.Value, "=", "%3D"),
		"the id alone":          m.Open(request(c)).ID(),
		"the key of the store":  keyOf(m.Open(request(c)).ID()),
		"signed for no id":      mustSign(t, m, ""),
		"signed for a short id": mustSign(t, m, "someunknownkey"),
		"signed elsewhere":      login(t, newManager(t, Options{Store: m.store, Secrets: [][]byte{bytes.Repeat([]byte("other "), 8)}}), "alice").Value,
		"another cookie's name": login(t, newManager(t, Options{Store: m.store, Cookie: Cookie{Name: "other"}}), "alice").Value,
	} {
		if v == c.Value {
			t.Fatalf("%s: nothing was changed", what)
		}
		wantNobody(t, m, header(v), what)
	}
	wantUser(t, m, request(c), "alice")
}

func mustSign(t *testing.T, m *Manager, id string) string {
	t.Helper()
	v, err := m.sign(id)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// Who copies the store has the keys, the users and the sealed data: none of
// it opens a session or tells what is in one, not even with the server's
// secret.
//
// Django 1, 10, 28, 79.
func TestAttackStolenDatabase(t *testing.T) {
	store := NewMemory()
	m := newManager(t, Options{Store: store})
	s := m.Open(request())
	if err := errors.Join(s.Set(t.Context(), "card", "4111-1111"), s.Login(t.Context(), Login{User: "alice"})); err != nil {
		t.Fatal(err)
	}
	id := s.ID()
	for e, err := range store.List(t.Context(), Query{}) {
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(e.Key, id) || bytes.Contains(e.Data, []byte("4111")) || bytes.Contains(e.Data, []byte(id)) {
			t.Error("the store has the id or the data")
		}
		for what, guess := range map[string]string{"the key": e.Key[:idLen], "the handle": Handle(e.Key), "another id": newID()} {
			if _, err := m.open(guess, e.Key, e.Data); !errors.Is(err, errCorrupted) {
				t.Errorf("%s opens the data: %v", what, err)
			}
			r := request(&http.Cookie{Name: "__Host-gatehouse", Value: mustSign(t, m, guess)}) //nolint:gosec // of a request
			wantNobody(t, m, r, what)
		}
		// Data moved to another session do not open there.
		if _, err := m.open(id, keyOf("other"), e.Data); !errors.Is(err, errCorrupted) {
			t.Errorf("the data open under another key: %v", err)
		}
		if c, err := m.open(id, e.Key, e.Data); err != nil || string(c.Values["card"]) != `"4111-1111"` {
			t.Errorf("the owner has %v, %v", c, err)
		}
		for i := range e.Data {
			b := bytes.Clone(e.Data)
			b[i] ^= 1
			if _, err := m.open(id, e.Key, b); !errors.Is(err, errCorrupted) {
				t.Fatalf("data with byte %d changed open: %v", i, err)
			}
		}
	}
}

// A clock that is set back must not give a session more time, and no use
// moves it past its limit.
//
// Django 58.
func TestAttackClockSetBack(t *testing.T) {
	start := time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)
	for _, test := range []struct {
		name   string
		passed time.Duration
		wall   time.Time
		want   time.Time
	}{
		{"no jump", time.Hour, start.Add(time.Hour), start.Add(time.Hour)},
		{"back an hour", time.Hour, start, start.Add(time.Hour)},
		{"back a year", time.Minute, start.AddDate(-1, 0, 0), start.Add(time.Minute)},
		{"forward a year", time.Minute, start.AddDate(1, 0, 0), start.AddDate(1, 0, 0)},
		{"the machine slept", 0, start.Add(8 * time.Hour), start.Add(8 * time.Hour)},
	} {
		if got := later(start, test.passed, test.wall); !got.Equal(test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

// Django 58.
func TestAttackSessionKeptAlive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, Options{IdleTimeout: 30 * time.Minute, Lifetime: 12 * time.Hour})
		defer m.Close()
		r := request(login(t, m, "alice"))
		start := time.Now()
		for time.Since(start) < 11*time.Hour+50*time.Minute {
			time.Sleep(10 * time.Minute)
			i, err := m.Find(r)
			if err != nil {
				t.Fatalf("after %v: %v", time.Since(start), err)
			}
			if i.Expires.After(start.Add(12 * time.Hour)) {
				t.Fatalf("after %v it expires at %v", time.Since(start), i.Expires)
			}
			m.Touch(i)
			s := m.Open(r)
			if err := s.Set(t.Context(), "k", 1); err != nil {
				t.Fatal(err)
			}
			commit(t, m, s) // a write is a use, too
			synctest.Wait()
		}
		time.Sleep(10 * time.Minute)
		wantNobody(t, m, r, "after the limit")
	})
}

// A use that is told late must not revive what has expired meanwhile, nor
// move a date that the session has got meanwhile.
func TestAttackLateTouch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, Options{IdleTimeout: time.Hour})
		defer m.Close()
		r := request(login(t, m, "alice"))
		i, err := m.Find(r)
		if err != nil {
			t.Fatal(err)
		}
		s := m.Open(r)
		if err := s.SetExpiry(t.Context(), Expiry{At: time.Now().Add(20 * time.Minute)}); err != nil {
			t.Fatal(err)
		}
		commit(t, m, s)
		time.Sleep(10 * time.Minute)
		m.Touch(i)
		synctest.Wait()
		time.Sleep(11 * time.Minute)
		wantNobody(t, m, r, "after the date")
		m.Touch(i)
		synctest.Wait()
		wantNobody(t, m, r, "after a late use")
	})
}

// A store that fails says nothing about the session: no pass, and no logout.
//
// Django 89.
func TestAttackStoreDown(t *testing.T) {
	down := &failing{Store: NewMemory()}
	m := newManager(t, Options{Store: down})
	c := login(t, m, "alice")
	down.err = errors.New("disk gone")
	if _, err := m.Find(request(c)); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("Find: %v", err)
	}
	s := m.Open(request(c))
	if _, err := s.Keys(t.Context()); err == nil || errors.Is(err, ErrNotFound) {
		t.Errorf("Keys: %v", err)
	}
	if err := s.Logout(t.Context()); err == nil {
		t.Error("Logout: no error")
	}
	h := http.Header{}
	if err := m.Commit(s, h, http.StatusOK); err != nil || len(h["Set-Cookie"]) > 0 {
		t.Errorf("Commit: %v, %v: the cookie of a session that may live is taken away", err, h)
	}
	s = m.Open(request())
	if err := s.Login(t.Context(), Login{User: "bob"}); err == nil || s.ID() != "" {
		t.Errorf("Login: %v, id %q", err, s.ID())
	}
	down.err = nil
	wantUser(t, m, request(c), "alice")
}

// failing is a Store that fails when err is set.
type failing struct {
	Store
	err error
}

func (f *failing) Load(ctx context.Context, key string) (Record, error) {
	if f.err != nil {
		return Record{}, f.err
	}
	return f.Store.Load(ctx, key)
}

func (f *failing) Create(ctx context.Context, key string, r Record) error {
	if f.err != nil {
		return f.err
	}
	return f.Store.Create(ctx, key, r)
}

func (f *failing) Delete(ctx context.Context, key string) (Record, error) {
	if f.err != nil {
		return Record{}, f.err
	}
	return f.Store.Delete(ctx, key)
}

// cached_db's trap: a reader that missed the cache reads the old record, the
// session is ended, and then the reader fills the cache.
//
// Django 76.
func TestAttackCacheFilledAfterLogout(t *testing.T) {
	slow := &slowLoad{Store: NewMemory(), loaded: make(chan struct{}), goOn: make(chan struct{})}
	c := NewCached(slow, 1<<24)
	key := keyOf("k")
	if err := c.Create(t.Context(), key, Record{User: "alice", Expires: time.Now().Add(time.Hour)}); err != nil {
		t.Fatal(err)
	}
	for name, end := range map[string]func() error{
		"deleted": func() error { _, err := c.Delete(t.Context(), key); return err },
		"purged": func() error {
			_, err := c.DeleteExpired(t.Context(), time.Now().Add(2*time.Hour), 10)
			return err
		},
	} {
		_ = c.Create(t.Context(), key, Record{User: "alice", Expires: time.Now().Add(time.Hour)})
		c.evict(key)
		slow.on.Store(true)
		done := make(chan error)
		go func() { _, err := c.Load(t.Context(), key); done <- err }()
		<-slow.loaded
		slow.on.Store(false)
		if err := end(); err != nil {
			t.Fatal(err)
		}
		slow.goOn <- struct{}{}
		if err := <-done; err != nil {
			t.Errorf("%s: the slow reader: %v", name, err)
		}
		if r, err := c.Load(t.Context(), key); !errors.Is(err, ErrNotFound) {
			t.Errorf("%s, and the cache has %+v, %v", name, r, err)
		}
	}
}

// An update and a logout at the same moment: the update has its answer from
// the store before the logout, and comes back to the cache after it.
func TestAttackCacheKeepsWhatWasEndedMeanwhile(t *testing.T) {
	slow := &slowUpdate{Store: NewMemory(), done: make(chan struct{}), goOn: make(chan struct{})}
	c := NewCached(slow, 1<<20)
	key := keyOf("k")
	r := Record{User: "alice", Expires: time.Now().Add(time.Hour), Version: 1}
	check(t, c.Create(t.Context(), key, r))
	updated := make(chan error)
	go func() { updated <- c.Update(t.Context(), key, r) }()
	<-slow.done
	_, err := c.Delete(t.Context(), key)
	check(t, err)
	close(slow.goOn)
	check(t, <-updated)
	if r, err := c.Load(t.Context(), key); !errors.Is(err, ErrNotFound) {
		t.Errorf("the session has ended, and the cache has %+v, %v", r, err)
	}
}

// slowUpdate answers an Update late.
type slowUpdate struct {
	Store
	done, goOn chan struct{}
}

func (s *slowUpdate) Update(ctx context.Context, key string, r Record) error {
	err := s.Store.Update(ctx, key, r)
	close(s.done)
	<-s.goOn
	return err
}
