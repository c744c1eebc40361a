package sessions

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// slowLoad stops in Load, after the store has answered, while on.
type slowLoad struct {
	Store
	on           atomic.Bool
	loaded, goOn chan struct{}
}

func (s *slowLoad) Load(ctx context.Context, key string) (Record, error) {
	on := s.on.Load()
	r, err := s.Store.Load(ctx, key)
	if on {
		s.loaded <- struct{}{}
		<-s.goOn
	}
	return r, err
}

// Django 12, 13, 14, 17, 50, 53.
func TestCookie(t *testing.T) {
	plain := func(*http.Request) bool { return false }
	for _, test := range []struct {
		name   string
		o      Options
		want   string // of Set-Cookie, without value and Expires
		absent string
	}{
		{"defaults", Options{IdleTimeout: time.Hour, Lifetime: 12 * time.Hour}, "__Host-gatehouse=V; Path=/; Expires; Max-Age=43200; HttpOnly; Secure; SameSite=Lax", "Domain"},
		{"plain http", Options{Lifetime: time.Hour, Cookie: Cookie{Secure: plain}}, "gatehouse=V; Path=/; Expires; Max-Age=3600; HttpOnly; SameSite=Lax", "Secure"},
		{"name", Options{Lifetime: time.Hour, Cookie: Cookie{Name: "s"}}, "__Host-s=V; Path=/; Expires; Max-Age=3600; HttpOnly; Secure; SameSite=Lax", ""},
		{"domain", Options{Lifetime: time.Hour, Cookie: Cookie{Domain: "example.com"}}, "gatehouse=V; Path=/; Domain=example.com; Expires; Max-Age=3600; HttpOnly; Secure; SameSite=Lax", "__Host-"},
		{"strict", Options{Lifetime: time.Hour, Cookie: Cookie{SameSite: http.SameSiteStrictMode}}, "__Host-gatehouse=V; Path=/; Expires; Max-Age=3600; HttpOnly; Secure; SameSite=Strict", ""},
		{"none", Options{Lifetime: time.Hour, Cookie: Cookie{SameSite: http.SameSiteNoneMode}}, "__Host-gatehouse=V; Path=/; Expires; Max-Age=3600; HttpOnly; Secure; SameSite=None", ""},
		{"browser length", Options{Lifetime: time.Hour, SessionCookie: true}, "__Host-gatehouse=V; Path=/; HttpOnly; Secure; SameSite=Lax", "Expires"},
		{"idle time alone: the browser keeps it as long as it may", Options{IdleTimeout: time.Hour}, "__Host-gatehouse=V; Path=/; Expires; Max-Age=34560000; HttpOnly; Secure; SameSite=Lax", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := newManager(t, test.o)
				s := m.Open(request())
				if err := s.Login(t.Context(), Login{User: "alice"}); err != nil {
					t.Fatal(err)
				}
				h := http.Header{}
				if err := m.Commit(s, h, http.StatusSeeOther); err != nil {
					t.Fatal(err)
				}
				line := h.Get("Set-Cookie")
				c, err := http.ParseSetCookie(line)
				if err != nil {
					t.Fatal(err)
				}
				if got := time.Until(c.Expires).Round(time.Second); c.MaxAge > 0 && got != time.Duration(c.MaxAge)*time.Second {
					t.Errorf("Expires is in %v, Max-Age %d", got, c.MaxAge)
				}
				got := strings.Replace(line, c.Value, "V", 1)
				if c.RawExpires != "" {
					got = strings.Replace(got, "Expires="+c.RawExpires, "Expires", 1)
				}
				if got != test.want {
					t.Errorf("Set-Cookie: %s\nwant        %s", got, test.want)
				}
				if test.absent != "" && strings.Contains(line, test.absent) {
					t.Errorf("%s contains %s", line, test.absent)
				}
				if len(line) > 4096 || strings.Contains(line, "alice") || strings.Contains(line, s.ID()) {
					t.Errorf("Set-Cookie: %s", line)
				}
				if h.Get("Vary") != "Cookie" || h.Get("Cache-Control") != "no-store" {
					t.Errorf("caches are told %v", h)
				}

				// Deleting repeats what made it.
				gone := http.Header{"Cache-Control": {"max-age=60"}, "Set-Cookie": {"other=1"}}
				m.ClearCookies(request(c), gone)
				wantLine := strings.Replace(strings.Replace(line, c.Value, "", 1), "Expires="+c.RawExpires, "Expires=Thu, 01 Jan 1970 00:00:00 GMT", 1)
				if c.RawExpires != "" {
					wantLine = strings.Replace(wantLine, fmt.Sprint("Max-Age=", c.MaxAge), "Max-Age=0", 1)
				} else {
					wantLine = strings.Replace(wantLine, "; HttpOnly", "; Expires=Thu, 01 Jan 1970 00:00:00 GMT; Max-Age=0; HttpOnly", 1)
				}
				if lines := gone["Set-Cookie"]; lines[0] != "other=1" || lines[len(lines)-1] != wantLine {
					t.Errorf("Expire: %q\nwant    %q", lines, wantLine)
				}
				if gone.Get("Vary") != "Cookie" || gone.Get("Cache-Control") != "no-store" {
					t.Errorf("caches are told %v", gone)
				}
			})
		})
	}
}

