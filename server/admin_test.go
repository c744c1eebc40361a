package server

import (
	"bytes"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/internal/boltfile"
	"gatehouse/internal/secret"
	"gatehouse/server/admin"
)

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

func testAdmin(t *testing.T, a *admin.Admin) {
	t.Helper()
	ctx := t.Context()
	hash := admin.Hash(testHash(t))
	if err := a.AddUser(ctx, admin.NewUser{Name: "alice", Hash: hash, Groups: []string{"staff"}}); err != nil {
		t.Fatal(err)
	}
	if err := a.AddUser(ctx, admin.NewUser{Name: "alice", Hash: hash}); !errors.Is(err, admin.ErrExists) {
		t.Errorf("adding twice: %v", err)
	}
	if err := a.AddUser(ctx, admin.NewUser{Name: "mallory", Hash: admin.Hash(secret.New("hunter2"))}); err == nil || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("a password in the place of a hash: %v", err)
	}
	if u, err := a.User(ctx, "alice"); err != nil || u.Source != "database" || u.Disabled || len(u.Groups) != 1 {
		t.Errorf("%+v, %v", u, err)
	}
	if err := a.SetDisabled(ctx, "alice", true); err != nil {
		t.Error(err)
	}
	n := 0
	for u, err := range a.Users(ctx, admin.UserQuery{}) {
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
		"password": a.SetPassword(ctx, admin.NewPassword{Name: "bob", Hash: hash}),
		"delete":   a.DeleteUser(ctx, "bob"),
		"session":  second(a.Session(ctx, "0123456789abcdef")),
		"revoke":   second(a.Revoke(ctx, admin.Revocation{ID: "0123456789abcdef"})),
		"explain":  second(a.Explain(ctx, admin.ExplainRequest{User: "bob", Method: "GET", URL: "/"})),
	} {
		if !errors.Is(err, admin.ErrNotFound) {
			t.Errorf("%s of what is not there: %v", what, err)
		}
	}
	if _, err := a.Revoke(ctx, admin.Revocation{}); err == nil {
		t.Error("nobody said which session, and it was ended")
	}
	if n, err := a.Purge(ctx); n != 0 || err != nil {
		t.Errorf("purge: %d, %v", n, err)
	}
	if e, err := a.Explain(ctx, admin.ExplainRequest{Method: "GET", URL: "http://x/"}); err != nil || e.Decision != "no-route" {
		t.Errorf("explain: %+v, %v", e, err)
	}
	if err := a.DeleteUser(ctx, "alice"); err != nil {
		t.Error(err)
	}
}

func second[A any](_ A, err error) error { return err }

func TestSessionsOverTheControlSocket(t *testing.T) {
	t.Parallel()
	r := start(t, "routes: [{upstream: \"http://127.0.0.1:1\"}]\n")
	c := r.dial()
	if err := c.AddUser(t.Context(), admin.NewUser{Name: "alice", Hash: admin.Hash(testHash(t))}); err != nil {
		t.Fatal(err)
	}
	r.login("alice")
	r.login("alice")
	var ids []string
	for s, err := range c.Sessions(t.Context(), admin.SessionQuery{User: "alice"}) {
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
	if n, err := c.Revoke(t.Context(), admin.Revocation{ID: ids[0]}); n != 1 || err != nil {
		t.Errorf("revoke: %d, %v", n, err)
	}
	if n, err := c.Revoke(t.Context(), admin.Revocation{User: "alice"}); n != 1 || err != nil {
		t.Errorf("revoke the user's: %d, %v", n, err)
	}
	if log := r.log.String(); strings.Count(log, `"msg":"session.revoked"`) != 2 {
		t.Errorf("the audit log has not one event each: %s", log)
	}
}

func TestOneDataDirOneServer(t *testing.T) {
	t.Parallel()
	r := start(t, "")
	_, err := OpenFiles(r.conf, testLogin, slog.New(slog.DiscardHandler))
	if !errors.Is(err, boltfile.ErrLocked) {
		t.Errorf("a second process opens the files: %v", err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if _, err := admin.Dial(t.Context(), r.conf); !errors.Is(err, admin.ErrNoServer) {
		t.Errorf("after the end: %v", err)
	}
}

func TestTheControlSocketIsItsOwnersAlone(t *testing.T) {
	t.Parallel()
	r := start(t, "")
	st, err := os.Stat(filepath.Join(r.conf.DataDir, admin.SocketFile))
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", st.Mode(), err)
	}
	if resp, _ := r.do(http.MethodPost, "/session.list", "{}", nil); resp.StatusCode == http.StatusOK { //nolint:bodyclose // do closes it
		t.Error("visitors reach the control endpoints")
	}
}

func TestSessionQuery(t *testing.T) {
	t.Parallel()
	r := start(t, "routes: [{upstream: \"http://127.0.0.1:1\"}]\n")
	c := r.dial()
	hash := admin.Hash(testHash(t))
	for _, name := range []string{"alice", "bob"} {
		if err := c.AddUser(t.Context(), admin.NewUser{Name: name, Hash: hash}); err != nil {
			t.Fatal(err)
		}
	}
	r.login("alice")
	r.login("alice")
	r.login("bob")
	list := func(q admin.SessionQuery) (ids []string) {
		for s, err := range c.Sessions(t.Context(), q) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, s.ID)
		}
		return ids
	}
	all := list(admin.SessionQuery{})
	if len(all) != 3 || !slices.IsSorted(all) {
		t.Fatalf("%v", all)
	}
	if n, err := c.Count(t.Context()); n != 3 || err != nil {
		t.Errorf("count: %d, %v", n, err)
	}
	for _, q := range []struct {
		name string
		q    admin.SessionQuery
		want int
	}{
		{"user", admin.SessionQuery{User: "alice"}, 2},
		{"source", admin.SessionQuery{Source: "database"}, 3},
		{"other source", admin.SessionQuery{Source: "file"}, 0},
		{"network", admin.SessionQuery{Network: netip.MustParsePrefix("127.0.0.0/8")}, 3},
		{"other network", admin.SessionQuery{Network: netip.MustParsePrefix("::/0")}, 0},
		{"idle", admin.SessionQuery{IdleFor: time.Hour}, 0},
		{"older", admin.SessionQuery{OlderThan: time.Nanosecond}, 3},
		{"limit", admin.SessionQuery{Limit: 2}, 2},
		{"page", admin.SessionQuery{After: all[0], Limit: 1}, 1},
		{"last page", admin.SessionQuery{After: all[2]}, 0},
		{"two", admin.SessionQuery{User: "bob", Source: "database"}, 1},
		{"prefix", admin.SessionQuery{Prefix: all[1]}, 1},
	} {
		if got := list(q.q); len(got) != q.want {
			t.Errorf("%s: %v, want %d of %v", q.name, got, q.want, all)
		}
	}
	if got := list(admin.SessionQuery{After: all[0], Limit: 1}); len(got) != 1 || got[0] != all[1] {
		t.Errorf("the page after %s is %v", all[0], got)
	}
	if u, err := c.User(t.Context(), "alice"); err != nil || u.Sessions == nil || *u.Sessions != 2 {
		t.Errorf("%+v, %v", u, err)
	}
}

