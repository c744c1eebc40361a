package proxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/access"
	"gatehouse/auth"
	"gatehouse/internal/httpfield"
	"gatehouse/internal/metrics"
	"gatehouse/sessions"
)

// A keeping house has real sessions, and an application that answers with the
// session data that it got. What is asked for with X-Do in a request ("set a=1",
// "delete a") it sends as a header.
type keeping struct {
	*house
	manager *sessions.Manager
	metrics *metrics.Metrics
	cookies map[string]string // Cookie lines by name
}

// ask is the header by which the tests tell the application what to send.
const ask = "X-Do"

func keeper(t *testing.T, s setting, store sessions.Store, paths ...string) *keeping {
	t.Helper()
	up := httptest.NewServer(http.HandlerFunc(application))
	t.Cleanup(up.Close)
	m, err := sessions.NewManager(sessions.Options{Store: store, Secrets: [][]byte{[]byte(strings.Repeat("secret!", 5))}, IdleTimeout: time.Hour, SlideAnonymous: true, DataLimit: s.dataLimit})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.Close)
	k := &keeping{manager: m, metrics: metrics.New("test"), cookies: map[string]string{}}
	for _, name := range []string{"alice", "bob"} {
		k.cookies[name] = k.login(t, name)
	}
	s.gate = &gate{identify: func(r *http.Request) (*auth.Identity, error) {
		i, err := m.Find(r)
		if errors.Is(err, sessions.ErrNotFound) || err == nil && i.User == "" {
			return nil, nil
		}
		return &auth.Identity{Name: i.User, Session: i}, err
	}}
	s.options = func(o *Options) { o.SessionData, o.Metrics = m, k.metrics }
	var routes []RouteConfig
	for _, path := range append(paths, "/") {
		c := fixture(up.URL)
		c.Path, c.SessionData = path, path != "/off"
		if path != "/" {
			c.Access = []access.RuleConfig{{}}
		}
		routes = append(routes, c)
	}
	k.house = open(t, s, routes...)
	return k
}

func (k *keeping) login(t *testing.T, name string) string {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+host+"/", nil)
	s, h := k.manager.Open(r), http.Header{}
	if err := errors.Join(s.Login(t.Context(), sessions.Login{User: name, Source: "file"}), k.manager.Commit(s, h, http.StatusOK)); err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(h.Get("Set-Cookie"), ";")
	return line
}

func application(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	for _, line := range r.Header[ask] {
		name, value, _ := strings.Cut(line, " ")
		switch name {
		case "set":
			h.Add(setDataHeader, value)
		case "delete":
			h.Add(deleteDataHeader, value)
		case "expiry":
			h.Add(expiryHeader, value)
		case "header":
			name, value, _ := strings.Cut(value, ": ")
			h[name] = append(h[name], value) // in the spelling given
		case "hint":
			h.Set(setDataHeader, value)
			w.WriteHeader(http.StatusEarlyHints)
			h.Del(setDataHeader)
		case "trailer":
			name, value, _ := strings.Cut(value, ": ")
			defer func() { h.Set(http.TrailerPrefix+name, value) }()
		case "status":
			w.WriteHeader(map[string]int{"404": 404, "500": 500, "303": 303}[value])
		}
	}
	if r.Header.Get("Upgrade") != "" {
		h.Set("Connection", "Upgrade")
		h.Set("Upgrade", "websocket")
		w.Header().Set("Sec-Websocket-Accept", "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=")
		w.WriteHeader(http.StatusSwitchingProtocols)
		return
	}
	_, _ = io.WriteString(w, "data:"+strings.Join(r.Header[dataHeader], "|")) //nolint:gosec // a test reads it, no browser
	_ = http.NewResponseController(w).Flush()
}

// visit is a request of somebody's, whose application does what is asked.
func (k *keeping) visit(t *testing.T, name, path string, do ...string) *http.Response {
	t.Helper()
	r := k.request(t, http.MethodGet, path, nil)
	r.Header.Set("Cookie", k.cookies[name])
	r.Header[ask] = do
	res := k.do(t, r)
	for name := range res.Header {
		if f := httpfield.FoldName(name); f == dataHeader || f == setDataHeader || f == deleteDataHeader || f == expiryHeader {
			t.Errorf("the visitor got %s", name)
		}
	}
	return res
}

// sends is a visit whose answer is of no interest.
func (k *keeping) sends(t *testing.T, name, path string, do ...string) {
	t.Helper()
	_ = k.visit(t, name, path, do...) //nolint:bodyclose // do sees to it
}