// On a secure request the plain name, which a neighbour can plant, counts for
// nothing.
//
// Django 17.
func TestCookieNameFollowsSecure(t *testing.T) {
	m := newManager(t, Options{Cookie: Cookie{Secure: func(r *http.Request) bool { return r.URL.Scheme == "https" }}})
	c := login(t, m, "alice")
	plain := &http.Cookie{Name: "gatehouse", Value: c.Value} //nolint:gosec // of a request
	wantUser(t, m, request(c), "alice")
	wantNobody(t, m, request(plain), "the plain name on https")
	r := request(plain)
	r.URL.Scheme = "http"
	wantUser(t, m, r, "alice")
	r = request(c)
	r.URL.Scheme = "http"
	wantNobody(t, m, r, "the prefixed name on http")
	h := http.Header{}
	m.ClearCookies(request(c, plain), h)
	if n := len(h["Set-Cookie"]); n != 2 {
		t.Errorf("Expire writes %d cookies, want one for each name: %q", n, h["Set-Cookie"])
	}
	if got := m.CookieNames(); !slices.Equal(got, []string{"gatehouse", "__Host-gatehouse"}) {
		t.Errorf("CookieNames = %q", got)
	}
}

// What an answer saves and carries.
//
// Django 31, 32, 33, 34, 35, 36, 37, 40, 41, 42, 64.
func TestCommit(t *testing.T) {
	ctx := t.Context()
	set := func(s *Session) error { return s.Set(ctx, "k", 1) }
	read := func(s *Session) error { _, err := s.Keys(ctx); return err }
	flush := func(s *Session) error { return s.Flush(ctx) }
	remove := func(s *Session) error { return s.Delete(ctx, "k") }
	for _, test := range []struct {
		name    string
		cookie  bool // the visitor has a session with data
		do      func(s *Session) error
		status  int
		cookies string // set, del or none
		vary    bool
		stored  int
	}{
		{"untouched", true, func(*Session) error { return nil }, 200, "none", false, 1},
		{"anonymous read", false, read, 200, "none", true, 0},
		{"anonymous write", false, set, 200, "set", true, 1},
		{"read", true, read, 200, "none", true, 1},
		{"write", true, set, 200, "set", true, 1},
		{"saved on 404", false, set, 404, "set", true, 1},
		{"not saved on 500", false, set, 500, "none", true, 0},
		{"not saved on 503", false, set, 503, "none", true, 0},
		{"flush", true, flush, 200, "del", true, 0},
		{"flush without cookie", false, flush, 200, "none", true, 0},
		{"flush on 500", true, flush, 500, "del", true, 0},
		{"emptied by delete", true, remove, 200, "set", true, 1},
		{"emptied by clear", true, func(s *Session) error { return s.Clear(ctx) }, 200, "set", true, 1},
		{"saved by hand", false, func(s *Session) error { return errors.Join(set(s), s.Save(ctx)) }, 200, "set", true, 1},
		{"written and taken back", false, func(s *Session) error { return errors.Join(set(s), remove(s)) }, 200, "none", true, 0},
		{"flush, then write", true, func(s *Session) error { return errors.Join(flush(s), set(s)) }, 200, "set", true, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := newManager(t, Options{})
			r := request()
			if test.cookie {
				s := m.Open(r)
				check(t, set(s))
				r = request(commit(t, m, s))
			}
			s := m.Open(r)
			check(t, test.do(s))
			h := http.Header{}
			check(t, m.Commit(s, h, test.status))
			got := "none"
			if line := h.Get("Set-Cookie"); strings.Contains(line, "Max-Age=0") {
				got = "del"
			} else if line != "" {
				got = "set"
			}
			if got != test.cookies || (h.Get("Vary") == "Cookie") != test.vary {
				t.Errorf("cookie %s, Vary %q; want %s, %v", got, h.Get("Vary"), test.cookies, test.vary)
			}
			if n, err := m.store.Count(t.Context()); n != test.stored || err != nil {
				t.Errorf("%d stored, %v; want %d", n, err, test.stored)
			}
		})
	}
}

