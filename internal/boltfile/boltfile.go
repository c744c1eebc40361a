// Package boltfile opens gatehouse.db, the embedded file: with the rights
// that a file of secrets needs, for one process at a time, and only when it is
// whole. Each room has its own buckets in it.
//
// bbolt panics, or faults, on a damaged file. View and Update give an error
// instead, so rooms use these.
package boltfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// What Open says besides failures of the file system.
var (
	ErrLocked  = errors.New("another gatehouse runs on this file")
	ErrDamaged = errors.New("the file is damaged")
	ErrNewer   = errors.New("the file was written by a newer gatehouse")

	errReplaced = errors.New("another file has taken its place")
)

const (
	lockTime = 2 * time.Second
	lockTry  = 20 * time.Millisecond

	// schema is the version of what is in the file. A file of an older one
	// is migrated when it is opened, see migrations.
	schema = 1
)

var (
	bucketMeta = []byte("gatehouse")
	keySchema  = []byte("schema")
)

// migrations lead from schema n+1 to n+2.
var migrations = []func(*bbolt.Tx) error{}

// Open opens the file, and makes it if there is none. It waits up to two
// seconds for another process that is about to end: then ErrLocked.
//
// The file must be a regular one that nobody but its owner may read. One that
// is cut off, empty or damaged is refused with ErrDamaged: there is no
// starting anew by accident, which would forget who was logged out.
func Open(path string) (*bbolt.DB, error) {
	if err := create(path); err != nil {
		return nil, fmt.Errorf("create %s: %w", path, err)
	}
	db, err := open(path)
	for errors.Is(err, errReplaced) {
		db, err = open(path)
	}
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	if err := begin(db); err != nil {
		_ = db.Close() // the first error says more
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	return db, nil
}

// create makes the file if there is none. It appears whole, or not at all: a
// file without content is one that has lost it.
func create(path string) error {
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".gatehouse-*.db") // mode 0600
	if err != nil {
		return err
	}
	temp := f.Name()
	defer func() { _ = os.Remove(temp) }()
	if err := f.Close(); err != nil {
		return err
	}
	db, err := bbolt.Open(temp, 0o600, options())
	if err != nil {
		return err
	}
	if err := errors.Join(db.Update(mark), db.Close()); err != nil {
		return err
	}
	if err := os.Link(temp, path); err != nil && !errors.Is(err, fs.ErrExist) {
		if err := os.Rename(temp, path); err != nil { // a file system without links
			return err
		}
	}
	return SyncFolder(path)
}

func options() *bbolt.Options {
	// The other type of freelist, a map, sorts all free pages at each commit: after
	// half of a million sessions had been removed, sign-ins were four times slower.
	return &bbolt.Options{FreelistType: bbolt.FreelistArrayType, Timeout: lockTime, NoStatistics: true}
}

// open locks and looks before bbolt maps the file into memory.
func open(path string) (db *bbolt.DB, err error) {
	var file *os.File
	defer func() {
		if db == nil && file != nil {
			_ = file.Close() // unless bbolt has; it has not where it panicked
		}
	}()
	defer guard(&err)()
	o := options()
	o.OpenFile = func(name string, flag int, mode os.FileMode) (*os.File, error) {
		//nolint:gosec // the operator names the file
		if file, err = os.OpenFile(name, flag&^os.O_CREATE|unix.O_NOFOLLOW, mode); err != nil {
			if errors.Is(err, syscall.ELOOP) {
				return nil, errors.New("it is a symbolic link; name the file itself")
			}
			return nil, err
		}
		return file, errors.Join(private(file, name), lock(file), same(file, name), whole(file))
	}
	return bbolt.Open(path, 0o600, o)
}

// private refuses a file that is not its owner's alone.
func private(f *os.File, name string) error {
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("it is not a regular file")
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("others may read or write it (mode %04o); run: chmod 600 %s", info.Mode().Perm(), name)
	}
	return nil
}

// lock takes the lock that bbolt takes again afterwards: until we have it,
// another process may be writing what whole is about to read.
func lock(f *os.File) error {
	deadline := time.Now().Add(lockTime)
	for {
		err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, unix.EWOULDBLOCK) && !errors.Is(err, unix.EINTR):
			return fmt.Errorf("lock: %w", err)
		case time.Now().After(deadline):
			return ErrLocked
		}
		<-time.After(lockTry)
	}
}

// same refuses a file that has lost its name while we waited for the lock:
// Compact has put another in its place, and what is written to this one is
// gone.
func same(f *os.File, name string) error {
	locked, err := f.Stat()
	if err != nil {
		return err
	}
	named, err := os.Lstat(name)
	if err != nil {
		return err
	}
	if !os.SameFile(locked, named) {
		return errReplaced
	}
	return nil
}

// begin reads the version of the schema, and leads an older file to the
// present one.
func begin(db *bbolt.DB) error {
	var have uint64
	err := View(db, func(tx *bbolt.Tx) (err error) {
		have, err = version(tx)
		return err
	})
	if err != nil || have == schema {
		return err
	}
	return Update(db, func(tx *bbolt.Tx) error {
		for _, migrate := range migrations[have-1:] {
			if err := migrate(tx); err != nil {
				return fmt.Errorf("update it from version %d to %d: %w", have, schema, err)
			}
		}
		return mark(tx)
	})
}

// version gives a version that this gatehouse can read, or says why not.
func version(tx *bbolt.Tx) (uint64, error) {
	b := tx.Bucket(bucketMeta)
	if b == nil {
		return 0, errors.New("it is not a file of gatehouse")
	}
	raw := b.Get(keySchema)
	if len(raw) != 8 {
		return 0, fmt.Errorf("%w: there is no version in it", ErrDamaged)
	}
	switch v := binary.BigEndian.Uint64(raw); {
	case v == 0:
		return 0, fmt.Errorf("%w: its version is 0", ErrDamaged)
	case v > schema:
		return 0, fmt.Errorf("%w: its version is %d, this one reads up to %d; run the newer one, or restore the backup from before the update", ErrNewer, v, schema)
	default:
		return v, nil
	}
}

// mark writes the version of the schema.
func mark(tx *bbolt.Tx) error {
	b, err := tx.CreateBucketIfNotExists(bucketMeta)
	if err != nil {
		return err
	}
	return b.Put(keySchema, binary.BigEndian.AppendUint64(nil, schema))
}

// View is bbolt's View for a file that may be damaged: then the error is
// ErrDamaged.
func View(db *bbolt.DB, f func(*bbolt.Tx) error) (err error) {
	defer guard(&err)()
	return db.View(f)
}

// Update is bbolt's Update for a file that may be damaged: then the error is
// ErrDamaged, and nothing is written.
func Update(db *bbolt.DB, f func(*bbolt.Tx) error) (err error) {
	defer guard(&err)()
	return db.Update(f)
}

// guard makes the goroutine panic, rather than the process end, when it reads
// where the file is not, and gives what turns a panic into an error.
func guard(err *error) (done func()) {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		if p := recover(); p != nil {
			*err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}
}
