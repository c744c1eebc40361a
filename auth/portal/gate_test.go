package portal_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"gatehouse/auth"
	"gatehouse/auth/account"
	"gatehouse/auth/password"
	"gatehouse/auth/portal"
	"gatehouse/auth/throttle"
	"gatehouse/internal/audit"
	"gatehouse/internal/limit"
	"gatehouse/internal/metrics"
	"gatehouse/internal/secret"
	"gatehouse/internal/value"
	"gatehouse/internal/web"
	"gatehouse/sessions"
)

const (
	alicesPassword = "correct horse battery staple"
	bobsPassword   = "bobs own long password" //nolint:gosec // G101: of an account that lives as long as a test
)

// A gate is a server with the real chain, the memory store and real
// accounts: alice in the database, bob in the file, carol disabled.
type gate struct {
	bodyTime time.Duration // for the body of a form; 0: the usual
	*httptest.Server
	auth     *auth.Auth
	portal   *portal.Portal
	database *account.Database
	manager  *sessions.Manager
	hasher   *password.Hasher
	queue    *limit.Semaphore              // before the hasher
	worked   atomic.Pointer[func(float64)] // told of each piece of hashing work
	throttle *throttle.Throttle
	metrics  *metrics.Metrics
	down     *atomic.Bool // the accounts cannot tell
	log      *safeBuffer
	remember time.Duration
	age      time.Duration // of a session that is not used; 0: 30 minutes
	tls      bool
	store    sessions.Store
	rates    throttle.Config
	secrets  [][]byte
	same     http.SameSite
	html     string // of the login page; "": login.html
	trusted  string // network of trusted proxies; "": loopback
	username account.UsernameConfig
	factors  []auth.Factor

	passwordMin int
	face        web.Branding

	loginHost  string // people sign in there for wiki.test and shop.test; "": everywhere
	logoutHost bool
}

type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *safeBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// flaky is a source that at times cannot tell.
type flaky struct {
	account.Source

	down *atomic.Bool
}

var errDown = errors.New("the accounts are down")

func (f flaky) Account(ctx context.Context, name string) (account.Account, error) {
	if f.down.Load() {
		return account.Account{}, errDown
	}
	return f.Source.Account(ctx, name)
}

func (f flaky) Verify(ctx context.Context, name, plain string) (account.Account, error) {
	if f.down.Load() {
		return account.Account{}, errDown
	}
	return f.Source.Verify(ctx, name, plain)
}

func (f flaky) Current(ctx context.Context, r account.Ref) (account.Account, error) {
	if f.down.Load() {
		return account.Account{}, errDown
	}
	return f.Source.Current(ctx, r)
}

func (f flaky) Confirm(ctx context.Context, r account.Ref) (account.Account, error) {
	if f.down.Load() {
		return account.Account{}, errDown
	}
	return f.Source.Confirm(ctx, r)
}

func newGate(tb testing.TB, change ...func(*gate)) *gate {
	tb.Helper()
	g := &gate{
		down: new(atomic.Bool), log: &safeBuffer{}, metrics: metrics.New("test"), queue: limit.NewSemaphore(4, 256, 5*time.Second),
		store: sessions.NewMemory(), secrets: [][]byte{bytes.Repeat([]byte("s"), 32)},
		rates: throttle.Config{PerAccount: value.Rate{Count: 10, Per: 15 * time.Minute}, PerNetwork: value.Rate{Count: 1000, Per: 15 * time.Minute}},
	}
	for _, f := range change {
		f(g)
	}
	g.hasher = password.NewHasher(password.Options{
		Params: password.Params{Memory: 64, Time: 1, Lanes: 1}, Queue: g.queue,
		Worked: func(cost float64) {
			if f := g.worked.Load(); f != nil {
				(*f)(cost)
			}
		},
	})
	g.throttle = throttle.New(g.rates)
	g.database = openDB(tb, filepath.Join(tb.TempDir(), "a.db"))
	ctx := tb.Context()
	hash := func(password string) secret.Text {
		h, err := g.hasher.Hash(ctx, password)
		if err != nil {
			tb.Fatal(err)
		}
		return h
	}
	for _, a := range []account.Account{
		{Name: "alice", PasswordHash: hash(alicesPassword), Email: "alice@example.com", DisplayName: "Alice A.", Groups: []string{"staff", "admins"}},
		{Name: "carol", PasswordHash: hash(alicesPassword), Disabled: true},
	} {
		if err := g.database.Add(ctx, a); err != nil {
			tb.Fatal(err)
		}
	}
	file, err := account.FileSource(g.hasher, []account.UserConfig{{Name: "bob", PasswordHash: hash(bobsPassword)}})
	if err != nil {
		tb.Fatal(err)
	}
	logger := slog.New(slog.NewJSONHandler(g.log, nil))
	look := sessions.Cookie{SameSite: g.same, Secure: func(r *http.Request) bool { return web.From(r.Context()).Secure() }}
	g.manager, err = sessions.NewManager(sessions.Options{
		Store: g.store, Secrets: g.secrets, LoginHost: g.loginHost, Cookie: look, IdleTimeout: cmp.Or(g.age, 30*time.Minute), Lifetime: 12 * time.Hour, RememberLifetime: g.remember,
	})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(g.manager.Close)
	if g.html == "" {
		html, err := os.ReadFile(filepath.Join("..", "..", "login.html"))
		if err != nil {
			tb.Fatal(err)
		}
		g.html = string(html)
	}
	g.build(tb, account.InOrder(g.hasher, flaky{file, g.down}, g.database.Source(g.hasher, logger)), look, logger)
	g.serve(tb, logger)
	return g
}