// An unknown or impossible cookie is cleared on use.
//
// Django 5, 6, 41, 43.
func TestCommitClearsStaleCookie(t *testing.T) {
	m := newManager(t, Options{})
	c := login(t, m, "alice")
	check(t, m.Open(request(c)).Logout(t.Context()))
	s := m.Open(request(c))
	if s.Empty() {
		t.Error("an id that was not looked up counts as empty")
	}
	_, err := s.Keys(t.Context())
	check(t, err)
	if got := commit(t, m, s); got == nil || got.MaxAge >= 0 {
		t.Errorf("the dead cookie stays: %v", got)
	}
}

// A visitor who has gone must not undo a login, nor half of one.
func TestWritesOutliveTheVisitor(t *testing.T) {
	m := newManager(t, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := m.Open(request().WithContext(ctx))
	check(t, s.Login(ctx, Login{User: "alice"}))
	c := commit(t, m, s)
	wantUser(t, m, request(c), "alice")
	s = m.Open(request(c).WithContext(ctx))
	check(t, s.Logout(ctx))
	wantNobody(t, m, request(c), "after logout")
}

// Django 91, 92, 93, 95.
func TestLogin(t *testing.T) {
	alice := Login{User: "alice", Source: "file", Stamp: "s1"}
	for _, test := range []struct {
		name string
		then Login
		data bool
	}{
		{"the same user again", alice, true},
		{"another user", Login{User: "bob", Source: "file", Stamp: "s1"}, false},
		{"the same name elsewhere", Login{User: "alice", Source: "database", Stamp: "s1"}, false},
		{"another password", Login{User: "alice", Source: "file", Stamp: "s2"}, false},
	} {
		t.Run(test.name, func(t *testing.T) {
			var ends endings
			m := newManager(t, Options{OnEnd: ends.ended})
			s := m.Open(request())
			check(t, s.Set(t.Context(), "k", "v"))
			check(t, s.Login(t.Context(), alice)) // an anonymous session keeps its data
			first := commit(t, m, s)
			s = m.Open(request(first))
			var v string
			if found, err := s.Get(t.Context(), "k", &v); !found || err != nil || v != "v" {
				t.Fatalf("Get = %q, %v, %v", v, found, err)
			}
			check(t, s.Login(t.Context(), test.then))
			second := commit(t, m, s)
			if second.Value == first.Value {
				t.Error("the id is the same")
			}
			wantNobody(t, m, request(first), "the first id")
			ends.want(t, "alice replaced")
			s = m.Open(request(second))
			if found, err := s.Get(t.Context(), "k", &v); found != test.data || err != nil {
				t.Errorf("data: %v, %v; want %v", found, err, test.data)
			}
			i, err := s.Info(t.Context())
			check(t, err)
			if i.User != test.then.User || i.Source != test.then.Source || i.Stamp != test.then.Stamp {
				t.Errorf("Info = %+v", i)
			}
		})
	}
}

// Django 95, 104.
func TestLoginRecord(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, Options{IdleTimeout: 30 * time.Minute, Lifetime: 12 * time.Hour})
		now := time.Now()
		c := loginAs(t, m, request(), Login{User: "alice", Addr: "192.0.2.1", Agent: strings.Repeat("é", 200)})
		i, err := m.Find(request(c))
		check(t, err)
		if len(i.Agent) != 256 || strings.ToValidUTF8(i.Agent, "") != i.Agent || i.Addr != "192.0.2.1" {
			t.Errorf("agent has %d bytes, address %q", len(i.Agent), i.Addr)
		}
		if len(i.Key) != 64 || i.Handle != i.Key[:16] || strings.Contains(c.Value, i.Key) {
			t.Errorf("key %q, handle %q", i.Key, i.Handle)
		}
		for what, times := range map[string][2]time.Time{
			"Created": {i.Created, now}, "Login": {i.Login, now}, "Seen": {i.Seen, now},
			"Expires": {i.Expires, now.Add(30 * time.Minute)}, "Limit": {i.Limit, now.Add(12 * time.Hour)},
		} {
			if !times[0].Equal(times[1]) {
				t.Errorf("%s = %v, want %v", what, times[0], times[1])
			}
		}
		if err := m.Open(request()).Login(t.Context(), Login{}); err == nil {
			t.Error("a login of nobody succeeds")
		}
	})
}

