package e2e

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Cases reads a table of testdata/cases, or of the folder GATEHOUSE_CASES with
// the same files and other rows. It returns one map by column for each row.
func Cases(tb testing.TB, file string) []map[string]string {
	tb.Helper()
	folder := os.Getenv("GATEHOUSE_CASES")
	if folder == "" {
		folder = filepath.Join("testdata", "cases")
		for range 4 { // up to the root of the module
			if _, err := os.Stat(folder); err == nil {
				break
			}
			folder = filepath.Join("..", folder)
		}
	}
	b, err := os.ReadFile(filepath.Join(folder, file)) //nolint:gosec // G304: a folder that the tester chose
	if err != nil {
		tb.Fatal(err)
	}
	lines := strings.Split(strings.TrimRight(string(b), "\n"), "\n")
	columns := strings.Split(lines[0], "\t")
	var list []map[string]string
	for _, line := range lines[1:] {
		row := make(map[string]string, len(columns))
		for i, v := range strings.Split(line, "\t") {
			if i < len(columns) {
				row[columns[i]] = v
			}
		}
		list = append(list, row)
	}
	if len(list) == 0 {
		tb.Fatalf("%s has no rows", file)
	}
	return list
}
