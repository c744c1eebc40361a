//go:build e2e

package pgstore_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/jackc/pgx/v5"

	"gatehouse/internal/e2e"
	"gatehouse/sessions/pgstore"
	"gatehouse/sessions/storetest"
)

// TestFormat1: see ../testdata/format1/make.go, which has filled the database.
func TestFormat1(t *testing.T) {
	t.Parallel()
	const folder = "testdata/format1"
	url := e2e.Postgres(t).URL
	text, err := os.ReadFile(filepath.Join(folder, "postgres.sql"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	if _, err = c.Exec(t.Context(), string(text), pgx.QueryExecModeSimpleProtocol); err != nil {
		t.Fatal(err)
	}
	if err := c.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	storetest.RunFormat1(t, pgstore.New(openPostgres(t, url)), folder)
}
