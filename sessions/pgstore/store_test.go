//go:build e2e

package pgstore_test

import (
	"testing"
	"time"

	"gatehouse/internal/e2e"
	"gatehouse/internal/postgres"
	"gatehouse/sessions"
	"gatehouse/sessions/pgstore"
	"gatehouse/sessions/storetest"
)

// openPostgres opens the database until the end of the test.
func openPostgres(tb testing.TB, url string) *postgres.DB {
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
	if err := db.Prepare(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return db
}

// emptyPostgres returns a store without any record in it.
func emptyPostgres(tb testing.TB, db *postgres.DB) *pgstore.Store {
	tb.Helper()
	if _, err := db.Exec(tb.Context(), "DELETE FROM gatehouse.sessions"); err != nil {
		tb.Fatal(err)
	}
	return pgstore.New(db)
}

func TestPostgres(t *testing.T) {
	t.Parallel()
	db := openPostgres(t, e2e.Postgres(t).URL)
	storetest.RunServer(t, func(t *testing.T, now func() time.Time) sessions.Store {
		t.Helper()
		s := emptyPostgres(t, db)
		s.SetClock(now)
		return s
	})
}
