//go:build e2e

package redisstore_test

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"gatehouse/internal/e2e"
	"gatehouse/sessions/redisstore"
	"gatehouse/sessions/storetest"
)

// TestFormat1: see ../testdata/format1/make.go, which has filled the server.
func TestFormat1(t *testing.T) {
	t.Parallel()
	const folder = "testdata/format1"
	server := e2e.StartRedis(t)
	text, err := os.ReadFile(filepath.Join(folder, "redis.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var args []any
		for word := range strings.SplitSeq(strings.TrimSuffix(line, "\n"), "\t") {
			if plain, err := strconv.Unquote(word); err == nil {
				word = plain
			}
			args = append(args, word)
		}
		server.Do(t, args...)
	}
	s, err := redisstore.New(redisstore.Options{URL: server.URL, Timeout: e2e.Patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	storetest.RunFormat1(t, s, folder)
}
