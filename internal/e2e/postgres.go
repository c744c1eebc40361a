package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"gatehouse/internal/freeport"

	"github.com/jackc/pgx/v5"
)

// A PostgresServer is a PostgreSQL server of the newest version that Debian has
// installed. PostgreSQL refuses to run as root: when the test does, the server
// runs as the user postgres or nobody.
type PostgresServer struct {
	Addr string // host:port
	Dir  string // holds the data and the unix socket

	bin    string
	owner  *syscall.Credential // nil: the user of the test
	env    []string
	watch  *os.File // the server ends when this is closed; nil: it does not run
	ended  chan struct{}
	output lockedBuffer
}

// A PostgresDB is a database of one test, empty at first.
type PostgresDB struct {
	Server *PostgresServer
	URL    string // for session.postgres.url
}

// sharedPostgres starts the server of Postgres once.
var sharedPostgres = sync.OnceValues(func() (*PostgresServer, error) {
	dir, err := os.MkdirTemp("", "pg")
	if err != nil {
		return nil, err
	}
	s := &PostgresServer{Dir: dir}
	s.env = append(os.Environ(), "REMOVE="+dir)
	return s, s.create()
})

// lastDatabase counts the databases.
var lastDatabase atomic.Int64

// Postgres returns an empty database on a server that all tests of the process
// share, for tests that do not stop or change the server. It ends with the process,
// even if that is killed.
func Postgres(tb testing.TB) *PostgresDB {
	tb.Helper()
	s, err := sharedPostgres()
	if err != nil {
		tb.Fatal(err)
	}
	return s.Database(tb)
}

// StartPostgres starts a server for one test, which may stop it.
func StartPostgres(tb testing.TB) *PostgresServer {
	tb.Helper()
	dir, err := os.MkdirTemp("", "pg") //nolint:usetesting // another user has to get there, and sockets have short names
	if err != nil {
		tb.Fatal(err)
	}
	s := &PostgresServer{Dir: dir}
	if err := s.create(); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		s.signal(syscall.SIGCONT)
		s.Stop(tb)
		_ = os.RemoveAll(dir)
		if tb.Failed() {
			tb.Logf("log of postgres at %s:\n%s", s.Addr, tail(s.output.String(), 2<<10))
		}
	})
	return s
}

// create initializes the data folder and starts the server.
func (s *PostgresServer) create() (err error) {
	if s.bin, err = findPostgres(); err != nil {
		return err
	}
	if os.Getuid() == 0 {
		if s.owner, err = somebody(); err != nil {
			return err
		}
		if err := os.Chown(s.Dir, int(s.owner.Uid), int(s.owner.Gid)); err != nil {
			return err
		}
	}
	cmd := s.command("initdb", "--pgdata", s.data(), "--username", "gate", "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync", "--no-instructions")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	return s.start()
}

func (s *PostgresServer) data() string { return filepath.Join(s.Dir, "data") }

// findPostgres returns the folder of the newest version's programs.
func findPostgres() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if err != nil || len(found) == 0 {
		return "", errors.New("there is no /usr/lib/postgresql/*/bin/initdb; .ci/setup installs it")
	}
	number := func(path string) int { n, _ := strconv.Atoi(strings.Split(path, "/")[4]); return n }
	return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return number(a) - number(b) })), nil
}

// somebody returns the user of a server that root starts.
func somebody() (*syscall.Credential, error) {
	for _, name := range []string{"postgres", "nobody"} {
		if u, err := user.Lookup(name); err == nil {
			uid, _ := strconv.ParseUint(u.Uid, 10, 32)
			gid, _ := strconv.ParseUint(u.Gid, 10, 32)
			return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
		}
	}
	return nil, errors.New("there is no user postgres or nobody to run PostgreSQL as")
}

func (s *PostgresServer) command(name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(context.Background(), filepath.Join(s.bin, name), args...) //nolint:gosec // Debian's
	cmd.Dir = s.Dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	return cmd
}

// keeper is a shell script that runs its arguments until its standard input is
// closed, which happens at the latest when the test process ends. It then ends
// the server, and removes the folder REMOVE if that is set.
const keeper = `"$@" & read -r _; kill -CONT $! 2>/dev/null; kill -QUIT $! 2>/dev/null; wait $!; [ -z "$REMOVE" ] || rm -rf "$REMOVE"`