// data is what the application got with a request.
func (k *keeping) data(t *testing.T, name, path string) string {
	t.Helper()
	res := k.visit(t, name, path) //nolint:bodyclose // do sees to it
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	for name := range res.Trailer {
		t.Errorf("the visitor got the trailer %s", name)
	}
	data, ok := strings.CutPrefix(string(body), "data:")
	if !ok {
		t.Fatalf("%s: %s\n%s", path, res.Status, body)
	}
	return data
}

func (k *keeping) want(t *testing.T, name, path, data string) {
	t.Helper()
	if got := k.data(t, name, path); got != data {
		t.Errorf("%s at %s: the application got %q, want %q", name, path, got, data)
	}
}

func TestSessionData(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, s setting) {
		t.Helper()
		k := keeper(t, s, sessions.NewMemory(), "/wiki", "/off")
		k.want(t, "alice", "/", "")
		k.sends(t, "alice", "/", "set b=%C3%A4", "set a=1, c=")
		k.want(t, "alice", "/", "a=1; b=%C3%A4; c=")
		k.want(t, "alice", "/deeper/down", "a=1; b=%C3%A4; c=")
		k.want(t, "bob", "/", "")
		k.sends(t, "alice", "/", "delete b", "set a=2", "status 303")
		k.want(t, "alice", "/", "a=2; c=")
		k.sends(t, "alice", "/", "set a=3", "delete c", "status 500") // as in Django
		k.want(t, "alice", "/", "a=2; c=")
		k.sends(t, "alice", "/", "set a=3", "status 404")
		k.want(t, "alice", "/", "a=3; c=")

		k.sends(t, "alice", "/wiki", "set a=wiki")
		k.want(t, "alice", "/wiki/page", "a=wiki")
		k.want(t, "alice", "/", "a=3; c=")

		k.sends(t, "alice", "/off", "set a=4")
		k.want(t, "alice", "/off", "")
		k.sends(t, "alice", "/", "hint a=5", "trailer "+setDataHeader+": a=6")
		k.want(t, "alice", "/", "a=3; c=")

		k.want(t, "alice", "/public/", "a=3; c=")
		k.sends(t, "alice", "/public/", "set a=7")
		k.want(t, "alice", "/", "a=7; c=")
		k.sends(t, "alice", "/", "delete a,c")
		k.want(t, "alice", "/", "")
	})
}

// What a visitor sends under these names reaches no application, in whatever
// spelling, header or trailer, on whatever route, and what the application has
// kept is not changed by it.
func TestSpoofedSessionDataIsDropped(t *testing.T) {
	up := record(t, okAnswer)
	m, err := sessions.NewManager(sessions.Options{Store: sessions.NewMemory(), Secrets: [][]byte{[]byte(strings.Repeat("secret!", 5))}, IdleTimeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for _, on := range []bool{true, false} {
		c := fixture(up.url())
		c.SessionData, c.HeaderNames = on, anyNames
		h := open(t, setting{options: func(o *Options) { o.SessionData = m }}, c)
		for _, name := range []string{
			"X-Session-Data", "x-session-data", "X_SESSION_DATA", "X-Session_Data", "x.session.data", "X-SESSION-Data",
			"X-Session-Set", "x_session_set", "X-Session-Delete", "X_Session_Delete", "X-Session-Expiry", "x_session_expiry",
		} {
			for _, path := range []string{"/public/x", "/x"} {
				up.forget()
				h.get(t, path, aliceLine, name+": admin=1\r\n", "Connection: close, X-Session-Data\r\n")
				if seen := up.one(t); strings.Contains(strings.ToLower(seen), "session") || strings.Contains(seen, "admin=1") {
					t.Errorf("session_data %t, %s: the application saw %q", on, name, seen)
				}
			}
		}
		up.forget()
		h.raw(t, "POST /x HTTP/1.1\r\nHost: "+host+"\r\n"+aliceLine+"Connection: close\r\nTransfer-Encoding: chunked\r\n"+
			"Trailer: X-Session-Data, X_Session_Set\r\n\r\n0\r\nX-Session-Data: admin=1\r\nX_Session_Set: admin=1\r\n\r\n")
		if seen := up.one(t); strings.Contains(seen, "admin=1") {
			t.Errorf("in trailers, the application saw %q", seen)
		}
	}
}

// A visitor's own lines neither replace nor join those of the application's.
func TestSpoofedSessionDataBesideKept(t *testing.T) {
	k := keeper(t, setting{}, sessions.NewMemory())
	k.sends(t, "alice", "/", "set role=user")
	r := k.request(t, http.MethodGet, "/", nil)
	r.Header = http.Header{
		"Cookie": {k.cookies["alice"]}, dataHeader: {"role=admin", "x=y"}, "x_session_data": {"role=admin"}, setDataHeader: {"role=admin"}, "Connection": {dataHeader},
	}
	res := k.do(t, r) //nolint:bodyclose // do sees to it
	if body, _ := io.ReadAll(res.Body); string(body) != "data:role=user" {
		t.Errorf("the application got %q", body)
	}
	k.want(t, "alice", "/", "role=user")
}

// An application that echoes, or sets, any of the names tells the visitor
// nothing, in no spelling, header or trailer, whether the route keeps data or not.
func TestSessionDataIsNotTold(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, s setting) {
		t.Helper()
		k := keeper(t, s, sessions.NewMemory(), "/off")
		for _, path := range []string{"/", "/off", "/public/"} {
			for _, name := range []string{dataHeader, setDataHeader, deleteDataHeader, "x-session-data", "X_Session_Data", "x_session_set", "X_SESSION_DELETE"} {
				res := k.visit(t, "alice", path, "header "+name+": secret=1", "trailer "+name+": secret=1") //nolint:bodyclose // do sees to it
				_, _ = io.Copy(io.Discard, res.Body)
				if got := fmt.Sprint(res.Header, res.Trailer); strings.Contains(got, "secret") {
					t.Errorf("%s at %s: the visitor got %s", name, path, got)
				}
			}
		}
		k.want(t, "alice", "/", "secret=1") // once, by the one right name
	})
}

