//go:build e2e

package django_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/e2e"
)

// flowGates are the running programs of the rows: rows with the same
// configuration share one, and have accounts of their own in it.
type flowGates struct {
	t   *testing.T
	app string

	users string    // the section of the configuration
	holds *sync.Map // *flowHold, by the value of holdHeader

	mu     sync.Mutex
	gates  map[string]*e2e.Gate // by configuration
	django map[string]*flowDjangoApp
}

func newFlowGates(t *testing.T, rows []flowRow) *flowGates {
	t.Helper()
	hash, err := flowHash()
	if err != nil {
		t.Fatal(err)
	}
	users := "users:\n"
	for _, row := range rows {
		for _, user := range row.users() {
			users += fmt.Sprintf("  - {name: %s-%s, password_hash: %q}\n", user, row.id, hash.Reveal())
		}
	}
	holds := new(sync.Map)
	app := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if h, ok := holds.Load(r.Header.Get(holdHeader)); ok {
			h.(*flowHold).wait(r.Context())
		}
		flowApp(w, r)
	}))
	t.Cleanup(app.Close)
	return &flowGates{t: t, app: app.URL, users: users, holds: holds, gates: map[string]*e2e.Gate{}, django: map[string]*flowDjangoApp{}}
}

// flowApp is the application behind the gate: it says who asks.
func flowApp(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	var user any
	if name := r.Header.Get("X-Forwarded-User"); name != "" {
		user = name
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"user": user, "page": r.URL.Path})
}

// A flowHold keeps a page from being answered until the row goes on.
type flowHold struct{ begun, goOn chan struct{} }

// holdHeader names the hold to the application.
const holdHeader = "X-Hold"

func (h *flowHold) wait(ctx context.Context) {
	close(h.begun)
	select {
	case <-h.goOn:
	case <-ctx.Done():
	}
}

// flowConfig is the configuration for settings of Django's.
func flowConfig(settings map[string]any, routes string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "login: {throttle: {per_account: 100/1s, per_network: 10000/1s}}\nsession:\n  max_age: 0\n  secrets: [%s]\n", strings.Join(secretsOf(settings), ", "))
	age := 1209600
	if n := seconds(settings, "SESSION_COOKIE_AGE"); n > 0 {
		age = n
	}
	fmt.Fprintf(&b, "  idle_timeout: %ds\n  browser_session: %t\n", age, settingOf[bool](settings, "SESSION_EXPIRE_AT_BROWSER_CLOSE"))
	fmt.Fprintf(&b, "cookie:\n  name: %s\n", flowCookieBase(settings))
	if d := settingOf[string](settings, "SESSION_COOKIE_DOMAIN"); d != "" {
		fmt.Fprintf(&b, "  domain: %q\n", d)
	}
	if s := settingOf[string](settings, "SESSION_COOKIE_SAMESITE"); s != "" {
		fmt.Fprintf(&b, "  same_site: %s\n", strings.ToLower(s))
	}
	if settingOf[bool](settings, "SESSION_COOKIE_SECURE") {
		b.WriteString("  secure: \"true\"\n")
	}
	return b.String() + routes
}

// A flowGate is the built program as a row sees it.
type flowGate struct {
	t      *testing.T
	row    flowRow
	gate   *e2e.Gate
	routes string
	source any    // AUTHENTICATION_BACKENDS when the row began
	users  string // the section of the configuration; "": the accounts are in the database
	secure bool
	holds  *sync.Map
}

// plain gives the row a gate: a shared one, unless the row restarts it.
func (g *flowGates) plain(t *testing.T, row flowRow) flowSite {
	t.Helper()
	s := &flowGate{t: t, row: row, holds: g.holds, source: row.settings["AUTHENTICATION_BACKENDS"], secure: settingOf[bool](row.settings, "SESSION_COOKIE_SECURE")}
	s.routes = "routes:\n  - upstream: " + g.app + "\n    access:\n      - {exact: /public, public: true}\n      - {}\n"
	config := flowConfig(row.settings, s.routes)
	text := strings.Join(row.steps, ";")
	switch {
	case strings.Contains(text, "AUTHENTICATION_BACKENDS"):
		s.gate = e2e.Start(t, e2e.HTTP1, config)
		s.restart(row.settings) // with the accounts in the file
		return s
	case strings.Contains(text, "RESTART"):
		s.gate = e2e.Start(t, e2e.HTTP1, g.users+config)
		s.users = g.users
		return s
	case row.changesAccounts():
		s.gate = g.shared(config)
	default:
		s.gate = g.shared(g.users + config)
		return s
	}
	for _, user := range row.users() {
		s.add(s.account(user))
	}
	return s
}