// "Keep me signed in": another limit, no idle time, no browser length. And a
// later login without it takes it back.
func TestRemember(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, Options{IdleTimeout: 30 * time.Minute, Lifetime: 12 * time.Hour, RememberLifetime: 30 * 24 * time.Hour, SessionCookie: true})
		defer m.Close()
		c := loginAs(t, m, request(), Login{User: "alice", Remember: true})
		if c.MaxAge != 30*24*3600 {
			t.Errorf("Max-Age = %d", c.MaxAge)
		}
		time.Sleep(29 * 24 * time.Hour)
		wantUser(t, m, request(c), "alice")
		s := m.Open(request(c))
		check(t, s.Set(t.Context(), "k", 1))
		if again := commit(t, m, s); again.MaxAge != 24*3600 {
			t.Errorf("after a write: Max-Age = %d", again.MaxAge)
		}
		i, err := m.Find(request(c))
		check(t, err)
		m.Touch(i)
		time.Sleep(24 * time.Hour)
		wantNobody(t, m, request(c), "after 30 days")

		c = loginAs(t, m, request(), Login{User: "alice", Remember: true})
		c = loginAs(t, m, request(c), Login{User: "alice"})
		if c.MaxAge != 0 {
			t.Errorf("without remember: Max-Age = %d", c.MaxAge)
		}
		time.Sleep(31 * time.Minute)
		wantNobody(t, m, request(c), "after the idle time")
	})
}

// A use extends a session, at most once an
// interval, exactly as long as Age; what is only read does not.
//
// Django 38, 54.
func TestSeen(t *testing.T) {
	for _, open := range []func(testing.TB) (outer, inner Store){openMemory, openCached} {
		synctest.Test(t, func(t *testing.T) {
			store, _ := open(t)
			counted := &counting{Store: store}
			var ends endings
			m := newManager(t, Options{Store: counted, IdleTimeout: 30 * time.Minute, TouchEvery: time.Minute, OnEnd: ends.ended})
			defer m.Close()
			r := request(login(t, m, "alice"))
			use := func() {
				t.Helper()
				i, err := m.Find(r)
				check(t, err)
				m.Touch(i)
				synctest.Wait()
			}
			for range 60 {
				time.Sleep(time.Second)
				use()
			}
			if n := counted.touches.Load(); n != 1 {
				t.Errorf("60 uses in a minute are %d writes", n)
			}
			for range 10 {
				time.Sleep(20 * time.Minute)
				use()
			}
			time.Sleep(30*time.Minute - time.Millisecond)
			wantUser(t, m, r, "alice")
			time.Sleep(time.Millisecond)
			wantNobody(t, m, r, "after the idle time")
			synctest.Wait()
			ends.want(t, "alice expired")
			wantNobody(t, m, r, "again")
			synctest.Wait()
			ends.want(t)
			if n, err := counted.Count(t.Context()); n != 0 || err != nil {
				t.Errorf("the expired session stays: %d, %v", n, err)
			}
		})
	}
}

type counting struct {
	Store
	touches atomic.Int32
}

func (c *counting) Touch(ctx context.Context, key string, seen, expires time.Time, mark []byte) error {
	c.touches.Add(1)
	return c.Store.Touch(ctx, key, seen, expires, mark)
}