// build makes what belongs to one configuration.
func (g *gate) build(tb testing.TB, people *account.Sources, look sessions.Cookie, logger *slog.Logger) {
	tb.Helper()
	cookies, err := auth.NewCookies(look.Name, look.Secure, g.secrets)
	if err != nil {
		tb.Fatal(err)
	}
	g.auth, err = auth.New(auth.Options{
		Sessions: g.manager, Accounts: people, Username: g.username, Throttle: g.throttle, Cookies: cookies, Factors: g.factors,
		Audit: audit.New(logger), Metrics: g.metrics, Log: logger,
	})
	if err != nil {
		tb.Fatal(err)
	}
	g.portal, err = portal.New(portal.Options{
		Auth: g.auth, Sessions: g.manager, Cookies: cookies, Accounts: people, Hasher: g.hasher,
		Remember: g.remember, PasswordMin: g.passwordMin, Title: "Sign in", LoginHTML: g.html, Face: g.face, BodyTime: g.bodyTime, Log: logger,
		LoginHost: g.loginHost, LogoutHost: g.logoutHost, Serves: func(host string) bool { return host == "wiki.test" || host == "shop.test" },
	})
	if err != nil {
		tb.Fatal(err)
	}
}

// work has f told of each piece of hashing work from now on.
func (g *gate) work(f func(cost float64)) { g.worked.Store(&f) }

// serve starts the server: our pages, and behind the gate an application
// that says hello.
func (g *gate) serve(tb testing.TB, logger *slog.Logger) {
	tb.Helper()
	pages, err := web.NewPages(web.Branding{})
	if err != nil {
		tb.Fatal(err)
	}
	h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := g.answer(w, r); err != nil {
			pages.Answer(w, r, err)
		}
	})
	if g.trusted == "" {
		g.trusted = "127.0.0.0/8" // so that tests say with X-Forwarded-For who they are
	}
	chain := web.Chain(h, web.RequestInfo(web.Networks{netip.MustParsePrefix(g.trusted)}), web.RecordAnswer(web.AccessLog(logger)), web.Recover(logger, pages.Answer))
	if g.tls {
		g.Server = httptest.NewTLSServer(chain)
	} else {
		g.Server = httptest.NewServer(chain)
	}
	tb.Cleanup(g.Close)
}

func (g *gate) answer(w http.ResponseWriter, r *http.Request) error {
	if strings.HasPrefix(r.URL.Path+"/", auth.Prefix) || g.loginHost != "" && strings.HasPrefix(r.Host, g.loginHost+":") {
		return g.portal.ServeHTTP(w, r)
	}
	id, err := g.auth.Identify(r)
	switch {
	case err != nil:
		return err
	case id == nil:
		return g.portal.Challenge(w, r, auth.NeedLogin)
	}
	g.auth.RecordActivity(id)
	w.Header().Set("Content-Type", "text/plain")
	_, err = io.WriteString(w, "hello "+id.Name) //nolint:gosec // G705: plain text
	return err
}

