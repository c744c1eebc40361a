//go:build e2e

package pgstore_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"gatehouse/internal/e2e"
	"gatehouse/sessions"
	"gatehouse/sessions/pgstore"
	"gatehouse/sessions/storetest"
)

// aRow returns a store with a record, which the key is of.
func aRow(t *testing.T, url string) (*pgstore.Store, string, sessions.Record) {
	t.Helper()
	s := pgstore.New(openPostgres(t, url))
	key := storetest.Key(1)
	if err := s.Create(t.Context(), key, storetest.Record("alice")); err != nil {
		t.Fatal(err)
	}
	return s, key, storetest.Load(t, s, key)
}

// TestPostgresAnnounces: what any node does is heard; that a session is used,
// which happens all the time, is not.
func TestPostgresAnnounces(t *testing.T) {
	t.Parallel()
	s, key, r := aRow(t, e2e.Postgres(t).URL)
	w := storetest.Watch(t, s)
	w.Await(t, "missed")
	if err := s.Touch(t.Context(), storetest.Key(1), r.Seen, r.Expires, r.Mark); err != nil {
		t.Error(err)
	}
	for _, n := range []int{2, 3} {
		if err := s.Create(t.Context(), storetest.Key(n), r); err != nil {
			t.Error(err)
		}
	}
	if _, err := s.Delete(t.Context(), storetest.Key(2)); err != nil {
		t.Error(err)
	}
	if got := <-w.Heard; got != storetest.Key(2) {
		t.Errorf("first heard %q, want what was deleted", got)
	}
	if err := s.Update(t.Context(), key, r); err != nil {
		t.Error(err)
	}
	w.Await(t, key)
	if gone, err := s.DeleteExpired(t.Context(), r.Expires, 10); len(gone) != 2 || err != nil {
		t.Errorf("DeleteExpired = %v, %v", gone, err)
	}
	heard := map[string]bool{<-w.Heard: true, <-w.Heard: true}
	if !heard[key] || !heard[storetest.Key(3)] {
		t.Errorf("of two that were swept, heard %v", heard)
	}
}

