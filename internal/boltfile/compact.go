package boltfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

const (
	// compactName is the name of the new file while it is made. A crash leaves it
	// behind, and the next Compact replaces it.
	compactName = ".gatehouse-compact.db"
	compactTx   = 8 << 20 // bytes that one transaction of Compact writes
)

// Compact rewrites the file without its free pages, and returns its size before and after in
// bytes. making, which may be nil, is called with the name of the new file before that is
// created.
//
// Compact returns ErrLocked if another process has the file open. The new file replaces the
// old one atomically, after it has been completed, synced and verified. If anything fails
// before that, the old file is unchanged and the new one is removed.
func Compact(path string, making func(temp string)) (before, after int64, err error) {
	if _, err := os.Lstat(path); err != nil { // Open would make it
		return 0, 0, err
	}
	db, err := Open(path)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, db.Close()) }() // last: until then nobody opens the old file
	temp := filepath.Join(filepath.Dir(path), compactName)
	if err := os.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return 0, 0, err
	}
	if making != nil {
		making(temp)
	}
	info, err := os.Stat(path)
	if err != nil {
		return 0, 0, err
	}
	if after, err = rewrite(db, temp); err == nil {
		err = os.Rename(temp, path)
	}
	if err != nil {
		return 0, 0, fmt.Errorf("compact %s: %w", path, errors.Join(err, removeIfThere(temp)))
	}
	return info.Size(), after, SyncFolder(path)
}

// rewrite copies every bucket of db into the new file temp. When it returns without an error,
// that file is synced and verified. size is its size in bytes.
func rewrite(db *bbolt.DB, temp string) (size int64, err error) {
	f, err := os.OpenFile(temp, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600) //nolint:gosec // beside the operator's file
	if err != nil {
		return 0, err
	}
	if err := f.Close(); err != nil {
		return 0, err
	}
	o := options()
	o.NoSync, o.NoGrowSync = true, true // once, at the end
	next, err := bbolt.Open(temp, 0o600, o)
	if err != nil {
		return 0, err
	}
	if err = copyBuckets(next, db); err == nil {
		size, err = sizeOf(next)
	}
	if err = errors.Join(err, next.Close()); err != nil {
		return 0, err
	}
	if err := cut(temp, size); err != nil {
		return 0, err
	}
	return size, Verify(temp)
}

// copyBuckets is bbolt's Compact for a file that may be damaged.
func copyBuckets(to, from *bbolt.DB) (err error) {
	defer guard(&err)()
	return bbolt.Compact(to, from, compactTx)
}

// sizeOf returns how many bytes of the file are in use.
func sizeOf(db *bbolt.DB) (size int64, err error) {
	err = View(db, func(tx *bbolt.Tx) error {
		size = tx.Size()
		return nil
	})
	return size, err
}

// cut truncates the file to size, since bbolt reserves space beyond its end, and syncs it.
func cut(path string, size int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0) //nolint:gosec // beside the operator's file
	if err != nil {
		return err
	}
	return errors.Join(f.Truncate(size), f.Sync(), f.Close())
}

// removeIfThere removes the file. A missing file is no error.
func removeIfThere(path string) error {
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