func (g *flowGates) shared(config string) *e2e.Gate {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.gates[config] == nil {
		g.gates[config] = e2e.Start(g.t, e2e.HTTP1, config)
	}
	return g.gates[config]
}

func (s *flowGate) add(name string) {
	s.gate.Must(s.t, flowPassword("password")+"\n", "user", "add", name, "--password-stdin")
}

func (s *flowGate) base() string { return "http://" + s.gate.Addr }

func (s *flowGate) cookieName() string {
	if s.secure {
		return "__Host-" + flowCookieBase(s.row.settings)
	}
	return flowCookieBase(s.row.settings)
}

func (s *flowGate) path(target string) string              { return flowPath(target) }
func (s *flowGate) form(f url.Values) url.Values           { return flowForm(f, s.account) }
func (s *flowGate) token(path string) (page, field string) { return flowTokenPage(path) }
func (s *flowGate) account(user string) string             { return user + "-" + s.row.id }

// restart starts the program again with other settings. What Django calls a
// back end is a source of accounts: the file, which has alice as long as the
// setting is the one that the row began with.
func (s *flowGate) restart(settings map[string]any) {
	s.t.Helper()
	config := s.users + flowConfig(settings, s.routes)
	if strings.Contains(strings.Join(s.row.steps, ";"), "AUTHENTICATION_BACKENDS") {
		config = "users: []\n" + config
		if fmt.Sprint(settings["AUTHENTICATION_BACKENDS"]) == fmt.Sprint(s.source) {
			hash := strings.TrimSpace(s.gate.Must(s.t, flowPassword("password")+"\n", "hash", "--password-stdin"))
			config = strings.Replace(config, "users: []", "users: [{name: "+s.account("alice")+", password_hash: \""+hash+"\"}]", 1)
		}
	}
	s.gate.Configure(s.t, config)
	if code := s.gate.Stop(s.t); code != 0 {
		s.t.Errorf("exit status %d", code)
	}
	s.gate.Run(s.t)
}

func (s *flowGate) setPassword(user, password string) {
	s.gate.Must(s.t, password+"\n", "user", "passwd", user, "--password-stdin")
}

func (s *flowGate) setActive(user string, active bool) {
	s.gate.Must(s.t, "", "user", map[bool]string{true: "enable", false: "disable"}[active], user)
}

func (s *flowGate) deleteUser(user string) { s.gate.Must(s.t, "", "user", "delete", user) }
func (s *flowGate) clearSessions()         { s.gate.Must(s.t, "", "session", "purge") }

func (s *flowGate) stored() (n int) {
	for _, user := range s.row.users() {
		n += strings.Count(s.gate.Must(s.t, "", "session", "list", "--json", "--user", s.account(user)), "\n")
	}
	return n
}

func (s *flowGate) header(b *flowBrowser, name, value string) {
	if value == "-" {
		delete(b.headers, name)
		return
	}
	b.headers[name] = []string{value}
}

func (s *flowGate) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	return new(net.Dialer).DialContext(ctx, network, addr)
}

func (s *flowGate) hold(b *flowBrowser) (begun func()) {
	h := &flowHold{make(chan struct{}), make(chan struct{})}
	s.holds.Store(s.row.id, h)
	b.headers[holdHeader] = []string{s.row.id}
	return func() {
		select {
		case <-h.begun:
			delete(b.headers, holdHeader)
		case <-time.After(e2e.Patience):
			s.t.Error("the page does not begin")
		}
	}
}

func (s *flowGate) release(*flowBrowser) {
	if h, ok := s.holds.LoadAndDelete(s.row.id); ok {
		close(h.(*flowHold).goOn)
	}
}

// A flowDjangoApp is a real Django that believes X-Forwarded-User, and the
// gate in front of it. One row uses it at a time.
type flowDjangoApp struct {
	sync.Mutex
	gate *e2e.Gate
	data string
}

// The site as who is signed in sees it, and as all others do.
const (
	flowInside  = "inside.example.test"
	flowOutside = "outside.example.test"
)

// A flowDjango is Django behind the gate: to send the header with a name is to
// sign in at the gate with it, and to send it no more is to sign out there. The
// rows' LOGIN is Django's own.
type flowDjango struct {
	flowGate
	app    *flowDjangoApp
	before int // sessions of Django's when the row began
}

