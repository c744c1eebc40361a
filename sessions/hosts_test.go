package sessions

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

const (
	gateHost = "gate.example.com"
	wikiHost = "wiki.example.com"
	shopHost = "shop.example.org"
)

// A visitor is a browser with the session's cookie of each host.
type visitor struct {
	tb      testing.TB
	m       *Manager
	cookies map[string]*http.Cookie
}

func newVisitor(tb testing.TB, m *Manager) *visitor {
	tb.Helper()
	return &visitor{tb, m, map[string]*http.Cookie{}}
}

// to makes a request for the host, with the cookie of another one if from says so.
func (v *visitor) to(host string, from ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "https://"+host+"/", nil) //nolint:noctx // the context of no test is needed
	for _, name := range append(from, host)[:1] {
		if c := v.cookies[name]; c != nil {
			r.AddCookie(c)
		}
	}
	return r
}

// brought returns the session's cookie with a value, as a request brings it.
func brought(value string) *http.Cookie {
	return &http.Cookie{Name: "__Host-gatehouse", Value: value} //nolint:gosec // G124: requests have no attributes
}

func (v *visitor) take(host string, h http.Header) {
	for _, line := range h["Set-Cookie"] {
		c, err := http.ParseSetCookie(line)
		check(v.tb, err)
		v.cookies[host] = c
	}
}

func (v *visitor) login(user string) {
	v.tb.Helper()
	v.cookies[gateHost] = loginAs(v.tb, v.m, v.to(gateHost), Login{User: user, Source: "file", Stamp: "s1"})
}

func (v *visitor) code(host string) string {
	v.tb.Helper()
	code, err := v.m.NewCode(v.to(gateHost), host, "state", "/next")
	check(v.tb, err)
	return code
}

func (v *visitor) enter(host string) {
	v.tb.Helper()
	h := http.Header{}
	_, next, err := v.m.Enter(v.to(host), h, v.code(host), "state")
	if err != nil || next != "/next" {
		v.tb.Fatalf("Enter = %q, %v", next, err)
	}
	v.take(host, h)
}

// hosted makes a Manager with a login host, and a visitor who is signed in there and
// on two other hosts.
func hosted(t *testing.T, o Options) (*Manager, *visitor) {
	t.Helper()
	o.LoginHost = gateHost
	m := newManager(t, o)
	v := newVisitor(t, m)
	v.login("alice")
	v.enter(wikiHost)
	v.enter(shopHost)
	return m, v
}

func TestCookieOfAHostCountsThereAlone(t *testing.T) {
	eachStore(t, func(t *testing.T, store Store) {
		m, v := hosted(t, Options{Store: store})
		for _, at := range []string{gateHost, wikiHost, shopHost, "else.example.com", "WIKI.example.com", "wiki.example.com.", ""} {
			for _, from := range []string{gateHost, wikiHost, shopHost} {
				r := v.to("x", from)
				r.Host = at
				if strings.EqualFold(strings.TrimSuffix(at, "."), from) {
					wantUser(t, m, r, "alice")
				} else {
					wantNobody(t, m, r, "the cookie of "+from+" on "+at)
				}
			}
		}
		a, _ := m.Find(v.to(gateHost))
		b, _ := m.Find(v.to(wikiHost))
		if a.Key != b.Key || a.Handle != b.Handle || b.Host != wikiHost || a.Host != "" {
			t.Errorf("on the login host %+v, on the wiki %+v", a, b)
		}
		if v.cookies[gateHost].Value == v.cookies[wikiHost].Value || v.cookies[wikiHost].Value == v.cookies[shopHost].Value {
			t.Error("two hosts have one cookie")
		}
	})
}

func TestCookieOfAHostIsItsOwn(t *testing.T) {
	_, v := hosted(t, Options{})
	for _, host := range []string{wikiHost, shopHost} {
		if c := v.cookies[host]; c.Name != "__Host-gatehouse" || !c.Secure || !c.HttpOnly || c.Domain != "" || c.Path != "/" {
			t.Errorf("%s: %s", host, c)
		}
	}
}

