//go:build e2e

package django_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"gatehouse/auth"
	"gatehouse/auth/account"
	"gatehouse/auth/password"
	"gatehouse/auth/portal"
	"gatehouse/internal/boltfile"
	"gatehouse/internal/secret"
	"gatehouse/internal/web"
	"gatehouse/sessions"
)

// flowViews is an application that uses the packages sessions and auth, as any
// Go program may: Django's pages /session/..., over a Manager whose sessions
// are also those of the login pages.
type flowViews struct {
	t   *testing.T
	row flowRow
	dir string

	db       *bbolt.DB
	store    sessions.Store
	accounts *account.Database
	hasher   *password.Hasher
	manager  *sessions.Manager
	auth     *auth.Auth
	portal   *portal.Portal
	server   *http.Server
	pipes    *pipes
	slide    bool
	secure   bool
}

// flowHash is the hash of flowPassword("password"); to make it takes long.
var flowHash = sync.OnceValues(func() (secret.Text, error) {
	return password.NewHasher(password.Options{}).Hash(context.Background(), flowPassword("password"))
})

func newFlowViews(t *testing.T, row flowRow) *flowViews {
	t.Helper()
	v := &flowViews{t: t, row: row, dir: t.TempDir(), hasher: password.NewHasher(password.Options{})}
	v.open(row.settings)
	t.Cleanup(v.close)
	hash, err := flowHash()
	if err != nil {
		t.Fatal(err)
	}
	for _, user := range row.users() {
		if err := v.accounts.Add(t.Context(), account.Account{Name: user, PasswordHash: hash}); err != nil {
			t.Fatal(err)
		}
	}
	return v
}

// open starts the application with the settings.
func (v *flowViews) open(settings map[string]any) {
	v.t.Helper()
	fail := func(err error) {
		if err != nil {
			v.t.Helper()
			v.t.Fatal(err)
		}
	}
	var err error
	v.db, err = boltfile.Open(filepath.Join(v.dir, "gatehouse.db"))
	fail(err)
	v.accounts, err = account.NewDatabase(v.db)
	fail(err)
	v.store, err = flowStore(v.db, settingOf[string](settings, "SESSION_ENGINE"))
	fail(err)
	v.slide, v.secure = settingOf[bool](settings, "SESSION_SAVE_EVERY_REQUEST"), settingOf[bool](settings, "SESSION_COOKIE_SECURE")
	cookie := flowCookie(settings, v.secure)
	age := 14 * 24 * time.Hour
	if n := seconds(settings, "SESSION_COOKIE_AGE"); n > 0 {
		age = time.Duration(n) * time.Second
	}
	v.manager, err = sessions.NewManager(sessions.Options{
		Store: v.store, Secrets: flowSecrets(settings), Cookie: cookie, IdleTimeout: age,
		SessionCookie: settingOf[bool](settings, "SESSION_EXPIRE_AT_BROWSER_CLOSE"),
	})
	fail(err)
	html, err := os.ReadFile("login.html")
	fail(err)
	cookies, err := auth.NewCookies(cookie.Name, cookie.Secure, flowSecrets(settings))
	fail(err)
	people := account.InOrder(v.hasher, v.accounts.Source(v.hasher, slog.New(slog.DiscardHandler)))
	v.auth, err = auth.New(auth.Options{Sessions: v.manager, Accounts: people, Cookies: cookies})
	fail(err)
	v.portal, err = portal.New(portal.Options{
		Auth: v.auth, Sessions: v.manager, Cookies: cookies, Accounts: people, Hasher: v.hasher, LoginHTML: string(html),
	})
	fail(err)
	pages, err := web.NewPages(web.Branding{})
	fail(err)
	log := slog.New(slog.DiscardHandler)
	v.pipes = &pipes{conns: make(chan net.Conn), closed: make(chan struct{})}
	v.server = &http.Server{ReadHeaderTimeout: time.Minute, Handler: web.Chain(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := v.serve(w, r); err != nil {
			pages.Answer(w, r, err)
		}
	}), web.RequestInfo(nil), web.RecordAnswer(), web.Recover(log, pages.Answer))}
	go func() { _ = v.server.Serve(v.pipes) }()
}

// pipes is a network in memory, in whose bubble time is fake.
type pipes struct {
	conns  chan net.Conn
	closed chan struct{}
	once   sync.Once
}

// Accept serves net.Listener.
func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.closed:
		return nil, net.ErrClosed
	}
}

// Close serves net.Listener.
func (p *pipes) Close() error {
	p.once.Do(func() { close(p.closed) })
	return nil
}

// Addr serves net.Listener.
func (p *pipes) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 80} }