// TestPostgresListensAgain: a listener that was cut off, by whatever means, is
// told that it may have missed something once it hears again.
func TestPostgresListensAgain(t *testing.T) {
	t.Parallel()
	server := e2e.StartPostgres(t)
	d := server.Database(t)
	cutter := e2e.StartCutter(t, server.Addr, "listen ")
	direct, key, r := aRow(t, d.URL)
	w := storetest.Watch(t, pgstore.New(openPostgres(t, cutter.Through(d.URL))))
	w.Await(t, "missed")
	for name, trouble := range map[string]func(){
		"killed by the server": func() {
			d.Do(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query ~ 'LISTEN|listening' AND pid <> pg_backend_pid()")
		},
		"cut on the way":         func() { cutter.Cut() },
		"nothing comes through":  func() { cutter.DeafenUntilNoticed(t) },
		"the server starts anew": func() { server.Stop(t); server.Start(t) },
	} {
		t.Log(name)
		trouble()
		w.Await(t, "missed")
		e2e.Eventually(t, func() error {
			if err := direct.Create(t.Context(), key, r); !errors.Is(err, sessions.ErrExists) {
				return err
			}
			return nil
		})
		if _, err := direct.Delete(t.Context(), key); err != nil {
			t.Error(err)
		}
		w.Await(t, key)
	}
}

func TestCachedPostgresRaces(t *testing.T) {
	t.Parallel()
	url := e2e.Postgres(t).URL
	storetest.RaceCaches(t, pgstore.New(openPostgres(t, url)), pgstore.New(openPostgres(t, url)))
}

// TestPostgresHangs: no call waits for long, and nobody is told that there is
// no session.
func TestPostgresHangs(t *testing.T) {
	t.Parallel()
	server := e2e.StartPostgres(t)
	s, key, r := aRow(t, server.Database(t).URL)
	if usual := s.SetPatience(500 * time.Millisecond); usual != 3*time.Second {
		t.Errorf("a call may take %s, want 3s", usual)
	}
	server.Pause(t)
	begin := time.Now()
	storetest.CouldNotTell(t, "Touch", s.Touch(t.Context(), key, r.Seen, r.Expires, r.Mark))
	storetest.CouldNotTell(t, "Create", s.Create(t.Context(), storetest.Key(2), r))
	_, err := s.Load(t.Context(), key)
	storetest.CouldNotTell(t, "Load", err)
	if took := time.Since(begin); took > e2e.Patience {
		t.Errorf("three calls took %s", took)
	}
	s.SetPatience(e2e.Patience)
	server.Resume(t)
	e2e.Eventually(t, func() error { return s.CheckHealth(t.Context()) })
	storetest.Load(t, s, key)
}

// TestPostgresGone: what was stored is there again afterwards, also when the
// server did not end in peace, and nobody has to start anything anew.
func TestPostgresGone(t *testing.T) {
	t.Parallel()
	server := e2e.StartPostgres(t)
	s, key, r := aRow(t, server.Database(t).URL)
	server.Stop(t)
	for what, err := range storetest.Everything(t.Context(), s, key, r) {
		storetest.CouldNotTell(t, what, err)
	}
	server.Start(t)
	storetest.Unchanged(t, s, key, r)
}

// TestPostgresReadOnly: what exists is read; nothing is half written, and it
// is not ready.
func TestPostgresReadOnly(t *testing.T) {
	t.Parallel()
	d := e2e.Postgres(t)
	s, key, r := aRow(t, d.URL)
	name := d.URL[strings.LastIndex(d.URL, "/")+1 : strings.Index(d.URL, "?")]
	d.Do(t, "ALTER DATABASE "+name+" SET default_transaction_read_only = on")
	d.Do(t, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
	e2e.Eventually(t, func() error { _, err := s.Load(t.Context(), key); return err })
	for what, err := range storetest.Everything(t.Context(), s, key, r) {
		if what != "Load" && what != "List" && what != "Count" {
			storetest.CouldNotTell(t, what, err)
		} else if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	d.Server.Do(t, "postgres", "ALTER DATABASE "+name+" RESET default_transaction_read_only")
	storetest.Unchanged(t, s, key, r)
}

// TestPostgresSweepers: several nodes that sweep at once report each session
// once, and do not wait for each other.
func TestPostgresSweepers(t *testing.T) {
	t.Parallel()
	db := openPostgres(t, e2e.Postgres(t).URL)
	s := pgstore.New(db)
	r := storetest.Record("alice")
	const n = 300
	for i := range n {
		if err := s.Create(t.Context(), storetest.Key(i), r); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	seen := map[string]int{}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for left := n; left > 0; {
				gone, err := s.DeleteExpired(t.Context(), r.Expires, 50)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				for _, e := range gone {
					seen[e.Key]++
				}
				mu.Unlock()
				if left, err = s.Count(t.Context()); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	all.Wait()
	for key, times := range seen {
		if times != 1 {
			t.Errorf("%s was removed %d times", key, times)
		}
	}
	if len(seen) != n {
		t.Errorf("%d sessions were removed, want %d", len(seen), n)
	}
}

// TestPostgresSweepsWhatNobodyUses: a session whose use is being written while
// it is swept is left alone, and the sweep does not wait for it.
func TestPostgresSweepsWhatNobodyUses(t *testing.T) {
	t.Parallel()
	d := e2e.Postgres(t)
	s, key, r := aRow(t, d.URL)
	if err := s.Create(t.Context(), storetest.Key(2), r); err != nil {
		t.Fatal(err)
	}
	other, err := pgx.Connect(t.Context(), d.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = other.Close(context.WithoutCancel(t.Context())) }()
	use := func(sql string, args ...any) {
		t.Helper()
		if _, err := other.Exec(t.Context(), sql, args...); err != nil {
			t.Fatal(err)
		}
	}
	use("BEGIN")
	use("UPDATE gatehouse.sessions SET expires = expires + interval '1 hour' WHERE key = $1", key)
	if gone, err := s.DeleteExpired(t.Context(), r.Expires, 10); err != nil || len(gone) != 1 || gone[0].Key == key {
		t.Errorf("while it is used: %v, %v", gone, err)
	}
	use("COMMIT")
	if gone, err := s.DeleteExpired(t.Context(), r.Expires, 10); err != nil || len(gone) != 0 {
		t.Errorf("afterwards: %v, %v", gone, err)
	}
	storetest.Load(t, s, key)
}
