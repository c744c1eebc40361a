package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/internal/secret"
	"gatehouse/proxy"
)

// serve serves h on the control socket of a data_dir and returns the Admin
// that has dialled it.
func serve(t *testing.T, h http.Handler) *Admin {
	t.Helper()
	c := config.Defaults()
	c.DataDir = t.TempDir()
	ln, err := new(net.ListenConfig).Listen(t.Context(), "unix", filepath.Join(c.DataDir, SocketFile))
	if err != nil {
		t.Fatal(err)
	}
	hs := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	done := make(chan struct{})
	go func() { defer close(done); _ = hs.Serve(ln) }()
	t.Cleanup(func() { _ = hs.Close(); <-done })
	a, err := Dial(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = a.Close() })
	return a
}

// A process is a server that does what the test says.
type process struct {
	reload error
	status Status
}

func (p process) Reload(context.Context) error  { return p.reload }
func (p process) Status(context.Context) Status { return p.status }

func TestTheSocketHasEveryOperation(t *testing.T) {
	a := serve(t, Handler(&Backend{Log: slog.New(slog.DiscardHandler)}))
	var names []string
	for _, o := range served() {
		names = append(names, o.path())
		// A request that no operation takes shows that it is there, without running it.
		_, err := a.remote.post(t.Context(), o.path(), []int{}) //nolint:bodyclose // there is none with an error
		if err == nil || !strings.Contains(err.Error(), "read request") {
			t.Errorf("%s: %v, want that it cannot read the request", o.path(), err)
		}
	}
	slices.Sort(names)
	if n := len(slices.Compact(names)); n != len(served()) {
		t.Errorf("%d names for %d operations: %v", n, len(served()), names)
	}
}

// What is on the wire has to stay, or protocol has to change: the command line
// of a new version talks to the running server of the version before it.
func TestWireFormat(t *testing.T) {
	at := time.Date(2026, 11, 29, 12, 0, 0, 0, time.UTC)
	mail, groups, n := "a@example.com", []string{"staff"}, 2
	hash := Hash(secret.New("$hash"))
	for _, c := range []struct {
		v    any
		want string
	}{
		{none{}, `{}`},
		{count{3}, `{"count":3}`},
		{byName{"alice"}, `{"name":"alice"}`},
		{byID{"0f"}, `{"id":"0f"}`},
		{disabling{"alice", true}, `{"name":"alice","disabled":true}`},
		{Status{Ready: true, Version: "1.2"}, `{"ready":true,"version":"1.2"}`},
		{Status{Why: "full"}, `{"ready":false,"version":"","why":"full"}`},
		{SessionQuery{}, `{}`},
		{SessionQuery{User: "alice", IdleFor: time.Second, Limit: 1}, `{"user":"alice","idle_for":1000000000,"limit":1}`},
		{
			Session{ID: "0f", User: "alice", Source: "file", Login: at, Seen: at, Expires: at, Addr: "::1"},
			`{"id":"0f","user":"alice","source":"file","login":"2026-11-29T12:00:00Z","last_used":"2026-11-29T12:00:00Z","expires":"2026-11-29T12:00:00Z","address":"::1","agent":""}`,
		},
		{Revocation{All: true}, `{"all":true}`},
		{UserQuery{Disabled: true}, `{"disabled":true}`},
		{User{Name: "alice", Source: "file", Sessions: &n}, `{"name":"alice","disabled":false,"source":"file","sessions":2}`},
		{NewUser{Name: "alice", Hash: hash}, `{"name":"alice","hash":"$hash"}`},
		{NewPassword{"alice", hash}, `{"name":"alice","hash":"$hash"}`},
		{UserChange{Name: "alice", Email: &mail, Groups: &groups}, `{"name":"alice","email":"a@example.com","groups":["staff"]}`},
		{ExplainRequest{Method: "GET", URL: "/"}, `{"method":"GET","url":"/"}`},
		{proxy.Explanation{Decision: "deny", Why: "x", Rule: -1}, `{"decision":"deny","why":"x","rule":-1}`},
		{failureOf(noSession("0f")), `{"error":"there is no session \"0f\", or it has ended","no_session":true}`},
	} {
		got, err := json.Marshal(c.v)
		if err != nil || string(got) != c.want {
			t.Errorf("%T: %s, %v\nwant %s", c.v, got, err, c.want)
		}
	}
}