// The 101 of a WebSocket can keep values, and the handshake is told them.
func TestSessionDataOfAnUpgrade(t *testing.T) {
	k := keeper(t, setting{}, sessions.NewMemory())
	got := k.get(t, "/live", "Cookie: "+k.cookies["alice"]+"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"+ask+": set joined=yes\r\n")
	if status(got) != "101" || strings.Contains(got, "Session") {
		t.Errorf("the visitor got %q", got)
	}
	k.want(t, "alice", "/", "joined=yes")
}

// What is too much, or cannot be read, is left out; the rest counts, the
// answer goes on, and the log and the counter say so, without the value.
func TestSessionDataOverBoundsIsRefused(t *testing.T) {
	k := keeper(t, setting{}, sessions.NewMemory())
	res := k.visit(t, "alice", "/", "set big="+strings.Repeat("hush", 1100), "set small=1", "set odd=hush hush") //nolint:bodyclose // do sees to it
	if res.StatusCode != http.StatusOK {
		t.Errorf("status %d", res.StatusCode)
	}
	k.want(t, "alice", "/", "small=1")
	if log := k.log.String(); strings.Count(log, "session data refused") != 1 || !strings.Contains(log, "count=2") || strings.Contains(log, "hush") {
		t.Errorf("log:\n%s", log)
	}
	w := httptest.NewRecorder()
	k.metrics.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", nil))
	if want := `kind="session_data",route="` + host + `/"} 1`; !strings.Contains(w.Body.String(), want) {
		t.Errorf("metrics lack %s", want)
	}
	for n := range maxDataKeys + 8 {
		k.sends(t, "bob", "/", fmt.Sprintf("set k%d=v", n))
	}
	if got := strings.Count(k.data(t, "bob", "/"), "="); got != maxDataKeys {
		t.Errorf("%d keys, want %d", got, maxDataKeys)
	}
}

// As much as is allowed comes back, with everything else that a request has.
func TestSessionDataAtItsLargest(t *testing.T) {
	everywhere(t, func(t *testing.T, s setting) {
		t.Helper()
		k := keeper(t, s, sessions.NewMemory())
		value := strings.Repeat("v", maxDataSize-len("k="))
		k.sends(t, "alice", "/", "set k="+value)
		k.want(t, "alice", "/", "k="+value)
	})
}

// Answers at the same moment lose nothing of each other.
func TestConcurrentSessionData(t *testing.T) {
	k := keeper(t, setting{}, sessions.NewCached(sessions.NewMemory(), 1<<24))
	var all sync.WaitGroup
	client := k.client(t)
	for n := range 20 {
		r := k.request(t, http.MethodGet, "/", nil)
		r.Header.Set("Cookie", k.cookies["alice"])
		r.Header[ask] = []string{fmt.Sprintf("set k%02d=v", n), fmt.Sprintf("set same=%d", n)}
		all.Go(func() {
			res, err := client.Do(r)
			if err != nil {
				t.Error(err)
				return
			}
			_ = res.Body.Close()
		})
	}
	all.Wait()
	got := k.data(t, "alice", "/")
	for n := range 20 {
		if !strings.Contains(got, fmt.Sprintf("k%02d=v; ", n)) {
			t.Errorf("k%02d was lost: %s", n, got)
		}
	}
}

