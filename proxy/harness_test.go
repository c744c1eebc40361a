package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/access"
	"gatehouse/auth"
	"gatehouse/internal/audit"
	"gatehouse/internal/web"
	"gatehouse/proxy/engine"
	"gatehouse/sessions"
)

func TestMain(m *testing.M) {
	flag.Parse()
	_ = flag.Set("test.parallel", "16") // on any machine: the parallel tests wait for deadlines
	os.Exit(m.Run())
}

const (
	host      = "app.example.test"
	ourCookie = "__Host-gatehouse"
	aliceLine = "Cookie: " + ourCookie + "=alice\r\n"
)

// gate is a Gate by function fields. Without them, a cookie with the name of
// a person of people signs that person in.
type gate struct {
	identify  func(r *http.Request) (*auth.Identity, error)
	challenge func(w http.ResponseWriter, r *http.Request) error

	mu     sync.Mutex
	asked  int
	active []string
}

var people = map[string]*auth.Identity{
	"alice": {
		Name: "alice", Email: "alice@example.test", DisplayName: "Älice", Groups: []string{"staff", "wiki"},
		Session: sessions.Info{Handle: "0123456789abcdef", Key: "key of alice", Login: time.Date(2026, 1, 2, 3, 4, 5, 0, time.FixedZone("", 3600))},
	},
	"root": {Name: "root", Groups: []string{"admins"}},
	"bare": {Name: "bare"},
}

func (g *gate) Identify(r *http.Request) (*auth.Identity, error) {
	g.mu.Lock()
	g.asked++
	g.mu.Unlock()
	if g.identify != nil {
		return g.identify(r)
	}
	if c, err := r.Cookie(ourCookie); err == nil {
		return people[c.Value], nil
	}
	return nil, nil
}

func (g *gate) RecordActivity(id *auth.Identity) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.active = append(g.active, id.Name)
}

func (g *gate) Refresh(_ *http.Request, id *auth.Identity, h http.Header) {
	if id.Session.StaleSignature {
		h.Add("Set-Cookie", ourCookie+"=anew")
	}
}

func (g *gate) Challenge(w http.ResponseWriter, r *http.Request, _ auth.Need) error {
	if g.challenge != nil {
		return g.challenge(w, r)
	}
	code := http.StatusSeeOther
	if r.Method == http.MethodGet || r.Method == http.MethodHead {
		code = http.StatusFound
	}
	http.Redirect(w, r, auth.Prefix+"login", code)
	return nil
}

func (g *gate) ServeHTTP(w http.ResponseWriter, r *http.Request) error {
	if r.URL.Path != auth.Prefix+"login" {
		return web.Refuse(http.StatusNotFound, "")
	}
	_, err := io.WriteString(w, "login page")
	return err
}

func (g *gate) CookieNames() []string {
	return []string{ourCookie, "gatehouse", "__Host-gatehouse_csrf"}
}

func (g *gate) looked() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked
}

// recorder is an upstream that knows no HTTP: it keeps the bytes of each
// connection and answers with the bytes of answer, once a request is there.
type recorder struct {
	net.Listener
	answer string
	done   sync.WaitGroup

	mu    sync.Mutex
	conns []*bytes.Buffer
}

const okAnswer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"