func (v *flowViews) dial(context.Context, string, string) (net.Conn, error) {
	here, there := net.Pipe()
	select {
	case v.pipes.conns <- there:
		return here, nil
	case <-v.pipes.closed:
		return nil, net.ErrClosed
	}
}

// hold lets the page take the time that it says: the clock stands still while
// anybody works.
func (v *flowViews) hold(*flowBrowser) (begun func()) {
	return func() { time.Sleep(300 * time.Millisecond) } // so that it is under way
}

func (v *flowViews) release(*flowBrowser) {}

func flowCookie(settings map[string]any, secure bool) sessions.Cookie {
	c := sessions.Cookie{
		Name: flowCookieBase(settings), Domain: settingOf[string](settings, "SESSION_COOKIE_DOMAIN"), Path: settingOf[string](settings, "SESSION_COOKIE_PATH"),
		Secure: func(*http.Request) bool { return secure },
	}
	switch settingOf[string](settings, "SESSION_COOKIE_SAMESITE") {
	case "Strict":
		c.SameSite = http.SameSiteStrictMode
	case "None":
		c.SameSite = http.SameSiteNoneMode
	}
	return c
}

// flowStore is the store that stands for Django's engine.
func flowStore(db *bbolt.DB, engine string) (sessions.Store, error) {
	if strings.HasSuffix(engine, ".cache") {
		return sessions.NewMemory(), nil
	}
	bolt, err := sessions.NewBolt(db)
	if err != nil || strings.HasSuffix(engine, ".db") || strings.HasSuffix(engine, ".file") {
		return bolt, err
	}
	return sessions.NewCached(bolt, 1<<24), nil
}

func (v *flowViews) close() {
	v.manager.Close()
	if err := errors.Join(v.server.Close(), v.store.Close(), v.db.Close()); err != nil {
		v.t.Error(err)
	}
}

func (v *flowViews) serve(w http.ResponseWriter, r *http.Request) error {
	if v.slide {
		if i, err := v.manager.Find(r); err == nil {
			v.manager.Touch(i)
		}
	}
	switch path := r.URL.Path; {
	case strings.HasPrefix(path, auth.Prefix):
		return v.portal.ServeHTTP(w, r)
	case path == "/counter":
		return v.page(w, r, "counter")
	case strings.HasPrefix(path, "/session/"):
		return v.page(w, r, strings.TrimPrefix(path, "/session/"))
	case path == "/public":
		return v.page(w, r, "")
	}
	id, err := v.auth.Identify(r)
	switch {
	case err != nil:
		return err
	case id == nil:
		return v.portal.Challenge(w, r, auth.NeedLogin)
	}
	v.auth.RecordActivity(id)
	v.auth.Refresh(r, id, w.Header())
	web.AddVary(w.Header(), "Cookie")
	flowApp(w, withUser(r, id.Name))
	return nil
}

// withUser puts the header in that the gate would send.
func withUser(r *http.Request, name string) *http.Request {
	r = r.Clone(r.Context())
	r.Header.Set("X-Forwarded-User", name)
	return r
}

// page is a page that may use the session: it is saved when the page is made,
// before the first byte.
func (v *flowViews) page(w http.ResponseWriter, r *http.Request, name string) error {
	s := v.manager.Open(r)
	status := http.StatusOK
	if n, err := strconv.Atoi(r.FormValue("status")); err == nil {
		status = n
	}
	body, err := v.view(r, s, name)
	if err != nil {
		return err
	}
	if err := v.manager.Commit(s, w.Header(), status); err != nil {
		return err
	}
	w.WriteHeader(status)
	return json.NewEncoder(w).Encode(body)
}

// view does what Django's view of the name does.
func (v *flowViews) view(r *http.Request, s *sessions.Session, name string) (map[string]any, error) {
	ctx := r.Context()
	key := r.FormValue("k")
	if key == "" {
		key = "k"
	}
	var result any
	var err error
	switch name {
	case "":
		return nil, nil
	case "read":
		_, err = s.Get(ctx, key, &result)
	case "write":
		err = write(r, s, key)
	case "delete":
		err = s.Delete(ctx, key)
	case "clear":
		err = s.Clear(ctx)
	case "flush":
		return map[string]any{"result": "flushed"}, s.Flush(ctx)
	case "cycle":
		err = s.Cycle(ctx)
	case "expiry":
		return expiry(ctx, s, r.FormValue("v"))
	case "counter":
		n := 0
		if _, err := s.Get(ctx, "n", &n); err != nil {
			return nil, err
		}
		return map[string]any{"n": n + 1}, s.Set(ctx, "n", n+1)
	case "testcookie":
		return testCookie(ctx, s, r.FormValue("check") != "")
	default:
		return nil, web.Refuse(http.StatusNotFound, "")
	}
	if err != nil {
		return nil, err
	}
	keys, err := s.Keys(ctx)
	data := map[string]any{}
	for _, k := range keys {
		var value any
		if _, err := s.Get(ctx, k, &value); err != nil {
			return nil, err
		}
		data[k] = value
	}
	return map[string]any{"result": result, "data": data}, err
}

