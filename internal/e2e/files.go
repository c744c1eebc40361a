package e2e

import (
	"os"
	"path/filepath"
	"testing"
)

// CasesDir returns the folder of the case files: tables with a row for each attack
// that some proxy once let through, and the verdict that we want. The environment
// variable GATEHOUSE_CASES names another folder of the same layout.
func CasesDir() string {
	if dir := os.Getenv("GATEHOUSE_CASES"); dir != "" {
		return dir
	}
	return filepath.Join("testdata", "cases")
}

// OpenFolder makes a folder, with mode 0755 and in a parent that other users can
// enter, which is removed at the end of the test.
func OpenFolder(tb testing.TB) string {
	tb.Helper()
	dir, err := os.MkdirTemp("", "docs") //nolint:usetesting // a test's folder lies in one that is closed
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil { //nolint:gosec // nothing in it is secret
		tb.Fatal(err)
	}
	return dir
}

// WriteFile writes a file, and makes the folders around it.
func WriteFile(tb testing.TB, name, text string, mode os.FileMode) {
	tb.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil { //nolint:gosec // below a folder of the test
		tb.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), mode); err != nil {
		tb.Fatal(err)
	}
}
