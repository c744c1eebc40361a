package secret_test

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"gatehouse/internal/secret"
)

func TestKeysAreMadeOnceForTheirOwnerOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secrets")
	first, err := secret.Keys(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(first) != 1 || len(first[0]) != secret.KeySize {
		t.Fatalf("got %d keys", len(first))
	}
	st, err := os.Stat(path)
	if err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v; want 0600", st.Mode(), err)
	}
	second, err := secret.Keys(path)
	if err != nil || !bytes.Equal(first[0], second[0]) {
		t.Errorf("the second start has another key (%v)", err)
	}
}

func TestTwoFirstStartsAgreeOnOneKey(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secrets")
	keys := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			k, err := secret.Keys(path)
			if err != nil {
				t.Error(err)
				return
			}
			keys[i] = k[0]
		})
	}
	wg.Wait()
	for _, k := range keys[1:] {
		if !bytes.Equal(k, keys[0]) {
			t.Fatal("two starts have different keys")
		}
	}
}

func TestTheFirstKeySigns(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secrets")
	a, b := bytes.Repeat([]byte{1}, 32), bytes.Repeat([]byte{2}, 40)
	text := "# new\n" + base64.StdEncoding.EncodeToString(b) + "\n\n" + base64.StdEncoding.EncodeToString(a)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := secret.Keys(path)
	if err != nil || len(keys) != 2 || !bytes.Equal(keys[0], b) || !bytes.Equal(keys[1], a) {
		t.Errorf("got %x, %v", keys, err)
	}
}

func TestBadKeyFilesAreRefused(t *testing.T) {
	good := base64.StdEncoding.EncodeToString(make([]byte, 32))
	for name, c := range map[string]struct {
		text string
		mode os.FileMode
		want string
	}{
		"others may read": {good, 0o644, "chmod 600"},
		"too short":       {base64.StdEncoding.EncodeToString(make([]byte, 31)), 0o600, "secrets:1: not a key"},
		"no base64":       {good + "\nhunter2-hunter2-hunter2-hunter2-hunter2", 0o600, "secrets:2: not a key"},
		"empty":           {"# nothing\n", 0o600, "holds no key"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "secrets")
			if err := os.WriteFile(path, []byte(c.text), c.mode); err != nil {
				t.Fatal(err)
			}
			_, err := secret.Keys(path)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q in it", err, c.want)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the error shows the key: %v", err)
			}
		})
	}
	link := filepath.Join(t.TempDir(), "secrets")
	if err := os.Symlink("/etc/hostname", link); err != nil {
		t.Fatal(err)
	}
	if _, err := secret.Keys(link); err == nil || !strings.Contains(err.Error(), "no regular file") {
		t.Errorf("a symbolic link: %v", err)
	}
}
