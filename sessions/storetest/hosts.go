package storetest

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"

	"gatehouse/sessions"
)

// What the tests of one session on several hosts call their hosts.
const (
	loginHost = "gate.example.com"
	wiki      = "wiki.example.com"
	shop      = "shop.example.org"
)

// A browser holds the session's cookie of each host.
type browser map[string]*http.Cookie

func (b browser) request(host string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, "https://"+host+"/", nil) //nolint:noctx // the context of no test is needed
	if c := b[host]; c != nil {
		r.AddCookie(c)
	}
	return r
}

// take keeps the cookie that the answer with the header sets for the host.
func (b browser) take(s suite, host string, h http.Header) {
	s.Helper()
	for _, line := range h["Set-Cookie"] {
		c, err := http.ParseSetCookie(line)
		if err != nil {
			s.Fatal(err)
		}
		b[host] = c
	}
}

// node returns a Manager of the store, as each process has one.
func (t suite) node() *sessions.Manager {
	t.Helper()
	m, err := sessions.NewManager(sessions.Options{
		Store: t.store, Secrets: [][]byte{[]byte("a secret of the tests, 32 bytes or more")},
		LoginHost: loginHost, IdleTimeout: century, Lifetime: century,
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func (t suite) login(m *sessions.Manager, b browser, user string) {
	t.Helper()
	s, h := m.Open(b.request(loginHost)), http.Header{}
	if err := s.Login(t.Context(), sessions.Login{User: user}); err != nil {
		t.Fatal(err)
	}
	if err := m.Commit(s, h, http.StatusOK); err != nil {
		t.Fatal(err)
	}
	b.take(t, loginHost, h)
}

func (t suite) enter(m *sessions.Manager, b browser, host string) {
	t.Helper()
	code, err := m.NewCode(b.request(loginHost), host, "state", "/next")
	if err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	if _, next, err := m.Enter(b.request(host), h, code, "state"); next != "/next" || err != nil {
		t.Fatalf("Enter %s = %q, %v", host, next, err)
	}
	b.take(t, host, h)
}

// wantOn looks whose session the browser has on the hosts; "": nobody's.
func (t suite) wantOn(m *sessions.Manager, b browser, user string, hosts ...string) {
	t.Helper()
	for _, host := range hosts {
		i, err := m.Find(b.request(host))
		switch {
		case user == "" && !errors.Is(err, sessions.ErrNotFound):
			t.Errorf("on %s: the session of %q, %v; want none", host, i.User, err)
		case user != "" && (err != nil || i.User != user):
			t.Errorf("on %s: the session of %q, %v; want that of %s", host, i.User, err, user)
		}
	}
}

// severalHosts is what sessions on several hosts need of a store: codes are taken once,
// all that belongs together ends together, and lists show one line.
func (t suite) severalHosts() {
	m, b := t.node(), browser{}
	t.login(m, b, "alice")
	t.enter(m, b, wiki)
	t.enter(m, b, shop)
	t.wantOn(m, b, "alice", loginHost, wiki, shop)
	var hosts []string
	for i, err := range m.List(t.Context(), sessions.Query{}) {
		if err != nil || i.User != "alice" {
			t.Errorf("listed: %+v, %v", i, err)
		}
		for _, h := range i.Hosts {
			hosts = append(hosts, h.Host)
		}
	}
	if !slices.Equal(hosts, []string{shop, wiki}) {
		t.Errorf("the list names %q", hosts)
	}
	s := m.Open(b.request(loginHost))
	if err := s.Renew(t.Context(), "another stamp"); err != nil {
		t.Fatal(err)
	}
	h := http.Header{}
	if err := m.Commit(s, h, http.StatusOK); err != nil {
		t.Fatal(err)
	}
	b.take(t, loginHost, h)
	t.wantOn(m, b, "alice", loginHost, wiki, shop)

	other := t.node()
	i, err := other.Find(b.request(wiki))
	if err != nil {
		t.Fatal(err)
	}
	if err := other.LeaveHost(b.request(wiki), http.Header{}, i); err != nil {
		t.Error(err)
	}
	t.wantOn(m, b, "", wiki)
	t.wantOn(m, b, "alice", loginHost, shop)
	if n, err := other.RevokeUser(t.Context(), "alice", "revoked", nil); n != 1 || err != nil {
		t.Errorf("%d sessions are revoked, %v", n, err)
	}
	t.wantOn(m, b, "", loginHost, wiki, shop)
	m.Close() // removes what is left
	other.Close()
	if n, err := t.store.Count(t.Context()); n != 0 || err != nil {
		t.Errorf("%d records are left, %v", n, err)
	}
}

// racingCodes has many bring one code at the same time, to two nodes.
func (t suite) racingCodes() {
	nodes, b := []*sessions.Manager{t.node(), t.node()}, browser{}
	t.login(nodes[0], b, "alice")
	for range t.rounds {
		code, err := nodes[0].NewCode(b.request(loginHost), wiki, "state", "/")
		if err != nil {
			t.Fatal(err)
		}
		var entered atomic.Int32
		var wg sync.WaitGroup
		for n := range 8 {
			wg.Go(func() {
				switch _, _, err := nodes[n%2].Enter(b.request(wiki), http.Header{}, code, "state"); {
				case err == nil:
					entered.Add(1)
				case !errors.Is(err, sessions.ErrNotFound):
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := entered.Load(); n != 1 {
			t.Fatalf("%d have entered by one code", n)
		}
	}
	for _, m := range nodes {
		m.Close()
	}
}
