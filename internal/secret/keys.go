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

// KeySize is the size in bytes of a key that Keys makes, and of the shortest that it
// accepts.
const KeySize = 32

// Keys returns the keys in a file: one a line in base64, in their order. Empty lines, and
// those that begin with #, are ignored. The first key signs, all verify. To rotate keys,
// a new one is put on top, and an old one removed when nothing that it signed is valid
// any more. If the file does not exist, it is created with one random key, for its
// owner only (mode 0600).
//
// It is an error if others may read or write the file, if it is no regular file, or if
// it holds no key or anything else: it is better not to start than to use a key that
// may have leaked. The errors name the remedy.
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

// writeKey creates the file with a random key, completely or not at all: a crash must not
// leave half a key, and of two processes that start at once one must win. The error is
// fs.ErrExist if the file is there.
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
	if err := os.Link(f.Name(), path); err != nil { // unlike Rename, it never replaces a file
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
