package engine

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"gatehouse/internal/web"
)

// A boundLogin is a server like IIS, whose login by NTLM holds for the
// connection: TYPE1 is answered by a challenge, TYPE3-NAME signs NAME in.
type boundLogin struct {
	*httptest.Server
	scheme string
	conns  atomic.Int32
	open   sync.Map // net.Conn: *login
}

type login struct {
	mu         sync.Mutex
	challenged bool
	name       string
}

type loginKey struct{}

func newBoundLogin(t *testing.T, scheme string, start func(*httptest.Server)) *boundLogin {
	t.Helper()
	b := &boundLogin{scheme: scheme}
	b.Server = httptest.NewUnstartedServer(b)
	b.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		b.conns.Add(1)
		l := &login{}
		b.open.Store(c, l)
		return context.WithValue(ctx, loginKey{}, l)
	}
	b.Config.ConnState = func(c net.Conn, s http.ConnState) {
		if s == http.StateClosed {
			b.open.Delete(c)
		}
	}
	start(b.Server)
	t.Cleanup(b.Close)
	return b
}

func (b *boundLogin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)          // an answer before that would end the visitor's connection
	l := r.Context().Value(loginKey{}).(*login) //nolint:forcetypeassert // ConnContext sees to that
	l.mu.Lock()
	defer l.mu.Unlock()
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	switch {
	case scheme == b.scheme && token == "TYPE1":
		l.challenged = true
		w.Header().Set("Www-Authenticate", b.scheme+" CHALLENGE")
		w.WriteHeader(http.StatusUnauthorized)
		return
	case scheme == b.scheme && l.challenged && strings.HasPrefix(token, "TYPE3-"):
		l.name = strings.TrimPrefix(token, "TYPE3-")
	}
	if l.name == "" {
		w.Header().Set("Www-Authenticate", b.scheme)
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	_, _ = io.WriteString(w, "hello "+l.name) //nolint:gosec // G705: no browser reads it
}

// signedIn counts the open connections that somebody has signed in.
func (b *boundLogin) signedIn() (n int) {
	b.open.Range(func(_, l any) bool {
		l.(*login).mu.Lock() //nolint:forcetypeassert // nothing else is stored
		defer l.(*login).mu.Unlock()
		if l.(*login).name != "" {
			n++
		}
		return true
	})
	return n
}

// boundWires runs f once for each way to reach such a server, and each way in
// which visitors come.
func boundWires(t *testing.T, scheme string, f func(t *testing.T, b *boundLogin, g *httptest.Server)) {
	t.Helper()
	h2c := func(s *httptest.Server) {
		s.Config.Protocols = new(http.Protocols)
		s.Config.Protocols.SetUnencryptedHTTP2(true)
		s.Start()
	}
	both := func(s *httptest.Server) {
		s.EnableHTTP2 = true
		s.StartTLS()
	}
	secure := func(b *boundLogin) Upstream {
		c := b.Client().Transport.(*http.Transport).TLSClientConfig.Clone() //nolint:forcetypeassert // it is one
		c.ServerName = "example.com"
		return NewHTTPS(HTTP1Options{Address: b.Listener.Addr().String(), TLS: c, Timeouts: patient})
	}
	upstreams := map[string]struct {
		start func(*httptest.Server)
		lead  func(b *boundLogin) Upstream
	}{
		"http": {(*httptest.Server).Start, func(b *boundLogin) Upstream {
			return NewHTTP1(HTTP1Options{Address: b.Listener.Addr().String(), Timeouts: patient})
		}},
		"https":              {(*httptest.Server).StartTLS, secure},
		"https, with HTTP/2": {both, secure},
		"h2c": {h2c, func(b *boundLogin) Upstream {
			return NewTransport(TransportOptions{Address: b.Listener.Addr().String(), H2C: true, Timeouts: patient})
		}},
	}
	for name, u := range upstreams {
		for visitors, http2 := range map[string]bool{"HTTP/1.1": false, "HTTP/2": true} {
			t.Run(name+" for "+visitors, func(t *testing.T) {
				b := newBoundLogin(t, scheme, u.start)
				up := u.lead(b)
				g := httptest.NewUnstartedServer(web.Chain(http.HandlerFunc(func(w http.ResponseWriter, in *http.Request) {
					r := request(in)
					r.Owner = in.Header.Get("Owner")
					r.Shared = in.Header.Get("Shared") != ""
					if err := up.Forward(w, r); err != nil {
						t.Error(err)
						w.WriteHeader(http.StatusBadGateway)
					}
				}), web.RecordAnswer()))
				knowsVisitors(g.Config)
				g.EnableHTTP2 = http2
				g.StartTLS()
				t.Cleanup(func() {
					g.Close()
					up.Close()
				})
				f(t, b, g)
			})
		}
	}
}

// A browser has one connection to the gate.
type browser struct {
	t  *testing.T
	c  *http.Client
	to string
}

func newBrowser(t *testing.T, g *httptest.Server) *browser {
	t.Helper()
	tr := g.Client().Transport.(*http.Transport).Clone() //nolint:forcetypeassert // it is one
	tr.MaxConnsPerHost = 1
	tr.TLSClientConfig = &tls.Config{InsecureSkipVerify: true} //nolint:gosec // the test's own server
	t.Cleanup(tr.CloseIdleConnections)
	return &browser{t: t, c: &http.Client{Transport: tr}, to: g.URL}
}

func (b *browser) get(lines ...string) string { return b.send(http.MethodGet, "", lines...) }