// write loads the session, takes its time, and writes.
func write(r *http.Request, s *sessions.Session, key string) error {
	if _, err := s.Keys(r.Context()); err != nil {
		return err
	}
	if d, err := time.ParseDuration(r.FormValue("sleep") + "s"); err == nil {
		time.Sleep(d) // it is slow, as pages are
	}
	value := "v"
	if r.Form.Has("v") {
		value = r.FormValue("v")
	}
	return s.Set(r.Context(), key, value)
}

func expiry(ctx context.Context, s *sessions.Session, text string) (map[string]any, error) {
	var n *float64
	if err := json.Unmarshal([]byte(text), &n); err != nil {
		return nil, err
	}
	var e sessions.Expiry
	switch {
	case n != nil && *n == 0:
		e.AtBrowserClose = true
	case n != nil:
		e.After = time.Duration(*n * float64(time.Second))
	}
	if err := s.SetExpiry(ctx, e); err != nil {
		return nil, err
	}
	at, browser, err := s.Expires(ctx)
	return map[string]any{"age": int(time.Until(at).Round(time.Second) / time.Second), "browser": browser}, err
}

func testCookie(ctx context.Context, s *sessions.Session, check bool) (map[string]any, error) {
	if !check {
		return map[string]any{"set": true}, s.Set(ctx, "testcookie", "worked")
	}
	var value string
	worked, err := s.Get(ctx, "testcookie", &value)
	if worked && err == nil {
		err = s.Delete(ctx, "testcookie")
	}
	return map[string]any{"worked": worked && value == "worked"}, err
}

func (v *flowViews) base() string { return "http://views.example.test" }

func (v *flowViews) cookieName() string {
	if c := flowCookie(v.row.settings, v.secure); v.secure && c.Domain == "" && c.Path == "" {
		return "__Host-" + c.Name
	}
	return flowCookieBase(v.row.settings)
}

func (v *flowViews) path(target string) string              { return flowPath(target) }
func (v *flowViews) form(f url.Values) url.Values           { return flowForm(f, v.account) }
func (v *flowViews) token(path string) (page, field string) { return flowTokenPage(path) }
func (v *flowViews) account(user string) string             { return user }

// restart opens the file again with other settings. Other PASSWORD_HASHERS
// mean that what is stored is weak from now on.
func (v *flowViews) restart(settings map[string]any) {
	v.t.Helper()
	v.close()
	v.open(settings)
	if settings["PASSWORD_HASHERS"] == nil {
		return
	}
	a, err := v.accounts.Account(v.t.Context(), "alice")
	if err == nil {
		err = v.accounts.Upgrade(v.t.Context(), "alice", a.PasswordHash, secret.New(flowWeakHash()))
	}
	if err != nil {
		v.t.Fatal(err)
	}
}

func (v *flowViews) setPassword(user, password string) {
	v.t.Helper()
	hash, err := v.hasher.Hash(v.t.Context(), password)
	if err == nil {
		_, err = v.accounts.SetPassword(v.t.Context(), user, hash)
	}
	if err != nil {
		v.t.Fatal(err)
	}
}

func (v *flowViews) setActive(user string, active bool) {
	v.t.Helper()
	if err := v.accounts.Change(v.t.Context(), user, func(a *account.Account) error { a.Disabled = !active; return nil }); err != nil {
		v.t.Fatal(err)
	}
}

func (v *flowViews) deleteUser(user string) {
	v.t.Helper()
	if err := v.accounts.Delete(v.t.Context(), user); err != nil {
		v.t.Fatal(err)
	}
}

func (v *flowViews) stored() int {
	v.t.Helper()
	n, err := v.store.Count(v.t.Context())
	if err != nil {
		v.t.Fatal(err)
	}
	return n
}

func (v *flowViews) clearSessions() {
	v.t.Helper()
	if _, err := v.manager.DeleteExpired(v.t.Context()); err != nil {
		v.t.Fatal(err)
	}
}

func (v *flowViews) header(b *flowBrowser, name, value string) {
	if value == "-" {
		delete(b.headers, name)
		return
	}
	b.headers[name] = []string{value}
}