// failing is a store that fails on demand.
type failing struct {
	*sessions.Memory

	load, update bool
}

var errGone = errors.New("the store is gone")

func (f *failing) Load(ctx context.Context, key string) (sessions.Record, error) {
	if f.load {
		return sessions.Record{}, errGone
	}
	return f.Memory.Load(ctx, key)
}

func (f *failing) Update(ctx context.Context, key string, r sessions.Record) error {
	if f.update {
		return errGone
	}
	return f.Memory.Update(ctx, key, r)
}

// An answer that believes that something was kept is 503 when nobody can tell;
// one that wants nothing kept goes on. It is no fault of the application's.
func TestUnkeptSessionDataIsUnavailable(t *testing.T) {
	t.Parallel()
	everywhere(t, func(t *testing.T, s setting) {
		t.Helper()
		store := &failing{Memory: sessions.NewMemory()}
		k := keeper(t, s, store)
		k.sends(t, "alice", "/", "set a=1")
		store.update = true
		res := k.visit(t, "alice", "/", "delete a", "header Set-Cookie: app=1") //nolint:bodyclose // do sees to it
		body, _ := io.ReadAll(res.Body)
		if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Set-Cookie") != "" || strings.Contains(string(body), "data:") || strings.Contains(string(body), "gone") {
			t.Errorf("%s %v\n%s", res.Status, res.Header, body)
		}
		if !strings.Contains(k.log.String(), errGone.Error()) {
			t.Errorf("log:\n%s", k.log.String())
		}
		k.want(t, "alice", "/", "a=1")
		store.update = false
		k.sends(t, "alice", "/", "delete a")
		k.want(t, "alice", "/", "")
	})
}

// A session that ends while the application works takes what is set with it.
func TestSessionDataOfAnEndedSessionIsDropped(t *testing.T) {
	k := keeper(t, setting{}, sessions.NewMemory())
	k.gate.identify = func(r *http.Request) (*auth.Identity, error) {
		i, err := k.manager.Find(r)
		if err != nil {
			return nil, nil //nolint:nilerr // nobody
		}
		_, err = k.manager.Revoke(r.Context(), i.Key, "revoked") // behind the back of the request
		return &auth.Identity{Name: i.User, Session: i}, err
	}
	if res := k.visit(t, "alice", "/", "set a=1"); res.StatusCode != http.StatusOK { //nolint:bodyclose // do sees to it
		t.Errorf("status %d", res.StatusCode)
	}
	if _, err := k.manager.Find(k.cookieRequest(t, "alice")); !errors.Is(err, sessions.ErrNotFound) {
		t.Errorf("the session is back: %v", err)
	}
	if log := k.log.String(); strings.Contains(log, "WARN") || strings.Contains(log, "ERROR") {
		t.Errorf("log:\n%s", log)
	}
}

func (k *keeping) cookieRequest(t *testing.T, name string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+host+"/", nil)
	r.Header.Set("Cookie", k.cookies[name])
	return r
}

// A route that keeps data needs somebody who does.
func TestSessionDataNeedsAKeeper(t *testing.T) {
	c := fixture("http://127.0.0.1:1")
	c.SessionData = true
	if _, err := New(Options{Routes: []RouteConfig{c}, Auth: &gate{}, Pages: &gate{}}); err == nil {
		t.Error("no error")
	}
}

// The same place is the same space, however it is written.
func TestSpaceOfARoute(t *testing.T) {
	for want, list := range map[string][]RouteConfig{
		"wiki.example.com/":      {{Host: "wiki.example.com"}, {Host: "Wiki.Example.com.", Path: "/"}},
		"wiki.example.com/a/":    {{Host: "wiki.example.com", Path: "/a"}, {Host: "wiki.example.com", Path: "/a/"}},
		"*.example.com:8443/":    {{Host: "*.Example.com:8443"}},
		"/":                      {{}, {Path: "/"}},
		"wiki.example.com/a/b/":  {{Host: "wiki.example.com", Path: "/a/b"}},
		"wiki.example.com:80/a/": {{Host: "wiki.example.com:80", Path: "/a"}},
	} {
		for _, c := range list {
			c.Upstream = "http://127.0.0.1:1"
			r, err := newRoute(&c, IdentityConfig{}, nil)
			if err != nil {
				t.Fatal(err)
			}
			if r.namespace != want {
				t.Errorf("%s%s: %q, want %q", c.Host, c.Path, r.namespace, want)
			}
		}
	}
}