func TestCodeOpensNothing(t *testing.T) {
	for name, test := range map[string]struct {
		before func(v *visitor, code string)
		host   string
		state  string
		change func(code string) string
		want   error
	}{
		"a second time": {before: func(v *visitor, code string) {
			_, _, err := v.m.Enter(v.to(wikiHost), http.Header{}, code, "state")
			check(v.tb, err)
		}},
		"too late":           {before: func(*visitor, string) { time.Sleep(time.Minute) }},
		"on another host":    {host: shopHost},
		"on the login host":  {host: gateHost},
		"in another browser": {state: "another", want: ErrOtherBrowser},
		"after the session has ended": {before: func(v *visitor, _ string) {
			check(v.tb, v.m.Open(v.to(gateHost)).Logout(v.tb.Context()))
		}},
		"changed": {change: func(code string) string {
			if code[0] == 'A' {
				return "B" + code[1:]
			}
			return "A" + code[1:]
		}},
		"cut":   {change: func(code string) string { return code[1:] }},
		"empty": {change: func(string) string { return "" }},
		"an id": {change: func(string) string { return newID() }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m, v := hosted(t, Options{Store: NewCached(NewMemory(), 1<<20)})
				delete(v.cookies, wikiHost)
				code := v.code(wikiHost)
				if test.before != nil {
					test.before(v, code)
				}
				brought := code
				if test.change != nil {
					brought = test.change(code)
				}
				host, state, want := wikiHost, "state", ErrNotFound
				if test.host != "" {
					host = test.host
				}
				if test.state != "" {
					state = test.state
				}
				if test.want != nil {
					want = test.want
				}
				h := http.Header{}
				_, _, err := m.Enter(v.to(host), h, brought, state)
				if !errors.Is(err, want) || len(h) > 0 {
					t.Errorf("Enter: %v, header %v", err, h)
				}
				if err != nil && code != "" && strings.Contains(err.Error(), code) {
					t.Errorf("the error tells the code: %v", err)
				}
				if _, _, err := m.Enter(v.to(wikiHost), h, code, "state"); test.change == nil && err == nil {
					t.Error("the code counts afterwards")
				}
				wantNobody(t, m, v.to(wikiHost), "the browser")
			})
		})
	}
}

func TestCodeWithoutStateOpensNothing(t *testing.T) {
	m, v := hosted(t, Options{})
	code, err := m.NewCode(v.to(gateHost), wikiHost, "", "/")
	check(t, err)
	if _, _, err := m.Enter(v.to(wikiHost), http.Header{}, code, ""); !errors.Is(err, ErrOtherBrowser) {
		t.Errorf("Enter: %v", err)
	}
}

func TestCodeIsNoCookie(t *testing.T) {
	m, v := hosted(t, Options{})
	r := v.to(wikiHost, "none")
	code := v.code(wikiHost)
	r.AddCookie(brought(code))
	wantNobody(t, m, r, "a code as a cookie")
	id, _, _, ok := m.verifyAs(codeName, code)
	if _, _, _, cookie := m.verify(code); !ok || cookie {
		t.Errorf("the code is one: %t, a cookie: %t", ok, cookie)
	}
	r = v.to(wikiHost, "none")
	r.AddCookie(brought(mustSign(t, m, id)))
	wantNobody(t, m, r, "the id of a code, signed as a cookie")
	for _, host := range []string{gateHost, wikiHost} {
		if _, _, err := m.Enter(v.to(wikiHost), http.Header{}, v.cookies[host].Value, "state"); !errors.Is(err, ErrNotFound) {
			t.Errorf("the cookie of %s as a code: %v", host, err)
		}
	}
	wantUser(t, m, v.to(gateHost), "alice")
	wantUser(t, m, v.to(wikiHost), "alice")
}

func TestOnlyTheLoginHostMakesCodes(t *testing.T) {
	m, v := hosted(t, Options{})
	for _, host := range []string{wikiHost, shopHost, "else.example.com"} {
		if _, err := m.NewCode(v.to(host), shopHost, "state", "/"); !errors.Is(err, ErrNotFound) {
			t.Errorf("on %s: %v", host, err)
		}
	}
	for _, host := range []string{"", gateHost} {
		if _, err := m.NewCode(v.to(gateHost), host, "state", "/"); err == nil {
			t.Errorf("a code for %q", host)
		}
	}
	if err := m.Open(v.to(wikiHost)).Login(t.Context(), Login{User: "mallory"}); err == nil {
		t.Error("a login on another host")
	}
}