func record(tb testing.TB, answer string) *recorder {
	tb.Helper()
	l, err := (&net.ListenConfig{}).Listen(tb.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	r := &recorder{Listener: l, answer: answer}
	r.done.Go(r.accept)
	tb.Cleanup(func() {
		_ = l.Close()
		r.done.Wait()
	})
	return r
}

func (r *recorder) accept() {
	for {
		c, err := r.Accept()
		if err != nil {
			return
		}
		b := new(bytes.Buffer)
		r.mu.Lock()
		r.conns = append(r.conns, b)
		r.mu.Unlock()
		r.done.Go(func() { r.serve(c, b) })
	}
}

func (r *recorder) serve(c net.Conn, b *bytes.Buffer) {
	defer closing(c)
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	buf := make([]byte, 4096)
	answered := false
	for {
		n, err := c.Read(buf)
		r.mu.Lock()
		b.Write(buf[:n])
		ready := !answered && isReady(b.String())
		r.mu.Unlock()
		if ready {
			answered = true
			_, _ = io.WriteString(c, r.answer)
			if half, ok := c.(*net.TCPConn); ok {
				_ = half.CloseWrite()
			}
		}
		if err != nil {
			return
		}
	}
}

// isReady says whether a request is there to its end.
func isReady(s string) bool {
	head, body, ok := strings.Cut(s, "\r\n\r\n")
	if !ok {
		return false
	}
	head = strings.ToLower(head) + "\r\n"
	if strings.Contains(head, "\r\ntransfer-encoding: chunked\r\n") {
		return (strings.HasPrefix(body, "0\r\n") || strings.Contains(body, "\r\n0\r\n")) && strings.HasSuffix(body, "\r\n\r\n")
	}
	if _, rest, ok := strings.Cut(head, "\r\ncontent-length: "); ok {
		n, err := strconv.Atoi(rest[:strings.Index(rest, "\r\n")])
		return err == nil && len(body) >= n
	}
	return true
}

// seen gives what came, one text a connection.
func (r *recorder) seen() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []string
	for _, b := range r.conns {
		list = append(list, b.String())
	}
	return list
}

func (r *recorder) forget() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.conns = nil
}

// one gives the one request that came.
func (r *recorder) one(tb testing.TB) string {
	tb.Helper()
	list := r.seen()
	if len(list) != 1 {
		tb.Fatalf("upstream saw %d connections, want 1: %q", len(list), list)
	}
	return list[0]
}

func (r *recorder) empty(tb testing.TB) {
	tb.Helper()
	if list := r.seen(); len(list) != 0 {
		tb.Errorf("upstream saw %q, want nothing", list)
	}
}

func (r *recorder) url() string { return "http://" + r.Addr().String() }

// house is a proxy behind a real server.
type house struct {
	*httptest.Server
	proxy *Proxy
	gate  *gate
	log   *lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

type setting struct {
	trusted  web.Networks
	options  func(o *Options)
	gate     *gate
	standard bool // http.Transport carries plain HTTP too
	https    bool // the visitor speaks TLS, and HTTP/2 where it can

	dataLimit int64 // of the sessions of a keeper
}

// fixtureRules are those of the case files.
func fixtureRules() []access.RuleConfig {
	return []access.RuleConfig{
		{Path: "/public/", Public: true},
		{Exact: "/healthz", Public: true},
		{Path: "/admin/", Groups: []string{"admins"}},
		{},
	}
}

// fixture is the route of the case files.
func fixture(upstream string) RouteConfig {
	var c RouteConfig
	c.SetDefaults()
	c.Host, c.Upstream, c.Access = host, upstream, fixtureRules()
	return c
}

func open(tb testing.TB, s setting, routes ...RouteConfig) *house {
	tb.Helper()
	h := &house{gate: s.gate, log: &lockedBuffer{}}
	if h.gate == nil {
		h.gate = &gate{}
	}
	log := slog.New(slog.NewTextHandler(h.log, nil))
	o := Options{Routes: routes, Auth: h.gate, Pages: h.gate, Audit: audit.New(log), Log: log}
	o.Identity.SetDefaults()
	o.Activity.SetDefaults()
	if s.options != nil {
		s.options(&o)
	}
	p, err := New(o)
	if err != nil {
		tb.Fatalf("New: %v", err)
	}
	h.proxy = p
	if s.standard {
		useStandard(tb, p)
	}
	pages, err := web.NewPages(web.Branding{})
	if err != nil {
		tb.Fatal(err)
	}
	h.Server = httptest.NewUnstartedServer(web.Chain(
		http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if err := p.ServeHTTP(w, r); err != nil {
				pages.Answer(w, r, err)
			}
		}),
		web.RequestInfo(s.trusted), web.RecordAnswer(web.AccessLog(log)), web.Recover(log, pages.Answer),
	))
	h.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, 0)
	h.Config.MaxHeaderBytes = 64 << 10
	h.Config.DisableGeneralOptionsHandler = true
	if s.https {
		h.EnableHTTP2 = true
		h.StartTLS()
	} else {
		h.Start()
	}
	tb.Cleanup(func() {
		h.CloseClientConnections()
		h.Close()
		p.Close()
	})
	return h
}