func TestChangeUser(t *testing.T) {
	r := start(t, "")
	c := r.dial()
	if err := c.AddUser(t.Context(), admin.NewUser{Name: "alice", Hash: admin.Hash(testHash(t)), Groups: []string{"a", "b"}}); err != nil {
		t.Fatal(err)
	}
	mail, none := "alice@example.com", []string{}
	for _, step := range []struct {
		name string
		c    admin.UserChange
		want admin.User
	}{
		{"address", admin.UserChange{Email: &mail}, admin.User{Email: mail, Groups: []string{"a", "b"}}},
		{"groups", admin.UserChange{AddGroups: []string{"c", "a"}, RemoveGroups: []string{"b"}}, admin.User{Email: mail, Groups: []string{"a", "c"}}},
		{"nothing", admin.UserChange{}, admin.User{Email: mail, Groups: []string{"a", "c"}}},
		{"no groups", admin.UserChange{Groups: &none}, admin.User{Email: mail}},
	} {
		step.c.Name = "alice"
		u, err := c.ChangeUser(t.Context(), step.c)
		if err != nil || u.Email != step.want.Email || !slices.Equal(u.Groups, step.want.Groups) {
			t.Errorf("%s: %+v, %v", step.name, u, err)
		}
	}
	if _, err := c.ChangeUser(t.Context(), admin.UserChange{Name: "nobody", Email: &mail}); !errors.Is(err, admin.ErrNoUser) {
		t.Errorf("%v", err)
	}
	bad := "a\nb"
	if _, err := c.ChangeUser(t.Context(), admin.UserChange{Name: "alice", Email: &bad}); err == nil {
		t.Error("an address with a line break is stored")
	}
	if log := r.log.String(); strings.Count(log, `"msg":"account.changed"`) != 4 {
		t.Errorf("the audit log: %s", log)
	}
}

func TestBackupIsWhole(t *testing.T) {
	r := start(t, "")
	var b bytes.Buffer
	var size int64
	if err := r.dial().Backup(t.Context(), &b, func(n int64) { size = n }); err != nil || size != int64(b.Len()) || size == 0 {
		t.Errorf("%d bytes of %d: %v", b.Len(), size, err)
	}
	if _, _, err := admin.Compact(t.Context(), r.conf, nil); !errors.Is(err, admin.ErrRunning) {
		t.Errorf("compact beside the server: %v", err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if before, after, err := admin.Compact(t.Context(), r.conf, nil); err != nil || after > before || after == 0 {
		t.Errorf("from %d to %d: %v", before, after, err)
	}
	if err := boltfile.Verify(filepath.Join(r.conf.DataDir, admin.DatabaseFile)); err != nil {
		t.Error(err)
	}
}