func TestHostsEndWithTheirSession(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, m *Manager, v *visitor){
		"logout": func(t *testing.T, m *Manager, v *visitor) { check(t, m.Open(v.to(gateHost)).Logout(t.Context())) },
		"another": func(_ *testing.T, _ *Manager, v *visitor) {
			c := v.cookies[gateHost]
			v.login("bob")
			v.cookies[gateHost] = c
		},
		"revoked on a host": func(t *testing.T, m *Manager, v *visitor) {
			i, err := m.Find(v.to(wikiHost))
			check(t, err)
			_, err = m.Revoke(t.Context(), i.Handle, "revoked")
			check(t, err)
		},
		"revoked for the user": func(t *testing.T, m *Manager, _ *visitor) {
			n, err := m.RevokeUser(t.Context(), "alice", "revoked", nil)
			if check(t, err); n != 1 {
				t.Errorf("%d sessions", n)
			}
		},
		"idle":    func(*testing.T, *Manager, *visitor) { time.Sleep(time.Hour) },
		"max age": func(*testing.T, *Manager, *visitor) { time.Sleep(12 * time.Hour) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := NewMemory()
				var e endings
				m, v := hosted(t, Options{Store: NewCached(store, 1<<20), IdleTimeout: time.Hour, Lifetime: 12 * time.Hour, OnEnd: e.ended})
				end(t, m, v)
				for _, host := range []string{gateHost, wikiHost, shopHost} {
					wantNobody(t, m, v.to(host), host)
				}
				synctest.Wait()
				if len(e.all) != 1 || !strings.HasPrefix(e.all[0], "alice ") {
					t.Errorf("ended: %q", e.all)
				}
				left, err := store.Count(t.Context())
				if name == "another" {
					left-- // bob's
				}
				if check(t, err); left != 0 {
					t.Errorf("%d records are left", left)
				}
			})
		})
	}
}

// A use on any host is a use of the session.
func TestUseOnAHostIsUseOfTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, v := hosted(t, Options{Store: NewCached(NewMemory(), 1<<20), IdleTimeout: time.Hour, Lifetime: 12 * time.Hour})
		for range 11 {
			time.Sleep(59 * time.Minute)
			i, err := m.Find(v.to(wikiHost))
			check(t, err)
			m.Touch(i)
			synctest.Wait()
		}
		for _, host := range []string{gateHost, wikiHost, shopHost} {
			wantUser(t, m, v.to(host), "alice")
		}
	})
}

func TestHostsFollowToANewID(t *testing.T) {
	eachStore(t, func(t *testing.T, store Store) {
		m, v := hosted(t, Options{Store: store})
		check(t, keepValue(m, v.to(wikiHost), "wiki", "k", "v"))
		for name, change := range map[string]func(s *Session) error{
			"cycle":       func(s *Session) error { return s.Cycle(t.Context()) },
			"same person": func(s *Session) error { return s.Login(t.Context(), Login{User: "alice", Source: "file", Stamp: "s1"}) },
			"password":    func(s *Session) error { return s.Renew(t.Context(), "s1") },
		} {
			old, _ := m.Find(v.to(wikiHost))
			s := m.Open(v.to(gateHost))
			check(t, change(s))
			v.cookies[gateHost] = commit(t, m, s)
			for _, host := range []string{gateHost, wikiHost, shopHost} {
				wantUser(t, m, v.to(host), "alice")
			}
			if i, _ := m.Find(v.to(wikiHost)); i.Key == old.Key {
				t.Errorf("%s: the same id", name)
			}
			if _, err := m.Lookup(t.Context(), old); name != "x" && err != nil {
				t.Errorf("%s: what is under way on a host: %v", name, err)
			}
			wantValues(t, m, v.to(wikiHost), "wiki", map[string]string{"k": "v"})
		}
	})
}

func TestValuesStayOnTheirHost(t *testing.T) {
	eachStore(t, func(t *testing.T, store Store) {
		m, v := hosted(t, Options{Store: store})
		check(t, keepValue(m, v.to(wikiHost), "app", "k", "wiki"))
		check(t, keepValue(m, v.to(shopHost), "app", "k", "shop"))
		wantValues(t, m, v.to(wikiHost), "app", map[string]string{"k": "wiki"})
		wantValues(t, m, v.to(shopHost), "app", map[string]string{"k": "shop"})
		wantValues(t, m, v.to(gateHost), "app", nil)
		v.enter(wikiHost) // again: it stays this session's
		wantValues(t, m, v.to(wikiHost), "app", map[string]string{"k": "wiki"})
		check(t, m.Open(v.to(gateHost)).Logout(t.Context()))
		v.login("bob")
		v.enter(wikiHost)
		wantValues(t, m, v.to(wikiHost), "app", nil)
	})
}

// What a visitor has kept on a host before signing in stays there.
func TestBasketOfAHostSurvivesTheLogin(t *testing.T) {
	m, v := hosted(t, Options{})
	delete(v.cookies, wikiHost)
	h := http.Header{}
	check(t, m.NewValues(v.to(wikiHost), h, "app", Expiry{}, map[string]string{"basket": "7"}))
	v.take(wikiHost, h)
	before := v.cookies[wikiHost].Value
	v.enter(wikiHost)
	wantValues(t, m, v.to(wikiHost), "app", map[string]string{"basket": "7"})
	r := v.to(wikiHost, "none")
	r.AddCookie(brought(before))
	wantNobody(t, m, r, "the id before the login")
}