// useStandard replaces the engines of plain upstreams.
func useStandard(tb testing.TB, p *Proxy) {
	tb.Helper()
	for _, r := range p.routes {
		a, err := parseUpstream(r.conf.Upstream)
		if err != nil {
			tb.Fatal(err)
		}
		r.upstream.Close()
		r.upstream = engine.NewTransport(a.standard(r.conf))
	}
}

// engines runs f once for each engine that carries plain HTTP.
func engines(t *testing.T, f func(t *testing.T, s setting)) {
	t.Helper()
	t.Run("http1", func(t *testing.T) { f(t, setting{}) })
	t.Run("standard", func(t *testing.T) { f(t, setting{standard: true}) })
}

// raw sends bytes as they are and gives what comes back until the other side
// closes, or an answer is complete.
func (h *house) raw(tb testing.TB, request string) string {
	tb.Helper()
	c := h.dial(tb)
	if _, err := io.WriteString(c, request); err != nil {
		tb.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), &http.Request{Method: methodOf(request)})
	if err != nil {
		if errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF) {
			return ""
		}
		tb.Fatalf("read answer to %q: %v", request, err)
	}
	defer closing(res.Body)
	var b bytes.Buffer
	fmt.Fprintf(&b, "%d\n", res.StatusCode)
	_ = res.Header.Write(&b)
	b.WriteString("\n")
	if res.StatusCode != http.StatusSwitchingProtocols {
		if _, err := io.Copy(&b, res.Body); err != nil {
			b.WriteString("\nBROKEN")
		}
		_ = res.Trailer.Write(&b)
	}
	return b.String()
}

func methodOf(request string) string {
	m, _, _ := strings.Cut(request, " ")
	return m
}

func (h *house) dial(tb testing.TB) net.Conn {
	tb.Helper()
	c, err := (&net.Dialer{}).DialContext(tb.Context(), "tcp", h.Listener.Addr().String())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	return c
}

// get sends a GET with more header lines.
func (h *house) get(tb testing.TB, target string, lines ...string) string {
	tb.Helper()
	return h.raw(tb, "GET "+target+" HTTP/1.1\r\nHost: "+host+"\r\nConnection: close\r\n"+strings.Join(lines, "")+"\r\n")
}

// status takes the status off an answer.
func status(answer string) string {
	code, _, _ := strings.Cut(answer, "\n")
	return code
}

// client is an http.Client for the house's own host.
func (h *house) client(tb testing.TB) *http.Client {
	tb.Helper()
	c := h.Client()
	tr := c.Transport.(*http.Transport).Clone()
	tr.DialContext = func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "tcp", h.Listener.Addr().String())
	}
	tr.DisableCompression = true
	if tr.TLSClientConfig != nil {
		tr.TLSClientConfig.ServerName = "example.com"
	}
	c.Transport = tr
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	tb.Cleanup(tr.CloseIdleConnections)
	return c
}

// closing is Close where nobody cares for the error.
func closing(c io.Closer) { _ = c.Close() }

// lines gives the header lines of a request that the recorder saw.
func lines(request string) []string {
	head, _, _ := strings.Cut(request, "\r\n\r\n")
	return strings.Split(head, "\r\n")[1:]
}

func linesNamed(request, name string) []string {
	return slices.DeleteFunc(lines(request), func(l string) bool {
		n, _, _ := strings.Cut(l, ":")
		return !strings.EqualFold(n, name)
	})
}

// signed asserts that the identity is there exactly once, and is name's.
func signed(tb testing.TB, request, name string) {
	tb.Helper()
	if got := linesNamed(request, "X-Forwarded-User"); len(got) != 1 || got[0] != "X-Forwarded-User: "+name {
		tb.Errorf("identity lines %q, want one for %s; upstream saw %q", got, name, request)
	}
}

// anonymous asserts that nothing in the request says who asks.
func anonymous(tb testing.TB, request string) {
	tb.Helper()
	for _, l := range lines(request) {
		name, _, _ := strings.Cut(l, ":")
		if newPolicyTable(nil).of(name) == identity {
			tb.Errorf("upstream saw %q, want no identity", l)
		}
	}
}