// Close writes what Seen has taken, and nothing is taken afterwards.
func TestCloseFlushesUses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		counted := &counting{Store: NewMemory()}
		m := newManager(t, Options{Store: counted, IdleTimeout: time.Hour})
		var infos []Info
		for range 200 {
			i, err := m.Find(request(login(t, m, "alice")))
			check(t, err)
			infos = append(infos, i)
		}
		time.Sleep(10 * time.Minute)
		for _, i := range infos {
			m.Touch(i)
		}
		m.Close()
		if n := counted.touches.Load(); n != 200 {
			t.Errorf("%d of 200 uses were written", n)
		}
		m.Touch(infos[0])
		m.Close()
		if n := counted.touches.Load(); n != 200 {
			t.Error("a use was written after Close")
		}
	})
}

// When the store cannot follow, uses are dropped: memory stays bounded.
func TestSeenIsBounded(t *testing.T) {
	stuck := make(chan struct{})
	b := background{do: func(job) { <-stuck }}
	for i := range 3 * workMax {
		b.add(job{key: keyOf(strconv.Itoa(i))})
	}
	b.mu.Lock()
	if n := len(b.queue); n > workMax {
		t.Errorf("%d jobs wait", n)
	}
	b.mu.Unlock()
	close(stuck)
	b.close()
	if len(b.pending) != 0 || b.running {
		t.Errorf("%d pending after close", len(b.pending))
	}
}

// A signature ends when the last session that it may carry has, whether or
// not the cookie was verified before (requirement 36, CVE-2018-17199).
func TestProofExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newManager(t, Options{Lifetime: time.Hour})
		c := login(t, m, "alice")
		i, err := m.Find(request(c))
		check(t, err)
		// A record that outlives the limit, as after a longer max_age.
		r, err := m.store.Load(t.Context(), i.Key)
		check(t, err)
		r.Expires, r.Limit = r.Expires.Add(time.Hour), time.Time{}
		i.ring.prove(0, i.Key, &r, r.Version+1)
		check(t, m.store.Update(t.Context(), i.Key, r))
		time.Sleep(time.Hour)
		wantUser(t, m, request(c), "alice")
		time.Sleep(time.Second)
		wantNobody(t, m, request(c), "with an old signature")
	})
}

// Requirement 41: the oldest session goes, by the time of login, and never
// the new one.
func TestMaxPerUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ends endings
		m := newManager(t, Options{MaxPerUser: 3, OnEnd: ends.ended, IdleTimeout: 24 * time.Hour})
		defer m.Close()
		other := login(t, m, "bob")
		var cookies []*http.Cookie
		for range 5 {
			time.Sleep(time.Minute)
			cookies = append(cookies, login(t, m, "alice"))
			i, err := m.Find(request(cookies[0]))
			if err == nil {
				m.Touch(i) // a use does not make it younger
			}
			synctest.Wait()
		}
		ends.want(t, "alice limit", "alice limit")
		for n, c := range cookies {
			if n < 2 {
				wantNobody(t, m, request(c), fmt.Sprint("session ", n))
			} else {
				wantUser(t, m, request(c), "alice")
			}
		}
		wantUser(t, m, request(other), "bob")
		loginAs(t, m, request(cookies[4]), Login{User: "alice", Source: "file", Stamp: "s1"})
		ends.want(t, "alice replaced")
	})
}

func TestMaxPerUserAtOnce(t *testing.T) {
	m := newManager(t, Options{MaxPerUser: 2})
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { check(t, m.OpenByID("").Login(t.Context(), Login{User: "alice"})) })
	}
	wg.Wait()
	n := 0
	for _, err := range m.List(t.Context(), Query{User: "alice"}) {
		check(t, err)
		n++
	}
	if n != 2 {
		t.Errorf("alice has %d sessions, want 2", n)
	}
}

// Django 104, 126.
func TestRenew(t *testing.T) {
	var ends endings
	m := newManager(t, Options{OnEnd: ends.ended, Lifetime: 12 * time.Hour})
	a, b := login(t, m, "alice"), login(t, m, "alice")
	before, err := m.Find(request(a))
	check(t, err)
	s := m.Open(request(a))
	check(t, s.Renew(t.Context(), "s2"))
	c := commit(t, m, s)
	i, err := m.Find(request(c))
	check(t, err)
	if i.Stamp != "s2" || !i.Login.Equal(before.Login) || !i.Limit.Equal(before.Limit) || i.Key == before.Key {
		t.Errorf("renewed: %+v, before %+v", i, before)
	}
	n, err := m.RevokeUser(t.Context(), "alice", "password", func(o Info) bool { return o.Stamp == "s2" })
	if n != 1 || err != nil {
		t.Errorf("RevokeUser = %d, %v", n, err)
	}
	wantNobody(t, m, request(a), "the old id")
	wantNobody(t, m, request(b), "the other device")
	wantUser(t, m, request(c), "alice")
	ends.want(t, "alice replaced", "alice password")
	if err := m.OpenByID("").Renew(t.Context(), "s2"); !errors.Is(err, ErrNotFound) {
		t.Errorf("Renew of nobody's session: %v", err)
	}
}

