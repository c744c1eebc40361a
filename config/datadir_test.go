package config_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gatehouse/config"
)

// Volumes of containers come with modes that the process cannot change: check
// and serve use a folder inside, and say so.
func TestDataDirThatOthersCanWriteTo(t *testing.T) {
	for _, c := range []struct {
		mode   os.FileMode
		inside bool
	}{{0o700, false}, {0o755, false}, {os.ModeSetgid | 0o770, true}, {0o777, true}, {os.ModeSticky | 0o777, true}} {
		dir := filepath.Join(t.TempDir(), "volume")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(dir, c.mode); err != nil {
			t.Fatal(err)
		}
		want := dir
		if c.inside {
			want = filepath.Join(dir, "gatehouse")
		}
		text := []byte("data_dir: " + dir + "\nroutes: [{upstream: \"http://127.0.0.1:9\"}]\n")
		got, err := config.Parse("test.yaml", text)
		if err != nil {
			t.Fatal(err)
		}
		if got.DataDir != want || strings.Contains(got.Warnings.Error(), "data_dir: others can write") != c.inside {
			t.Errorf("mode %s: data_dir is %s, want %s; warnings: %v", c.mode, got.DataDir, want, got.Warnings)
		}
		if !c.inside {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, "gatehouse.db"), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := config.Parse("test.yaml", text); err == nil || !strings.Contains(err.Error(), "where a database lies already") {
			t.Errorf("mode %s, with a database in the open: %v", c.mode, err)
		}
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := config.Parse("test.yaml", []byte("data_dir: "+file+"\nroutes: []\n")); err == nil || !strings.Contains(err.Error(), "is not a folder") {
		t.Errorf("a file as data_dir: %v", err)
	}
}

// A secret that comes from the environment must not stand in the log of a
// container that does not start.
func TestValuesFromTheEnvironmentAreNotTold(t *testing.T) {
	for _, c := range []struct{ value, text string }{
		{"hunter2 and more", "listen: ${GATE_SECRET}\n"},
		{"gopher://hunter2-hunter2", "routes: [{upstream: \"${GATE_SECRET}\"}]\n"},
		{"hunter2", "log: {level: \"${GATE_SECRET}\"}\n"},
		{"hunter2\"\\é" + strings.Repeat("hunter2", 50), "stop: {limit: \"${GATE_SECRET}\"}\n"},
		{"hunter2", "trusted_proxies: [\"${GATE_SECRET}\"]\n"},
	} {
		t.Setenv("GATE_SECRET", c.value)
		_, err := config.Parse("test.yaml", []byte(c.text))
		if err == nil || strings.Contains(err.Error(), "hunter2") || !strings.Contains(err.Error(), "${GATE_SECRET}") {
			t.Errorf("%s: %v", c.text, err)
		}
	}
}
