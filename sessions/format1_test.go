package sessions_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
	"testing"

	"gatehouse/internal/boltfile"
	"gatehouse/sessions"
	"gatehouse/sessions/storetest"
)

// TestFormat1: see testdata/format1/make.go, which has made the file.
func TestFormat1(t *testing.T) {
	const folder = "testdata/format1"
	packed, err := os.ReadFile(filepath.Join(folder, "gatehouse.db.gz"))
	check(t, err)
	z, err := gzip.NewReader(bytes.NewReader(packed))
	check(t, err)
	file, err := io.ReadAll(z)
	check(t, err)
	path := filepath.Join(t.TempDir(), "gatehouse.db")
	check(t, os.WriteFile(path, file, 0o600)) //nolint:gosec // G703: a folder of the test's own
	db, err := boltfile.Open(path)
	check(t, err)
	t.Cleanup(func() { _ = db.Close() })
	store, err := sessions.NewBolt(db)
	check(t, err)
	storetest.RunFormat1(t, store, folder)
}

func check(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}
