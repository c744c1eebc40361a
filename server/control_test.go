package server

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/auth"
	"gatehouse/config"
	"gatehouse/internal/secret"
)

const testLogin = `<form method="post"><input name="csrf_token" value="{{.CSRFToken}}"></form>`

// A run is a server of a test.
type run struct {
	t    testing.TB
	dir  string
	conf *config.Config
	addr string
	log  *syncBuffer
	stop func() error
}

// start runs a server with the lines beside listen and data_dir.
func start(tb testing.TB, lines string) *run {
	tb.Helper()
	r := &run{t: tb, dir: tb.TempDir(), log: &syncBuffer{}}
	r.write(lines)
	c, err := config.Load(r.file())
	if err != nil {
		tb.Fatal(err)
	}
	r.conf = c
	ctx, cancel := context.WithCancel(tb.Context())
	ready, ended := make(chan string, 1), make(chan error, 1)
	go func() {
		ended <- Run(ctx, Options{
			Config: c, Load: func() (*config.Config, error) { return config.Load(r.file()) },
			LoginHTML: testLogin, Version: "test", Log: slog.New(slog.NewJSONHandler(r.log, nil)),
			Ready: func(f StartupInfo) { ready <- f.Addrs[0].String() },
		})
	}()
	select {
	case r.addr = <-ready:
	case err := <-ended:
		tb.Fatalf("it does not start: %v", err)
	}
	stopped := false
	r.stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-ended
	}
	tb.Cleanup(func() {
		if err := r.stop(); err != nil {
			tb.Errorf("it does not stop cleanly: %v", err)
		}
	})
	return r
}

func (r *run) file() string { return filepath.Join(r.dir, "gatehouse.yaml") }

func (r *run) write(lines string) {
	r.t.Helper()
	text := fmt.Sprintf("listen: 127.0.0.1:0\ndata_dir: %q\n%s", filepath.Join(r.dir, "data"), lines)
	if err := os.WriteFile(r.file(), []byte(text), 0o600); err != nil {
		r.t.Fatal(err)
	}
}

func (r *run) dial() *Client {
	r.t.Helper()
	c, err := Dial(r.t.Context(), r.conf)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

// testHash makes a hash that is cheap to check.
func testHash(tb testing.TB) secret.Text {
	tb.Helper()
	h, err := auth.NewHasher(1).Hash(tb.Context(), "correct horse battery staple")
	if err != nil {
		tb.Fatal(err)
	}
	return h
}

// Both ways to be an Admin do the same: on a running server, and on its files.
func TestAdmin(t *testing.T) {
	t.Run("running", func(t *testing.T) { testAdmin(t, start(t, "").dial()) })
	t.Run("files", func(t *testing.T) {
		c := config.Defaults()
		c.DataDir = filepath.Join(t.TempDir(), "data")
		a, err := OpenFiles(c, testLogin, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := a.Close(); err != nil {
				t.Error(err)
			}
		}()
		testAdmin(t, a)
	})
}

func testAdmin(t *testing.T, a Admin) {
	t.Helper()
	ctx := t.Context()
	hash := Hash(testHash(t))
	if err := a.AddUser(ctx, NewUser{Name: "alice", Hash: hash, Groups: []string{"staff"}}); err != nil {
		t.Fatal(err)
	}
	if err := a.AddUser(ctx, NewUser{Name: "alice", Hash: hash}); !errors.Is(err, ErrExists) {
		t.Errorf("adding twice: %v", err)
	}
	if err := a.AddUser(ctx, NewUser{Name: "mallory", Hash: Hash(secret.New("hunter2"))}); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a password in the place of a hash: %v", err)
	}
	if u, err := a.User(ctx, "alice"); err != nil || u.Source != "database" || u.Disabled || len(u.Groups) != 1 {
		t.Errorf("%+v, %v", u, err)
	}
	if err := a.SetDisabled(ctx, "alice", true); err != nil {
		t.Error(err)
	}
	n := 0
	for u, err := range a.Users(ctx, UserQuery{}) {
		if n++; err != nil || u.Name != "alice" || !u.Disabled {
			t.Errorf("%+v, %v", u, err)
		}
	}
	if n != 1 {
		t.Errorf("%d users are listed", n)
	}
	for what, err := range map[string]error{
		"show":     second(a.User(ctx, "bob")),
		"disable":  a.SetDisabled(ctx, "bob", true),
		"password": a.SetPassword(ctx, NewPassword{Name: "bob", Hash: hash}),
		"delete":   a.DeleteUser(ctx, "bob"),
		"session":  second(a.Session(ctx, "0123456789abcdef")),
		"revoke":   second(a.Revoke(ctx, Revocation{ID: "0123456789abcdef"})),
		"explain":  second(a.Explain(ctx, ExplainRequest{User: "bob", Method: "GET", URL: "/"})),
	} {
		if !errors.Is(err, ErrNotFound) {
			t.Errorf("%s of what is not there: %v", what, err)
		}
	}
	if _, err := a.Revoke(ctx, Revocation{}); err == nil {
		t.Error("nobody said which session, and it was ended")
	}
	if n, err := a.Purge(ctx); n != 0 || err != nil {
		t.Errorf("purge: %d, %v", n, err)
	}
	if e, err := a.Explain(ctx, ExplainRequest{Method: "GET", URL: "http://x/"}); err != nil || e.Decision != "no-route" {
		t.Errorf("explain: %+v, %v", e, err)
	}
	if err := a.DeleteUser(ctx, "alice"); err != nil {
		t.Error(err)
	}
}

func second[A any](_ A, err error) error { return err }