func (g *flowGates) withDjango(t *testing.T, row flowRow) flowSite {
	t.Helper()
	app := g.startDjango(fmt.Sprint(row.settings["LEGACY_AUTH"]))
	app.Lock()
	t.Cleanup(app.Unlock)
	s := &flowDjango{flowGate: flowGate{t: t, row: row, gate: app.gate}, app: app}
	for _, user := range row.users() {
		s.sql("insert into auth_user (password, is_superuser, username, last_name, email, is_staff, is_active, date_joined, first_name) " +
			"select password, 0, '" + s.account(user) + "', '', '', 0, 1, date_joined, '' from auth_user where username = 'alice'")
	}
	s.before = s.count()
	return s
}

func (g *flowGates) startDjango(mode string) *flowDjangoApp {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.django[mode] == nil {
		data := g.t.TempDir()
		url := startDjango(g.t, "LEGACY_AUTH="+mode, "LEGACY_DATA="+data)
		routes := fmt.Sprintf("routes:\n  - {host: %s, upstream: %q}\n  - {host: %s, upstream: %q, access: [{public: true}]}\n", flowInside, url, flowOutside, url)
		g.django[mode] = &flowDjangoApp{gate: e2e.Start(g.t, e2e.HTTP1, flowConfig(nil, routes)), data: data}
	}
	return g.django[mode]
}

// sql asks Django's database, and gives the number that it answers.
func (s *flowDjango) sql(statement string) int {
	s.t.Helper()
	const script = `
import sqlite3, sys
db = sqlite3.connect(sys.argv[1], timeout=20)
rows = db.execute(sys.argv[2]).fetchall()
db.commit()
print(rows[0][0] if rows else 0)
`
	ctx, cancel := context.WithTimeout(context.Background(), e2e.Patience)
	defer cancel()
	out, err := exec.CommandContext(ctx, "/usr/bin/python3", "-c", script, filepath.Join(s.app.data, "legacy.sqlite3"), statement).Output() //nolint:gosec // statements of ours
	if err != nil {
		s.t.Fatalf("%s: %v", statement, err)
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

func (s *flowDjango) count() int { return s.sql("select count(*) from django_session") }

func (s *flowDjango) cookieName() string              { return "legacysessionid" }
func (s *flowDjango) path(target string) string       { return target }
func (s *flowDjango) stored() int                     { return s.count() - s.before }
func (s *flowDjango) setPassword(string, string)      { s.t.Fatal("the row sets a password of Django's") }
func (s *flowDjango) restart(map[string]any)          { s.t.Fatal("the row restarts Django") }
func (s *flowDjango) clearSessions()                  { s.t.Fatal("the row clears sessions of Django's") }
func (s *flowDjango) token(path string) (_, _ string) { return path, "csrfmiddlewaretoken" }

func (s *flowDjango) form(f url.Values) url.Values {
	out := url.Values{}
	for name, values := range f {
		if name == "username" {
			values = []string{s.account(values[0])}
		}
		out[name] = values
	}
	return out
}

func (s *flowDjango) setActive(user string, active bool) {
	s.sql(fmt.Sprintf("update auth_user set is_active = %t where username = '%s'", active, user))
}

func (s *flowDjango) deleteUser(user string) {
	s.sql("delete from auth_user where username = '" + user + "'")
}

// hold has nothing to hold on to: Django's pages take the time that they say.
func (s *flowDjango) hold(*flowBrowser) (begun func()) {
	return func() { time.Sleep(300 * time.Millisecond) } // so that it is under way
}

func (s *flowDjango) release(*flowBrowser) {}

// header signs in and out at the gate for the header that it sends; what else
// a visitor writes is sent as it is.
func (s *flowDjango) header(b *flowBrowser, name, value string) {
	s.t.Helper()
	if name != "X-Forwarded-User" {
		s.flowGate.header(b, name, value)
		return
	}
	b.host = flowOutside
	delete(b.cookies, "gatehouse")
	if value == "-" || value == "" {
		return
	}
	user := s.account(value)
	if _, code := s.gate.Command(s.t, "", "user", "show", user); code != 0 {
		s.add(user)
	}
	token, err := b.token("/_gate/login", "csrf_token")
	if err != nil {
		s.t.Fatal(err)
	}
	status, _, body, _, err := b.request(http.MethodPost, "/_gate/login", url.Values{"username": {user}, "password": {flowPassword("password")}, "csrf_token": token})
	if err != nil || status != http.StatusSeeOther {
		s.t.Fatalf("sign in at the gate as %s: %d, %v\n%s", user, status, err, body)
	}
	b.host = flowInside
}
