package server

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/auth/password"
	"gatehouse/config"
	"gatehouse/internal/secret"
	"gatehouse/server/admin"
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

func (r *run) dial() *admin.Admin {
	r.t.Helper()
	c, err := admin.Dial(r.t.Context(), r.conf)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

// testHash makes a hash that is cheap to check.
func testHash(tb testing.TB) secret.Text {
	tb.Helper()
	h, err := password.NewHasher(password.Options{}).Hash(tb.Context(), "correct horse battery staple")
	if err != nil {
		tb.Fatal(err)
	}
	return h
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