func TestSessionsOverTheControlSocket(t *testing.T) {
	r := start(t, "routes: [{upstream: \"http://127.0.0.1:1\"}]\n")
	c := r.dial()
	if err := c.AddUser(t.Context(), NewUser{Name: "alice", Hash: Hash(testHash(t))}); err != nil {
		t.Fatal(err)
	}
	r.login("alice")
	r.login("alice")
	var ids []string
	for s, err := range c.Sessions(t.Context(), SessionQuery{User: "alice"}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, s.ID)
	}
	if len(ids) != 2 {
		t.Fatalf("%d sessions are listed", len(ids))
	}
	if s, err := c.Session(t.Context(), ids[0]); err != nil || s.User != "alice" || s.Login.IsZero() {
		t.Errorf("%+v, %v", s, err)
	}
	if n, err := c.Revoke(t.Context(), Revocation{ID: ids[0]}); n != 1 || err != nil {
		t.Errorf("revoke: %d, %v", n, err)
	}
	if n, err := c.Revoke(t.Context(), Revocation{User: "alice"}); n != 1 || err != nil {
		t.Errorf("revoke the user's: %d, %v", n, err)
	}
	if log := r.log.String(); strings.Count(log, `"msg":"session.revoked"`) != 2 {
		t.Errorf("the audit log has not one event each: %s", log)
	}
}

// login signs in over HTTP, and gives the cookies.
func (r *run) login(user string) map[string]string {
	r.t.Helper()
	jar := map[string]string{}
	_, page := r.do(http.MethodGet, "/_gate/login", "", jar) //nolint:bodyclose // do closes it
	_, token, _ := strings.Cut(page, `value="`)
	token, _, _ = strings.Cut(token, `"`)
	resp, body := r.do(http.MethodPost, "/_gate/login", "username="+user+"&password=correct+horse+battery+staple&csrf_token="+token, jar) //nolint:bodyclose // do closes it
	if resp.StatusCode != http.StatusSeeOther {
		r.t.Fatalf("login: %s %s", resp.Status, body)
	}
	return jar
}

func (r *run) do(method, path, form string, jar map[string]string) (*http.Response, string) {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), method, "http://"+r.addr+path, strings.NewReader(form))
	if err != nil {
		r.t.Fatal(err)
	}
	if form != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for k, v := range jar {
		req.AddCookie(&http.Cookie{Name: k, Value: v}) //nolint:gosec // a visitor sends no attributes
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close() //nolint:errcheck // a test
	for _, c := range resp.Cookies() {
		jar[c.Name] = c.Value
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(resp.Body); err != nil {
		r.t.Fatal(err)
	}
	return resp, b.String()
}

func TestReloadIsAllOrNothing(t *testing.T) {
	r := start(t, "login: {title: One}\n")
	c := r.dial()
	for _, step := range []struct{ name, lines, want string }{
		{"a good one", "login: {title: Two}\n", ""},
		{"a mistake", "login: {titel: Three}\n", "titel"},
		{"a restart is needed", "login: {title: Three}\nadmin: {listen: 127.0.0.1:1}\nlog: {format: text}\n", "needs a restart: admin.listen, log.format"},
		{"a good one again", "login: {title: Four}\n", ""},
	} {
		r.write(step.lines)
		err := c.Reload(t.Context())
		if step.want == "" && err != nil || step.want != "" && (err == nil || !strings.Contains(err.Error(), step.want)) {
			t.Errorf("%s: %v, want %q", step.name, err, step.want)
		}
		var problems config.Problems
		if step.name == "a mistake" && !errors.As(err, &problems) {
			t.Errorf("%s: the problems do not arrive as such: %v", step.name, err)
		}
	}
	if err := c.Ready(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOneDataDirOneServer(t *testing.T) {
	r := start(t, "")
	_, err := OpenFiles(r.conf, testLogin, slog.New(slog.DiscardHandler))
	if !Runs(err) {
		t.Errorf("a second process opens the files: %v", err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := Dial(t.Context(), r.conf); !errors.Is(err, ErrNoServer) {
		t.Errorf("after the end: %v", err)
	}
}

func TestTheControlSocketIsItsOwnersAlone(t *testing.T) {
	r := start(t, "")
	st, err := os.Stat(filepath.Join(r.conf.DataDir, socketFile))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if resp, _ := r.do(http.MethodPost, "/session.list", "{}", nil); resp.StatusCode == http.StatusOK { //nolint:bodyclose // do closes it
		t.Error("visitors reach the control endpoints")
	}
}

// Whoever could put a socket into the folder would be sent hashes.
func TestWhoseControlSocketIsBelieved(t *testing.T) {
	for _, c := range []struct {
		uid, ours, owner uint32
		want             bool
	}{{0, 1000, 1000, true}, {1000, 1000, 1000, true}, {1000, 0, 1000, true}, {1001, 1000, 1000, false}, {1001, 0, 0, false}} {
		if got := mayServe(c.uid, c.ours, c.owner); got != c.want {
			t.Errorf("mayServe(%d, %d, %d) = %t", c.uid, c.ours, c.owner, got)
		}
	}
}

// The collector counts the ballast, which must not eat up a limit that somebody
// has set.
func TestNoBallastUnderALimit(t *testing.T) {
	t.Setenv("GOMEMLIMIT", "")
	t.Setenv("GOGC", "")
	if len(ballast()) != spare {
		t.Error("there is no ballast without a limit")
	}
	for name, value := range map[string]string{"GOMEMLIMIT": "40MiB", "GOGC": "50"} {
		t.Setenv(name, value)
		if ballast() != nil {
			t.Errorf("there is ballast with %s=%s", name, value)
		}
		t.Setenv(name, "")
	}
}