func TestLeavingAHost(t *testing.T) {
	eachStore(t, func(t *testing.T, store Store) {
		m, v := hosted(t, Options{Store: store})
		i, err := m.Find(v.to(wikiHost))
		check(t, err)
		other, err := m.Find(v.to(shopHost))
		check(t, err)
		h := http.Header{}
		check(t, m.LeaveHost(v.to(wikiHost), h, i))
		if !strings.Contains(h.Get("Set-Cookie"), "Max-Age=0") {
			t.Errorf("Set-Cookie: %q", h["Set-Cookie"])
		}
		wantNobody(t, m, v.to(wikiHost), "the host that was left")
		wantUser(t, m, v.to(shopHost), "alice")
		wantUser(t, m, v.to(gateHost), "alice")
		if _, err := m.Lookup(t.Context(), i); !errors.Is(err, ErrNotFound) {
			t.Errorf("what is under way on it: %v", err)
		}
		if _, err := m.Lookup(t.Context(), other); err != nil {
			t.Errorf("what is under way elsewhere: %v", err)
		}
		if !i.Covers(&i) || i.Covers(&other) {
			t.Error("Covers")
		}
		if all, err := m.Find(v.to(gateHost)); err != nil || len(all.Hosts) != 1 || all.Hosts[0].Host != shopHost || !all.Covers(&i) {
			t.Errorf("the session has %v, %v", all.Hosts, err)
		}
	})
}

// What an application says of its session is about its host.
func TestExpiryOfAHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m, v := hosted(t, Options{Store: NewCached(NewMemory(), 1<<20), IdleTimeout: time.Hour, Lifetime: 12 * time.Hour})
		i, err := m.Find(v.to(wikiHost))
		check(t, err)
		h := http.Header{}
		check(t, m.SetExpiry(v.to(wikiHost), h, i, Expiry{After: 10 * time.Minute}))
		v.take(wikiHost, h)
		for range 3 {
			time.Sleep(9 * time.Minute)
			i, err = m.Find(v.to(wikiHost))
			check(t, err)
			m.Touch(i)
			synctest.Wait()
		}
		time.Sleep(11 * time.Minute)
		wantNobody(t, m, v.to(wikiHost), "the host with an end of its own")
		wantUser(t, m, v.to(shopHost), "alice")
	})
}

// Who can write to the store makes no cookie of one host count elsewhere.
func TestForgedHosts(t *testing.T) {
	for name, forge := range map[string]func(own, other *Record){
		"another host":          func(own, _ *Record) { own.Host = shopHost },
		"a session":             func(own, _ *Record) { own.Host = "" },
		"another's session":     func(own, other *Record) { own.Data = other.Data },
		"a session of somebody": func(own, _ *Record) { own.Host, own.User = "", "root" },
		"a host and somebody":   func(own, _ *Record) { own.User = "root" },
		"without a proof":       func(own, _ *Record) { own.Proof, own.Mark = nil, nil },
		"another's record":      func(own, other *Record) { v := own.Version; *own = other.clone(); own.Version = v },
		"a later end":           func(own, _ *Record) { own.Limit = own.Limit.Add(time.Hour); own.Expires = own.Limit },
		"with hosts":            func(own, _ *Record) { own.Hosts = []HostID{{Host: shopHost, Key: keyOf("x")}} },
	} {
		t.Run(name, func(t *testing.T) {
			store := NewMemory()
			m, v := hosted(t, Options{Store: store, Lifetime: 12 * time.Hour, LegacyUntil: time.Now().Add(time.Hour)})
			w := newVisitor(t, m)
			w.login("root")
			w.enter(wikiHost)
			own, _ := m.Find(v.to(wikiHost))
			other, _ := m.Find(w.to(wikiHost))
			a, err := store.Load(t.Context(), own.cookieKey())
			check(t, err)
			b, err := store.Load(t.Context(), other.cookieKey())
			check(t, err)
			forge(&a, &b)
			check(t, store.Update(t.Context(), own.cookieKey(), a))
			for _, host := range []string{gateHost, wikiHost, shopHost} {
				if i, err := m.Find(v.to(host, wikiHost)); err == nil && (i.User != "alice" || host != wikiHost || name != "without a proof") {
					t.Errorf("on %s: %s", host, i.User)
				}
			}
		})
	}
}