// start starts the server and waits until it answers.
func (s *PostgresServer) start() error {
	if s.Addr == "" {
		addr, _, err := freeport.Reserve() // until the tests end
		if err != nil {
			return err
		}
		s.Addr = addr
	}
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer r.Close()                                                                     //nolint:errcheck // the child has its own
	cmd := exec.CommandContext(context.Background(), "/bin/sh", "-c", keeper, "keeper", //nolint:gosec // Debian's
		filepath.Join(s.bin, "postgres"), "-D", s.data(), "-k", s.Dir, "-p", portOf(s.Addr), "-c", "listen_addresses=127.0.0.1",
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=200", "-c", "shared_buffers=32MB", "-c", "log_min_messages=fatal",
		"-c", "max_wal_size=256MB", "-c", "jit=off")
	cmd.Dir = s.Dir
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = s.env, r, &s.output, &s.output
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: s.owner}
	if err := cmd.Start(); err != nil {
		return errors.Join(err, w.Close())
	}
	s.watch, s.ended = w, make(chan struct{})
	go func(ended chan struct{}) { _ = cmd.Wait(); close(ended) }(s.ended)
	for deadline := time.Now().Add(Patience); ; time.Sleep(10 * time.Millisecond) {
		err := s.do("postgres", "SELECT 1")
		if err == nil {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("postgres does not answer: %w\n%s", err, s.output.String())
		}
	}
}

// URL returns the URL of a database over TCP, for session.postgres.url.
func (s *PostgresServer) URL(database string) string {
	return "postgres://gate:p%40ss-of-gate@" + s.Addr + "/" + database + "?sslmode=disable"
}

// Database makes an empty database. It is never dropped.
func (s *PostgresServer) Database(tb testing.TB) *PostgresDB {
	tb.Helper()
	name := fmt.Sprintf("test%d", lastDatabase.Add(1))
	s.Do(tb, "postgres", "CREATE DATABASE "+name)
	return &PostgresDB{Server: s, URL: s.URL(name)}
}

// Do runs a statement in the database as a superuser, who may write even when the
// server is read-only.
func (s *PostgresServer) Do(tb testing.TB, database, sql string) {
	tb.Helper()
	if err := s.do(database, sql); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
}

func (s *PostgresServer) do(database, sql string) error {
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	c, err := pgx.Connect(ctx, s.URL(database)+"&default_transaction_read_only=off")
	if err != nil {
		return err
	}
	defer c.Close(ctx) //nolint:errcheck // nothing is left to do
	_, err = c.Exec(ctx, sql)
	return err
}

// Do runs a statement in the database.
func (d *PostgresDB) Do(tb testing.TB, sql string) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	defer cancel()
	c, err := pgx.Connect(ctx, d.URL)
	if err != nil {
		tb.Fatal(err)
	}
	defer c.Close(ctx) //nolint:errcheck // nothing is left to do
	if _, err := c.Exec(ctx, sql); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
}

// Stop ends the server at once, as a crash would. After Start, everything that was
// committed is there again.
func (s *PostgresServer) Stop(tb testing.TB) {
	tb.Helper()
	if s.watch == nil {
		return
	}
	_ = s.watch.Close()
	s.watch = nil
	select {
	case <-s.ended:
	case <-time.After(Patience):
		tb.Errorf("postgres does not end:\n%s", s.output.String())
	}
}

// Start starts the server again after Stop.
func (s *PostgresServer) Start(tb testing.TB) {
	tb.Helper()
	if err := s.start(); err != nil {
		tb.Fatal(err)
	}
}

// Pause stops every process of the server without ending it (SIGSTOP):
// connections stay open, and nothing answers until Resume.
func (s *PostgresServer) Pause(tb testing.TB) { tb.Helper(); s.mustSignal(tb, syscall.SIGSTOP) }

// Resume continues paused processes.
func (s *PostgresServer) Resume(tb testing.TB) { tb.Helper(); s.mustSignal(tb, syscall.SIGCONT) }

func (s *PostgresServer) mustSignal(tb testing.TB, sig syscall.Signal) {
	tb.Helper()
	if s.signal(sig) == 0 {
		tb.Fatalf("no process of postgres to send %s to", sig)
	}
}

// signal sends a signal to the server and its children, each of which is a process
// group of its own, and returns how many received it.
func (s *PostgresServer) signal(sig syscall.Signal) (sent int) {
	text, err := os.ReadFile(filepath.Join(s.data(), "postmaster.pid"))
	if err != nil {
		return 0
	}
	first, _, _ := strings.Cut(string(text), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		return 0
	}
	list := []int{pid}
	children, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0
	}
	for child := range strings.FieldsSeq(string(children)) {
		if n, err := strconv.Atoi(child); err == nil {
			list = append(list, n)
		}
	}
	for _, pid := range list {
		if syscall.Kill(pid, sig) == nil {
			sent++
		}
	}
	return sent
}

// ReadOnly makes all new transactions read-only, as on a server that has become a
// replica, or ends that.
func (s *PostgresServer) ReadOnly(tb testing.TB, on bool) {
	tb.Helper()
	s.Do(tb, "postgres", fmt.Sprintf("ALTER SYSTEM SET default_transaction_read_only = %t", on))
	s.Do(tb, "postgres", "SELECT pg_reload_conf()")
}

// A lockedBuffer is a bytes.Buffer that may be read while a process writes to it.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

// Write appends p.
func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

// String returns what was written so far.
func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
