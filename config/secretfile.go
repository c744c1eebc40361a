package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"unicode/utf8"

	"gatehouse/internal/value"
)

// readSecret returns the text of a file that holds a secret, without one line
// break at its end. An empty file is an error. The text is never part of an
// error.
func readSecret(path string) (text string, info fs.FileInfo, err error) {
	b, info, err := readSmall(path, MaxScalar)
	if err != nil {
		return "", nil, err
	}
	text = strings.TrimSuffix(string(b), "\n")
	text = strings.TrimSuffix(text, "\r")
	switch {
	case strings.TrimSpace(text) == "":
		return "", nil, fmt.Errorf("the file %s is empty; write the secret into it", quote(path))
	case !utf8.ValidString(text):
		return "", nil, fmt.Errorf("the file %s is not UTF-8 text; write the secret in base64 or hexadecimal digits", quote(path))
	}
	return text, info, nil
}

// readSmall reads a regular file of at most limit bytes; a larger one is an
// error. It never blocks: a named pipe is refused like a folder.
func readSmall(path string, limit value.Size) ([]byte, fs.FileInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) //nolint:gosec // G304: a file that the operator named
	if err != nil {
		return nil, nil, fileError(path, err)
	}
	defer f.Close() //nolint:errcheck // nothing was written
	info, err := f.Stat()
	if err != nil {
		return nil, nil, fileError(path, err)
	}
	if !info.Mode().IsRegular() {
		return nil, nil, fmt.Errorf("%s is not a file; write the path of a file", quote(path))
	}
	b, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err != nil {
		return nil, nil, fileError(path, err)
	}
	if len(b) > int(limit) {
		return nil, nil, fmt.Errorf("the file %s is larger than %v; check the path", quote(path), limit)
	}
	return b, info, nil
}

// fileError returns err as a sentence that says what to do about the file.
func fileError(path string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("there is no file %s; relative paths start at the folder of the configuration", quote(path))
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("the file %s may not be read; give the user that Gatehouse runs as the right to", quote(path))
	}
	if pe, ok := errors.AsType[*fs.PathError](err); ok {
		err = pe.Err
	}
	return fmt.Errorf("the file %s cannot be read: %w; check the path", quote(path), err)
}

// openToOthers reports whether users can read the file who need not. The group
// may read a file that root owns: that is how secrets are given to a service.
func openToOthers(info fs.FileInfo) bool {
	mode := info.Mode().Perm()
	if mode&0o004 != 0 {
		return true
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	return mode&0o040 != 0 && (!ok || st.Uid != 0)
}