// Django 80, 123.
func TestRevoke(t *testing.T) {
	var ends endings
	store := NewMemory()
	m := newManager(t, Options{Store: store, OnEnd: ends.ended})
	a, b := login(t, m, "alice"), login(t, m, "bob")
	i, err := m.Find(request(a))
	check(t, err)
	for _, handle := range []string{"", "0", i.Handle[:15], strings.ToUpper(i.Handle) + "g", i.Handle + "\x00", strings.Repeat("0", 16), i.Key + "0"} {
		if _, err := m.Revoke(t.Context(), handle, "revoked"); !errors.Is(err, ErrNotFound) {
			t.Errorf("Revoke(%q): %v", handle, err)
		}
	}
	got, err := m.Revoke(t.Context(), i.Handle, "revoked")
	if err != nil || got.User != "alice" {
		t.Errorf("Revoke = %+v, %v", got, err)
	}
	wantNobody(t, m, request(a), "revoked")
	wantUser(t, m, request(b), "bob")
	ends.want(t, "alice revoked")

	twins := []string{i.Handle + strings.Repeat("0", 48), i.Handle + strings.Repeat("1", 48)}
	for _, key := range twins {
		check(t, store.Create(t.Context(), key, Record{Expires: time.Now().Add(time.Hour)}))
	}
	_, err = m.Revoke(t.Context(), i.Handle, "revoked")
	if err == nil || errors.Is(err, ErrNotFound) || !strings.Contains(err.Error(), twins[0]) || !strings.Contains(err.Error(), twins[1]) {
		t.Errorf("two sessions with the handle: %v", err)
	}
	if _, err := m.Revoke(t.Context(), twins[1][:20], "revoked"); err != nil {
		t.Errorf("a longer prefix: %v", err)
	}
	if n, err := m.RevokeUser(t.Context(), "", "revoked", nil); n != 0 || err != nil {
		t.Errorf("RevokeUser of no user = %d, %v", n, err)
	}
	if n, err := m.RevokeAll(t.Context(), "revoked"); n != 2 || err != nil {
		t.Errorf("RevokeAll = %d, %v", n, err)
	}
	wantNobody(t, m, request(b), "all revoked")
}

// Django 59.
func TestPurge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ends endings
		m := newManager(t, Options{IdleTimeout: time.Hour, OnEnd: ends.ended})
		login(t, m, "alice")
		time.Sleep(40 * time.Minute)
		bob := login(t, m, "bob")
		time.Sleep(40 * time.Minute)
		for i, err := range m.List(t.Context(), Query{}) {
			if err != nil || i.User != "bob" {
				t.Errorf("List yields %s, %v", i.User, err)
			}
		}
		if n, err := m.DeleteExpired(t.Context()); n != 1 || err != nil {
			t.Errorf("Purge = %d, %v", n, err)
		}
		ends.want(t, "alice expired")
		wantUser(t, m, request(bob), "bob")
	})
}

// A secret is replaced while people work; nobody is signed out.
//
// Django 133.
func TestRotateSecrets(t *testing.T) {
	store := NewMemory()
	older, newer := []byte(strings.Repeat("old!", 10)), []byte(strings.Repeat("new!", 10))
	m1 := newManager(t, Options{Store: store, Secrets: [][]byte{older}})
	s := m1.Open(request())
	check(t, s.Set(t.Context(), "k", "v"))
	check(t, s.Login(t.Context(), Login{User: "alice"}))
	c := commit(t, m1, s)
	m2 := newManager(t, Options{Store: store, Secrets: [][]byte{newer, older}})
	wantUser(t, m2, request(c), "alice")
	s = m2.Open(request(c))
	var v string
	if found, err := s.Get(t.Context(), "k", &v); !found || err != nil {
		t.Errorf("Get = %v, %v", found, err)
	}
	check(t, s.Set(t.Context(), "k2", "v"))
	c2 := commit(t, m2, s)
	m3 := newManager(t, Options{Store: store, Secrets: [][]byte{newer}})
	wantUser(t, m3, request(c2), "alice")
	wantNobody(t, m3, request(c), "a cookie that only the old secret has signed")
	if found, err := m3.Open(request(c2)).Get(t.Context(), "k", &v); !found || err != nil {
		t.Errorf("the data after the rotation: %v, %v", found, err)
	}
}