func withTLS(g *gate) { g.tls = true }

// A browser keeps cookies and sends what a browser sends; it follows no
// redirect.
type browser struct {
	t    testing.TB
	g    *gate
	http *http.Client
	addr string // its address
	site string // Sec-Fetch-Site of what it posts; "": not sent
}

func (g *gate) browser(tb testing.TB) *browser {
	tb.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		tb.Fatal(err)
	}
	c := *g.Client()
	c.Jar = jar
	c.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &browser{t: tb, g: g, http: &c, addr: "192.0.2.1", site: "same-origin"}
}

// An answer has been read.
type answer struct {
	*http.Response
	body string
}

func (b *browser) do(r *http.Request) answer {
	b.t.Helper()
	if r.Header.Get("Accept") == "" {
		r.Header.Set("Accept", "text/html")
	}
	r.Header.Set("X-Forwarded-For", b.addr)
	r.Header.Set("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
	res, err := b.http.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return answer{res, string(body)}
}

func (b *browser) request(method, path string, body io.Reader) *http.Request {
	b.t.Helper()
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.g.URL+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	return r
}

func (b *browser) get(path string) answer {
	b.t.Helper()
	return b.do(b.request(http.MethodGet, path, nil))
}

// post sends a form: names and values in turn.
func (b *browser) post(path string, fields ...string) answer {
	b.t.Helper()
	v := url.Values{}
	for i := 0; i+1 < len(fields); i += 2 {
		v.Add(fields[i], fields[i+1])
	}
	r := b.request(http.MethodPost, path, strings.NewReader(v.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if b.site != "" {
		r.Header.Set("Sec-Fetch-Site", b.site)
		r.Header.Set("Sec-Fetch-Mode", "navigate")
	}
	return b.do(r)
}

var tokenIn = regexp.MustCompile(`name="csrf_token" value="([^"]+)"`)

// token gives the CSRF token of the first form on a page.
func (b *browser) token(path string) string {
	b.t.Helper()
	m := tokenIn.FindStringSubmatch(b.get(path).body)
	if m == nil {
		b.t.Fatalf("%s has no form", path)
	}
	return m[1]
}

func (b *browser) login(name, password string, more ...string) answer {
	b.t.Helper()
	return b.post("/_gate/login", append([]string{"csrf_token", b.token("/_gate/login"), "username", name, "password", password}, more...)...)
}

// signIn must succeed.
func (b *browser) signIn(name, password string) *browser {
	b.t.Helper()
	if a := b.login(name, password); a.StatusCode != http.StatusSeeOther {
		b.t.Fatalf("sign in as %s: %s", name, a.Status)
	}
	return b
}

// who says who the application sees; "" nobody.
func (b *browser) who() string {
	b.t.Helper()
	a := b.get("/app")
	name, ok := strings.CutPrefix(a.body, "hello ")
	if a.StatusCode != http.StatusOK || !ok {
		return ""
	}
	return name
}

func (b *browser) cookies() map[string]string {
	u, err := url.Parse(b.g.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	m := map[string]string{}
	for _, c := range b.http.Jar.Cookies(u) {
		m[c.Name] = c.Value
	}
	return m
}

func (b *browser) setCookie(name, value string) {
	u, err := url.Parse(b.g.URL)
	if err != nil {
		b.t.Fatal(err)
	}
	b.http.Jar.SetCookies(u, []*http.Cookie{{Name: name, Value: value, Path: "/", Secure: b.g.tls}}) //nolint:gosec // G124: what a browser holds
}

func (a answer) want(tb testing.TB, code int, location string) answer {
	tb.Helper()
	if a.StatusCode != code || a.Header.Get("Location") != location {
		tb.Errorf("%s %s: %s to %q; want %d to %q", a.Request.Method, a.Request.URL.Path, a.Status, a.Header.Get("Location"), code, location)
	}
	return a
}

// someHash is a hash of ours that no test has the password of.
const someHash = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0c2FsdA$a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2V5a2U"

func someSecret() secret.Text { return secret.New(someHash) }

// openDB opens accounts in a file until the end of the test.
func openDB(tb testing.TB, file string) *account.Database {
	tb.Helper()
	db, err := bbolt.Open(file, 0o600, &bbolt.Options{NoFreelistSync: true})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	d, err := account.NewDatabase(db)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}
