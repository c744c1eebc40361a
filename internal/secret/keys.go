package secret

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// KeySize is the size in bytes of a key that Keys makes, and the least that
// it reads.
const KeySize = 32

// Keys reads the keys of a file, one in base64 a line; lines that begin with
// # are left out. The first key signs, all verify: to rotate, put a new line
// on top, and take the old ones away when nothing signed with them lives any
// more. When there is no file, it is made with one random key, for its owner
// only.
//
// A file that others may read, that is no regular file, or that holds
// anything else is an error: a key that leaked is worse than no start.
func Keys(path string) ([][]byte, error) {
	keys, err := readKeys(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return keys, err
	}
	if err := writeKey(path); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("make %s: %w", path, err)
	}
	return readKeys(path)
}

func readKeys(path string) ([][]byte, error) {
	st, err := os.Lstat(path)
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("read keys: %s is no regular file", path)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("read keys: others may read or write %s (%#o); chmod 600 it, and put a new key on top if somebody may have read it", path, st.Mode().Perm())
	}
	text, err := os.ReadFile(path) //nolint:gosec // G304: the operator names the file
	if err != nil {
		return nil, fmt.Errorf("read keys: %w", err)
	}
	var keys [][]byte
	for i, line := range strings.Split(string(text), "\n") {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(key) < KeySize {
			return nil, fmt.Errorf("read keys: %s:%d: not a key; write at least %d bytes in base64 (openssl rand -base64 32)", path, i+1, KeySize)
		}
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, fmt.Errorf("read keys: %s holds no key; delete the file to have one made, which signs everybody out", path)
	}
	return keys, nil
}

// writeKey makes the file whole or not at all: a crash must not leave half a
// key behind, and two first starts at once must agree on one.
func writeKey(path string) error {
	key := make([]byte, KeySize)
	rand.Read(key)
	text := "# Keys that sign and seal Gatehouse's sessions: the first signs, all verify.\n" +
		base64.StdEncoding.EncodeToString(key) + "\n"
	f, err := os.CreateTemp(filepath.Dir(path), ".secrets-*") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // it is a second name of the file, or a file that failed
	_, err = f.WriteString(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Link(f.Name(), path); err != nil { // fails when another has been quicker
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes the names in a folder durable. It is boltfile.SyncFolder, which a
// leaf cannot import.
func syncDir(dir string) error {
	d, err := os.Open(dir) //nolint:gosec // G304: the folder that the operator named
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