// A record with data that we did not write is no session, and leaves a
// warning that names the handle only.
//
// Django 29.
func TestCorruptedData(t *testing.T) {
	var log lockedLog
	store := NewMemory()
	m := newManager(t, Options{Store: store, Log: slog.New(slog.NewTextHandler(&log, nil))})
	s := m.Open(request())
	check(t, s.Set(t.Context(), "k", "v"))
	check(t, s.Login(t.Context(), Login{User: "alice"}))
	c := commit(t, m, s)
	i, err := m.Find(request(c))
	check(t, err)
	r, err := store.Load(t.Context(), i.Key)
	check(t, err)
	r.Data[20] ^= 1
	check(t, store.Update(t.Context(), i.Key, r))
	id := s.ID()
	wantNobody(t, m, request(c), "with other data")
	s = m.Open(request(c))
	if keys, err := s.Keys(t.Context()); len(keys) != 0 || err != nil {
		t.Errorf("Keys = %q, %v", keys, err)
	}
	if n := strings.Count(log.String(), "session record does not count"); n != 1 || !strings.Contains(log.String(), i.Handle) || strings.Contains(log.String(), id) {
		t.Errorf("log: %s", log.String())
	}
}

// Many requests of one page write at the same time.
//
// Django 74.
func TestManyWritersMerge(t *testing.T) {
	m := newManager(t, Options{})
	r := request(login(t, m, "alice"))
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			s := m.Open(r)
			check(t, s.Set(t.Context(), fmt.Sprint("key", i), i))
			check(t, s.Save(t.Context()))
		})
	}
	wg.Wait()
	if keys, err := m.Open(r).Keys(t.Context()); len(keys) != 20 || err != nil {
		t.Errorf("%d of 20 writes are there, %v", len(keys), err)
	}
}

// Django 2, 3.
func TestIDs(t *testing.T) {
	const n = 20_000
	seen := map[string]bool{}
	var times [256]float64
	for range n {
		id := newID()
		if !validID(id) || seen[id] {
			t.Fatalf("id %q: valid %v, seen before %v", id, validID(id), seen[id])
		}
		seen[id] = true
		for i := range idLen - 1 { // the last character has fewer bits
			times[id[i]]++
		}
	}
	chi, want := 0.0, float64(n*(idLen-1))/64
	for _, got := range times {
		if got > 0 {
			chi += (got - want) * (got - want) / want
		}
	}
	if chi > 140 { // of 63 degrees of freedom: once in ten million runs
		t.Errorf("chi-square of the characters is %.1f", chi)
	}
}

func TestNewManagerRefuses(t *testing.T) {
	good := func() Options {
		return Options{Store: NewMemory(), Secrets: [][]byte{testSecret}, IdleTimeout: time.Hour}
	}
	if _, err := NewManager(good()); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(o *Options){
		"no store":        func(o *Options) { o.Store = nil },
		"no secrets":      func(o *Options) { o.Secrets = nil },
		"a short secret":  func(o *Options) { o.Secrets = append(o.Secrets, make([]byte, 31)) },
		"no end":          func(o *Options) { o.IdleTimeout = 0 },
		"negative":        func(o *Options) { o.Lifetime = -1 },
		"prefix":          func(o *Options) { o.Cookie.Name = "__Host-x" },
		"secure prefix":   func(o *Options) { o.Cookie.Name = "__Secure-x" },
		"not a token":     func(o *Options) { o.Cookie.Name = "a b" },
		"a long name":     func(o *Options) { o.Cookie.Name = strings.Repeat("a", 65) },
		"negative number": func(o *Options) { o.MaxPerUser = -1 },
	} {
		o := good()
		change(&o)
		if m, err := NewManager(o); err == nil {
			m.Close()
			t.Errorf("%s: no error", name)
		}
	}
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Error(err)
	}
}