func TestHostsOfARecord(t *testing.T) {
	c := content{}
	if c.hosts() != nil {
		t.Error("hosts of nothing")
	}
	c.set(hostKeyPrefix+wikiHost, []byte(`"id"`))
	c.set(hostKeyPrefix+"bad", []byte(`7`))
	c.set("space x", []byte(`{}`))
	if got := c.hosts(); len(got) != 1 || got[0] != (HostID{wikiHost, keyOf("id")}) {
		t.Errorf("hosts: %v", got)
	}
	if got := c.hostIDs(); !maps.Equal(got, map[string]string{wikiHost: "id"}) {
		t.Errorf("hostIDs: %v", got)
	}
}

// A session on more hosts than its record can name loses one of the others.
func TestManyHosts(t *testing.T) {
	m, v := hosted(t, Options{})
	for n := range hostsMax + 3 {
		v.enter("h" + strings.Repeat("x", n%50) + string(rune('a'+n/50)) + ".example.com")
	}
	i, err := m.Find(v.to(gateHost))
	check(t, err)
	if len(i.Hosts) != hostsMax {
		t.Errorf("%d hosts", len(i.Hosts))
	}
}

// Without a login host, no cookie of a host counts: the configuration has changed.
func TestHostsWithoutALoginHost(t *testing.T) {
	store := NewMemory()
	_, v := hosted(t, Options{Store: store})
	plain := newManager(t, Options{Store: store})
	wantNobody(t, plain, v.to(wikiHost), "the cookie of a host")
	wantUser(t, plain, v.to(gateHost), "alice")
	s := plain.Open(v.to(wikiHost))
	check(t, s.Login(t.Context(), Login{User: "bob"}))
	v.cookies[wikiHost] = commit(t, plain, s)
	wantUser(t, plain, v.to(wikiHost), "bob")
	moved := newManager(t, Options{Store: store, LoginHost: shopHost})
	wantNobody(t, moved, v.to(shopHost), "a cookie from before, on the new login host")
	check(t, moved.Open(v.to(shopHost)).Login(t.Context(), Login{User: "carol"}))
}

// Records without hosts stay in format 2, so that a program of the version before reads them.
func TestRecordWithoutHostsIsOfFormat2(t *testing.T) {
	r := Record{User: "alice", Proof: []byte("p")}
	if b := EncodeRecord("k", &r); b[0] != recordFormat {
		t.Errorf("format %d", b[0])
	}
	for _, r := range []Record{{Host: "h"}, {Hosts: []HostID{{"h", "k"}}}} {
		if b := EncodeRecord("k", &r); b[0] != recordFormatHosts {
			t.Errorf("%+v: format %d", r, b[0])
		}
	}
}

func TestOldSecretsGoOnAHost(t *testing.T) {
	store := NewMemory()
	_, v := hosted(t, Options{Store: store, Secrets: [][]byte{testSecret}})
	fresh := []byte("another secret of the tests, 32 bytes")
	both := newManager(t, Options{Store: store, LoginHost: gateHost, Secrets: [][]byte{fresh, testSecret}})
	i, err := both.Find(v.to(wikiHost))
	if check(t, err); !i.StaleSignature {
		t.Fatal("the signature is not stale")
	}
	h := http.Header{}
	check(t, both.Refresh(v.to(wikiHost), h))
	v.take(wikiHost, h)
	wantUser(t, newManager(t, Options{Store: store, LoginHost: gateHost, Secrets: [][]byte{fresh}}), v.to(wikiHost), "alice")
}

// A countedStore counts the calls of Delete.
type countedStore struct {
	Store

	deletes atomic.Int32
}

func (s *countedStore) Delete(ctx context.Context, key string) (Record, error) {
	s.deletes.Add(1)
	return s.Store.Delete(ctx, key)
}

// Codes that do not count were writes, which anybody could cause.
func TestUsedCodeIsNoWrite(t *testing.T) {
	store := &countedStore{Store: NewMemory()}
	m, v := hosted(t, Options{Store: store})
	code := v.code(wikiHost)
	_, _, err := m.Enter(v.to(wikiHost), http.Header{}, code, "state")
	check(t, err)
	m.Close()
	before := store.deletes.Load()
	for _, brought := range []string{code, strings.Repeat("A", len(code)), ""} {
		if _, _, err := m.Enter(v.to(wikiHost), http.Header{}, brought, "state"); !errors.Is(err, ErrNotFound) {
			t.Error(err)
		}
	}
	if n := store.deletes.Load() - before; n != 0 {
		t.Errorf("%d writes", n)
	}
}