// The command line and the server can be programs of different versions
// between an upgrade and the restart. Whatever they do not understand of each
// other has to say so.
func TestAnotherVersionIsNamed(t *testing.T) {
	answer := func(header string, code int, body string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if header != "" {
				w.Header().Set(protocolHeader, header)
			}
			w.WriteHeader(code)
			_, _ = io.WriteString(w, body)
		})
	}
	for _, c := range []struct {
		name   string
		server http.Handler
		other  bool
	}{
		{"the same", answer(protocol, 200, `{"count":1}`), false},
		{"one that sends no version", answer("", 200, `{"count":1}`), false},
		{"a later one", answer("2", 200, `{"count":1}`), true},
		{"one that lacks the operation", answer("", 404, "404 page not found\n"), true},
	} {
		_, err := serve(t, c.server).Purge(t.Context())
		if errors.Is(err, errOtherVersion) != c.other || !c.other && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}

	a := serve(t, Handler(&Backend{Server: process{}}))
	for name, header := range map[string]string{"a later command line": "2", "one that sends an unknown field": protocol} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://control/health", strings.NewReader(`{"deep":true}`))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set(protocolHeader, header)
		resp, err := a.remote.http.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		var f failure
		err = errors.Join(json.NewDecoder(resp.Body).Decode(&f), resp.Body.Close())
		if err != nil || resp.StatusCode != http.StatusBadRequest || !strings.Contains(f.Error, errOtherVersion.Error()) {
			t.Errorf("%s: %s %+v, %v", name, resp.Status, f, err)
		}
	}
}

// What callers tell apart arrives as what it was.
func TestErrorsKeepTheirKind(t *testing.T) {
	problems := config.Problems{{Key: "listen", Message: "is empty"}}
	for _, want := range []error{ErrNoUser, ErrNoSession, ErrExists, problems, errors.New("anything else")} {
		err := serve(t, Handler(&Backend{Server: process{reload: want}})).Reload(t.Context())
		if err == nil || err.Error() != want.Error() {
			t.Errorf("%v arrives as %v", want, err)
		}
		if got, ok := errors.AsType[config.Problems](err); ok != (want.Error() == problems.Error()) {
			t.Errorf("%v arrives with the problems %v", want, got)
		} else if !ok && want.Error() != "anything else" && !errors.Is(err, want) {
			t.Errorf("%v arrives as another error", want)
		}
	}
	if a := Local(&Backend{}); !errors.Is(a.Reload(t.Context()), ErrNoServer) || !errors.Is(a.Ready(t.Context()), ErrNoServer) || a.Close() != nil {
		t.Error("a server is reloaded or ready where none runs")
	}
	if err := serve(t, Handler(&Backend{Server: process{status: Status{Why: "full"}}})).Ready(t.Context()); err == nil || err.Error() != "full" {
		t.Errorf("not ready: %v", err)
	}
}

// A list is sent while it is read, and its reader can stop it: nobody holds a
// million sessions.
func TestAListIsStreamed(t *testing.T) {
	stopped := make(chan int, 1)
	endless := stream[none, User]{"user.list", func(_ *Backend, ctx context.Context, _ none) iter.Seq2[User, error] {
		return func(yield func(User, error) bool) {
			n := 0
			for ctx.Err() == nil && yield(User{Name: strings.Repeat("a", 100)}, nil) {
				n++
			}
			stopped <- n
		}
	}}
	a := serve(t, endless.handler(nil))
	n := 0
	for _, err := range a.Users(t.Context(), UserQuery{}) {
		if err != nil {
			t.Fatal(err)
		}
		if n++; n == 1000 {
			break
		}
	}
	if made := <-stopped; made < n {
		t.Errorf("%d of %d items were made", made, n)
	}
}

func TestAListThatBreaksOff(t *testing.T) {
	broken := stream[none, User]{"user.list", func(*Backend, context.Context, none) iter.Seq2[User, error] {
		return func(yield func(User, error) bool) {
			if yield(User{Name: "alice"}, nil) {
				yield(User{}, ErrNoUser)
			}
		}
	}}
	cut := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "{\"name\":\"alice\"}\n{\"na")
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	for name, h := range map[string]http.Handler{"by an error": broken.handler(nil), "by its connection": cut} {
		var names []string
		var failed error
		for u, err := range serve(t, h).Users(t.Context(), UserQuery{}) {
			if failed = err; err == nil {
				names = append(names, u.Name)
			}
		}
		if len(names) != 1 || failed == nil || name == "by an error" && !errors.Is(failed, ErrNoUser) {
			t.Errorf("%s: %v, %v", name, names, failed)
		}
	}
}

func TestABackupThatBreaksOff(t *testing.T) {
	a := serve(t, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "10")
		_, _ = io.WriteString(w, "12345")
	}))
	var b bytes.Buffer
	var size int64
	if err := a.Backup(t.Context(), &b, func(n int64) { size = n }); !errors.Is(err, io.ErrUnexpectedEOF) || size != 10 {
		t.Errorf("%q of %d bytes: %v", b.String(), size, err)
	}
}
