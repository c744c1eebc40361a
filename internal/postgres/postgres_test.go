//go:build e2e

package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/e2e"
	"gatehouse/internal/postgres"
)

// open opens the database until the end of the test.
func open(tb testing.TB, url string) *postgres.DB {
	tb.Helper()
	db, err := postgres.Open(postgres.Options{URL: url})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return db
}

// number gives the only column of the only row.
func number(tb testing.TB, db *postgres.DB, sql string) (n int) {
	tb.Helper()
	if err := db.Query(tb.Context(), func(row postgres.Row) error { return row.Scan(&n) }, sql); err != nil {
		tb.Fatalf("%s: %v", sql, err)
	}
	return n
}

func TestSchemaIsMadeOnce(t *testing.T) {
	t.Parallel()
	url := e2e.Postgres(t).URL
	const versions = "SELECT count(*) FROM gatehouse.versions"
	first := number(t, open(t, url), versions)
	if again := number(t, open(t, url), versions); first < 1 || again != first {
		t.Errorf("%d versions, then %d", first, again)
	}
}

func TestSchemaByManyNodesAtOnce(t *testing.T) {
	t.Parallel()
	url := e2e.Postgres(t).URL
	var nodes []*postgres.DB
	for range 8 {
		nodes = append(nodes, open(t, url))
	}
	var wg sync.WaitGroup
	for _, db := range nodes {
		wg.Go(func() {
			if err := db.Prepare(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	number(t, nodes[0], "SELECT count(*) FROM gatehouse.sessions")
}

// TestNewerSchemaIsRefused: what a newer program has changed, this one would
// misread.
func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	d := e2e.Postgres(t)
	if err := open(t, d.URL).Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	d.Do(t, "INSERT INTO gatehouse.versions (version) VALUES (999)")
	err := open(t, d.URL).Prepare(t.Context())
	if !errors.Is(err, postgres.ErrUnfit) || !strings.Contains(err.Error(), "has version 999") || !strings.Contains(err.Error(), "start the newer program") {
		t.Errorf("a newer schema: %v", err)
	}
}

// TestOtherEncodingIsRefused: names would not be what they are.
func TestOtherEncodingIsRefused(t *testing.T) {
	t.Parallel()
	d := e2e.Postgres(t)
	name := "latin" + d.URL[strings.LastIndex(d.URL, "/test")+5:strings.Index(d.URL, "?")]
	d.Do(t, "CREATE DATABASE "+name+" ENCODING 'LATIN1' TEMPLATE template0")
	err := open(t, d.Server.URL(name)).Prepare(t.Context())
	if !errors.Is(err, postgres.ErrUnfit) || !strings.Contains(err.Error(), "LATIN1") {
		t.Errorf("a database in LATIN1: %v", err)
	}
}

// TestSchemaOfAnAdministrator: a user who may make no schemas uses the one that
// was made for them, in a database where others have theirs.
func TestSchemaOfAnAdministrator(t *testing.T) {
	t.Parallel()
	d := e2e.Postgres(t)
	role := "poor" + d.URL[strings.LastIndex(d.URL, "/test")+5:strings.Index(d.URL, "?")]
	d.Do(t, "CREATE ROLE "+role+" LOGIN")
	d.Do(t, "CREATE TABLE public.sessions (somebody_elses int)")
	poor := open(t, strings.Replace(d.URL, "gate:p%40ss-of-gate@", role+"@", 1))
	if err := poor.Prepare(t.Context()); err == nil || errors.Is(err, postgres.ErrUnfit) {
		t.Errorf("without a right to make schemas: %v", err)
	}
	d.Do(t, "CREATE SCHEMA gatehouse AUTHORIZATION "+role)
	if err := poor.Prepare(t.Context()); err != nil {
		t.Errorf("with a schema of its own: %v", err)
	}
}

// TestReadOnlyDatabase: a schema that is up to date needs no write, and what
// was written to in vain is tried elsewhere.
func TestReadOnlyDatabase(t *testing.T) {
	t.Parallel()
	d := e2e.Postgres(t)
	if err := open(t, d.URL).Prepare(t.Context()); err != nil {
		t.Fatal(err)
	}
	name := d.URL[strings.LastIndex(d.URL, "/")+1 : strings.Index(d.URL, "?")]
	d.Do(t, "ALTER DATABASE "+name+" SET default_transaction_read_only = on")
	db := open(t, d.URL)
	number(t, db, "SELECT count(*) FROM gatehouse.sessions")
	const write = "DELETE FROM gatehouse.sessions"
	if _, err := db.Exec(t.Context(), write); err == nil {
		t.Error("a read-only database was written to")
	}
	d.Server.Do(t, "postgres", "ALTER DATABASE "+name+" RESET default_transaction_read_only")
	e2e.Eventually(t, func() error { _, err := db.Exec(t.Context(), write); return err })
}

// TestServerThatComesLater: it is opened without, and heals by itself.
func TestServerThatComesLater(t *testing.T) {
	t.Parallel()
	server := e2e.StartPostgres(t)
	url := server.Database(t).URL
	server.Stop(t)
	db := open(t, url)
	if err := db.Prepare(t.Context()); err == nil || errors.Is(err, postgres.ErrUnfit) {
		t.Errorf("without a server: %v", err)
	}
	listening := make(chan struct{}, 100)
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { db.Listen(ctx, "test", func(string) {}, func() { listening <- struct{}{} }) })
	defer wg.Wait()
	defer cancel()
	server.Start(t)
	receive(t, "it listens", listening) // and has made the schema, though nobody asked
	number(t, db, "SELECT count(*) FROM gatehouse.sessions")

	server.Pause(t)
	begin, quick := time.Now(), time.Second
	hurried, stop := context.WithTimeout(t.Context(), quick)
	defer stop()
	if _, err := db.Exec(hurried, "SELECT 1"); err == nil {
		t.Error("a server that hangs has answered")
	}
	if took := time.Since(begin); took > 5*quick {
		t.Errorf("a server that hangs was waited for %s, not %s", took, quick)
	}
	for len(listening) > 0 {
		<-listening
	}
	server.Resume(t)
	e2e.Eventually(t, func() error { _, err := db.Exec(t.Context(), "SELECT 1"); return err })
}

func receive[T any](tb testing.TB, what string, c <-chan T) (v T) {
	tb.Helper()
	select {
	case v = <-c:
	case <-time.After(e2e.Patience):
		tb.Fatalf("not after %s: %s", e2e.Patience, what)
	}
	return v
}

func TestListen(t *testing.T) {
	t.Parallel()
	d := e2e.Postgres(t)
	db := open(t, d.URL)
	heard, missed := make(chan string, 100), make(chan struct{}, 100)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		db.Listen(ctx, "news of \"us\"", func(s string) { heard <- s }, func() { missed <- struct{}{} })
	}()
	receive(t, "missed at the beginning", missed)
	say := func(text string) {
		t.Helper()
		if _, err := db.Exec(t.Context(), "SELECT pg_notify($1, $2)", "news of \"us\"", text); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, text, heard); got != text {
			t.Errorf("heard %q, want %q", got, text)
		}
	}
	say("one")
	say("two of Zoë")
	for round := range 3 {
		d.Do(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ 'LISTEN|listening' AND datname = current_database() AND pid <> pg_backend_pid()")
		receive(t, "missed after a lost connection", missed)
		say(fmt.Sprint("again ", round))
	}
	cancel()
	receive(t, "Listen returns", ended)
}

// TestPasswordStaysSecret: no error says the password.
func TestPasswordStaysSecret(t *testing.T) {
	t.Parallel()
	const password = "hunter2"
	for _, url := range []string{
		"postgres://gate:" + password + "@127.0.0.1:1/gate",
		"postgres://gate:" + password + "/@127.0.0.1:1/gate",
		"postgres://gate:" + password + "@127.0.0.1:port/gate",
		"postgres://gate:%zz" + password + "@127.0.0.1:1/gate",
		"postgres://gate@127.0.0.1:1/gate?password=" + password + "&sslmode=perhaps",
		"postgres://gate@127.0.0.1:1/gate?sslrootcert=/" + password + "&sslmode=verify-full",
		"postgres:// gate:" + password + "@127.0.0.1:1/gate",
		"mysql://gate:" + password + "@127.0.0.1:1/gate",
		"host=127.0.0.1 password=" + password,
		password,
	} {
		var err error
		if db, openErr := postgres.Open(postgres.Options{URL: url}); openErr == nil {
			err = db.Prepare(t.Context())
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		} else {
			err = openErr
		}
		_, checked := postgres.Check(url)
		if err == nil || strings.Contains(fmt.Sprint(err, checked), password) {
			t.Errorf("%s: %v; %v", url, err, checked)
		}
	}
}

func ExampleDB() {
	db, err := postgres.Open(postgres.Options{URL: "postgres://gate@127.0.0.1:1/gate?sslmode=disable"})
	if err != nil {
		fmt.Println(err)
		return
	}
	n, err := db.Exec(context.Background(), "DELETE FROM gatehouse.sessions")
	fmt.Println(n, err != nil) // nobody listens there
	fmt.Println(db.Close())
	// Output:
	// 0 true
	// <nil>
}
