package postgres_test

import (
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/internal/e2e"
	"gatehouse/internal/postgres"
)

func TestCheck(t *testing.T) {
	for name, env := range map[string]string{"PGSSLMODE": "", "PGHOST": "", "PGDATABASE": "", "PGSERVICE": ""} {
		t.Setenv(name, env)
	}
	ca := e2e.NewCA(t, t.TempDir())
	root := filepath.Join(t.TempDir(), "root.crt")
	ca.WriteRoot(t, root)
	for _, c := range []struct{ name, url, warning, err string }{
		{"loopback in the clear", "postgres://gate@127.0.0.1/gate", "", ""},
		{"localhost", "postgres://gate@localhost:5433/gate?sslmode=disable", "", ""},
		{"IPv6 loopback", "postgres://gate@[::1]/gate", "", ""},
		{"a socket", "postgres:///gate?host=/run/postgresql", "", ""},
		{"verified", "postgres://gate@db.example.com/gate?sslmode=verify-full", "", ""},
		{"verified by an own root", "postgresql://gate@db.example.com/gate?sslmode=verify-full&sslrootcert=" + root, "", ""},
		{"require with a root verifies", "postgres://gate@db.example.com/gate?sslmode=require&sslrootcert=" + root, "", ""},
		{"several hosts", "postgres://gate@a.example.com,b.example.com/gate?sslmode=verify-full&target_session_attrs=read-write", "", ""},
		{"no sslmode", "postgres://gate@db.example.com/gate", "in the clear", ""},
		{"prefer", "postgres://gate@db.example.com/gate?sslmode=prefer", "in the clear", ""},
		{"disable", "postgres://gate@192.0.2.7/gate?sslmode=disable", "in the clear", ""},
		{"require proves nothing", "postgres://gate@db.example.com/gate?sslmode=require", "nobody looks", ""},
		{"one host of two is far", "postgres://gate@127.0.0.1,db.example.com/gate", "in the clear", ""},
		{"no URL", "host=db.example.com", "", "does not begin with postgres://"},
		{"another scheme", "mysql://gate@localhost/gate", "", "does not begin with postgres://"},
		{"a password with a slash", "postgres://gate:a/b@localhost/gate", "", "percent-encoding"},
		{"no database", "postgres://gate@localhost/?sslmode=disable", "", "names no database"},
		{"unknown sslmode", "postgres://gate@localhost/gate?sslmode=perhaps", "", "sslmode"},
		{"a root that is not there", "postgres://gate@localhost/gate?sslmode=verify-full&sslrootcert=/nowhere/ca", "", "sslrootcert"},
		{"a timeout in words", "postgres://gate@localhost/gate?connect_timeout=soon", "", "connect_timeout"},
		{"a pool in words", "postgres://gate@localhost/gate?pool_max_conns=many", "", "pool_"},
	} {
		warning, err := postgres.Check(c.url)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if (warning == "") != (c.warning == "") || !strings.Contains(warning, c.warning) ||
			(text == "") != (c.err == "") || !strings.Contains(text, c.err) {
			t.Errorf("%s: warning %q, error %q; want %q, %q", c.name, warning, text, c.warning, c.err)
		}
	}
}

func FuzzCheck(f *testing.F) {
	for _, s := range []string{
		"postgres://gate:secret@127.0.0.1/gate?sslmode=verify-full", "postgres://a,b/c", "postgres://[::1]:5432/", "", "x", "postgres://%", "postgres:///g?host=/run",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if strings.Contains(s, "service") || strings.Contains(s, "ssl") || strings.Contains(s, "passfile") {
			return // names files of this machine
		}
		warning, err := postgres.Check("postgres://gate:hunter2hunter2@" + s)
		text := warning
		if err != nil {
			text += err.Error()
		}
		if strings.Contains(text, "hunter2hunter2") {
			t.Errorf("%q: %s", s, text)
		}
	})
}