// send returns the body of the answer, or else what it asks for.
func (b *browser) send(method, body string, lines ...string) string {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.to, strings.NewReader(body))
	if err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(lines); i += 2 {
		r.Header.Set(lines[i], lines[i+1])
	}
	res, err := b.c.Do(r)
	if err != nil {
		b.t.Error(err)
		return ""
	}
	defer shut(res.Body)
	got, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Error(err)
	}
	if res.StatusCode == http.StatusUnauthorized {
		return res.Header.Get("Www-Authenticate")
	}
	return string(got)
}

func (b *browser) close() { b.c.CloseIdleConnections() }

// signIn shakes hands as browsers do.
func (b *browser) signIn(scheme, name string, lines ...string) {
	b.t.Helper()
	for _, step := range []struct{ say, want string }{{"", scheme}, {"TYPE1", scheme + " CHALLENGE"}, {"TYPE3-" + name, "hello " + name}} {
		with := lines
		if step.say != "" {
			with = append([]string{"Authorization", scheme + " " + step.say}, lines...)
		}
		if got := b.get(with...); got != step.want {
			b.t.Errorf("after %q: got %q, want %q", step.say, got, step.want)
		}
	}
}

// Somebody who signs in at the application by NTLM signs in a connection: who
// comes next on it is taken for the same person. So it is that visitor's alone,
// and every step of the handshake goes over it.
func TestConnectionThatSomebodySignedInIsNobodyElses(t *testing.T) {
	t.Parallel()
	for _, scheme := range []string{"NTLM", "Negotiate"} {
		t.Run(scheme, func(t *testing.T) {
			boundWires(t, scheme, func(t *testing.T, b *boundLogin, g *httptest.Server) {
				alice, mallory := newBrowser(t, g), newBrowser(t, g)
				mallory.get()
				alice.signIn(scheme, "alice")
				for range 3 {
					if got := mallory.get(); got != scheme {
						t.Errorf("mallory got %q", got)
					}
					if got := alice.get(); got != "hello alice" {
						t.Errorf("alice got %q", got)
					}
				}
				mallory.signIn(scheme, "mallory")
				if got := alice.get(); got != "hello alice" {
					t.Errorf("alice got %q", got)
				}
				if got := newBrowser(t, g).get(); got != scheme {
					t.Errorf("somebody new got %q", got)
				}
				// A body does not take the connection away from its visitor.
				if got := alice.send(http.MethodPost, "text"); got != "hello alice" {
					t.Errorf("alice got %q", got)
				}
				if got := alice.get(); got != "hello alice" {
					t.Errorf("alice got %q", got)
				}
			})
		})
	}
}

// It ends with the visitor's connection.
func TestConnectionThatSomebodySignedInEndsWithTheVisitors(t *testing.T) {
	boundWires(t, "NTLM", func(t *testing.T, b *boundLogin, g *httptest.Server) {
		alice := newBrowser(t, g)
		alice.signIn("NTLM", "alice")
		if n := b.signedIn(); n != 1 {
			t.Errorf("%d connections are signed in, want 1", n)
		}
		alice.close()
		within(t, "alice's connection to the upstream to end", func() bool { return b.signedIn() == 0 })
	})
}

// One connection of a visitor may carry several people: a browser whose owner
// has changed, or a proxy in front that keeps connections for everybody.
func TestConnectionThatSomebodySignedInIsTheOwnersAlone(t *testing.T) {
	boundWires(t, "NTLM", func(t *testing.T, _ *boundLogin, g *httptest.Server) {
		front := newBrowser(t, g)
		front.signIn("NTLM", "alice", "Owner", "alice")
		if got := front.get("Owner", "mallory"); got != "NTLM" {
			t.Errorf("mallory got %q", got)
		}
		if got := front.get(); got != "NTLM" {
			t.Errorf("nobody got %q", got)
		}
		if got := front.get("Owner", "alice"); got != "hello alice" {
			t.Errorf("alice got %q", got)
		}
		// Who cannot be told apart gets no connection that lasts.
		front.get("Shared", "1", "Authorization", "NTLM TYPE1")
		front.get("Shared", "1", "Authorization", "NTLM TYPE3-shared")
		if got := front.get("Shared", "1"); got != "NTLM" {
			t.Errorf("somebody got %q", got)
		}
	})
}

// The many streams of one visitor do not get in the way of a handshake.
func TestHandshakeBesideOtherRequests(t *testing.T) {
	boundWires(t, "NTLM", func(t *testing.T, _ *boundLogin, g *httptest.Server) {
		alice := newBrowser(t, g)
		var others sync.WaitGroup
		stop := make(chan struct{})
		for range 3 {
			others.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
						alice.get()
					}
				}
			})
		}
		alice.get("Authorization", "NTLM TYPE1")
		got := alice.get("Authorization", "NTLM TYPE3-alice")
		close(stop)
		others.Wait()
		if got != "hello alice" {
			t.Errorf("alice got %q", got)
		}
	})
}

func TestBinds(t *testing.T) {
	tests := map[string]struct{ binds, token bool }{
		"NTLM":                             {true, false},
		"ntlm":                             {true, false},
		"Negotiate YII=":                   {true, true},
		"NTLM\tTlRM":                       {true, true},
		`Basic realm="NTLM"`:               {false, false},
		`Basic realm="a, NTLM"`:            {false, false},
		`Basic realm="x", Negotiate, NTLM`: {true, false},
		"Bearer NTLM":                      {false, false},
		"Nego2 x":                          {true, true},
		"":                                 {false, false},
	}
	for value, want := range tests {
		if got := binds([]string{value}); got != want.binds {
			t.Errorf("binds(%q) = %v", value, got)
		}
		if got := bindsWithToken([]string{value}); got != want.token {
			t.Errorf("bindsWithToken(%q) = %v", value, got)
		}
	}
}
