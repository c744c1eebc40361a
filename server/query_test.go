package server

import (
	"bytes"
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/config"
	"gatehouse/internal/boltfile"
)

func TestSessionQuery(t *testing.T) {
	r := start(t, "routes: [{upstream: \"http://127.0.0.1:1\"}]\n")
	c := r.dial()
	hash := Hash(testHash(t))
	for _, name := range []string{"alice", "bob"} {
		if err := c.AddUser(t.Context(), NewUser{Name: name, Hash: hash}); err != nil {
			t.Fatal(err)
		}
	}
	r.login("alice")
	r.login("alice")
	r.login("bob")
	list := func(q SessionQuery) (ids []string) {
		for s, err := range c.Sessions(t.Context(), q) {
			if err != nil {
				t.Fatal(err)
			}
			ids = append(ids, s.ID)
		}
		return ids
	}
	all := list(SessionQuery{})
	if len(all) != 3 || !slices.IsSorted(all) {
		t.Fatalf("%v", all)
	}
	if n, err := c.Count(t.Context()); n != 3 || err != nil {
		t.Errorf("count: %d, %v", n, err)
	}
	for _, q := range []struct {
		name string
		q    SessionQuery
		want int
	}{
		{"user", SessionQuery{User: "alice"}, 2},
		{"source", SessionQuery{Source: "database"}, 3},
		{"other source", SessionQuery{Source: "file"}, 0},
		{"network", SessionQuery{Network: netip.MustParsePrefix("127.0.0.0/8")}, 3},
		{"other network", SessionQuery{Network: netip.MustParsePrefix("::/0")}, 0},
		{"idle", SessionQuery{IdleFor: time.Hour}, 0},
		{"older", SessionQuery{OlderThan: time.Nanosecond}, 3},
		{"limit", SessionQuery{Limit: 2}, 2},
		{"page", SessionQuery{After: all[0], Limit: 1}, 1},
		{"last page", SessionQuery{After: all[2]}, 0},
		{"two", SessionQuery{User: "bob", Source: "database"}, 1},
		{"prefix", SessionQuery{Prefix: all[1]}, 1},
	} {
		if got := list(q.q); len(got) != q.want {
			t.Errorf("%s: %v, want %d of %v", q.name, got, q.want, all)
		}
	}
	if got := list(SessionQuery{After: all[0], Limit: 1}); len(got) != 1 || got[0] != all[1] {
		t.Errorf("the page after %s is %v", all[0], got)
	}
	if u, err := c.User(t.Context(), "alice"); err != nil || u.Sessions == nil || *u.Sessions != 2 {
		t.Errorf("%+v, %v", u, err)
	}
}

func TestChangeUser(t *testing.T) {
	r := start(t, "")
	c := r.dial()
	if err := c.AddUser(t.Context(), NewUser{Name: "alice", Hash: Hash(testHash(t)), Groups: []string{"a", "b"}}); err != nil {
		t.Fatal(err)
	}
	mail, none := "alice@example.com", []string{}
	for _, step := range []struct {
		name string
		c    UserChange
		want User
	}{
		{"address", UserChange{Email: &mail}, User{Email: mail, Groups: []string{"a", "b"}}},
		{"groups", UserChange{AddGroups: []string{"c", "a"}, RemoveGroups: []string{"b"}}, User{Email: mail, Groups: []string{"a", "c"}}},
		{"nothing", UserChange{}, User{Email: mail, Groups: []string{"a", "c"}}},
		{"no groups", UserChange{Groups: &none}, User{Email: mail}},
	} {
		step.c.Name = "alice"
		u, err := c.ChangeUser(t.Context(), step.c)
		if err != nil || u.Email != step.want.Email || !slices.Equal(u.Groups, step.want.Groups) {
			t.Errorf("%s: %+v, %v", step.name, u, err)
		}
	}
	if _, err := c.ChangeUser(t.Context(), UserChange{Name: "nobody", Email: &mail}); !errors.Is(err, ErrNoUser) {
		t.Errorf("%v", err)
	}
	bad := "a\nb"
	if _, err := c.ChangeUser(t.Context(), UserChange{Name: "alice", Email: &bad}); err == nil {
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
	if _, _, err := Compact(t.Context(), r.conf, nil); !errors.Is(err, ErrRunning) {
		t.Errorf("compact beside the server: %v", err)
	}
	if err := r.stop(); err != nil {
		t.Fatal(err)
	}
	if before, after, err := Compact(t.Context(), r.conf, nil); err != nil || after > before || after == 0 {
		t.Errorf("from %d to %d: %v", before, after, err)
	}
	if err := boltfile.Verify(filepath.Join(r.conf.DataDir, databaseFile)); err != nil {
		t.Error(err)
	}
}

func TestElsewhere(t *testing.T) {
	for store, want := range map[string]string{"bolt": "", "memory": "", "redis": "redis-cli", "postgres": "pg_dump"} {
		c := config.Defaults()
		c.Session.Store = store
		if err := Elsewhere(c, "backup"); (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", store, err)
		}
	}
}
