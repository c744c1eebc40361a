// Package boltfile opens gatehouse.db, the embedded file of bbolt: with the permissions that
// a file of secrets needs, for one process at a time, and only if it is whole. Sessions and
// accounts have their own buckets in it.
//
// bbolt panics, or faults, on a damaged file. View and Update return ErrDamaged instead; use
// them in place of bbolt's.
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

// The errors of Open, besides those of the file system.
var (
	ErrLocked  = errors.New("another gatehouse runs on this file")
	ErrDamaged = errors.New("the file is damaged")
	ErrNewer   = errors.New("the file was written by a newer gatehouse")

	errReplaced = errors.New("another file has taken its place")
)

const (
	lockTime = 2 * time.Second       // how long Open waits for another process
	lockTry  = 20 * time.Millisecond // between attempts

	// schema is the version of the file's content. A file of an older version is
	// migrated when it is opened; see migrations.
	schema = 1
)

var (
	bucketMeta = []byte("gatehouse")
	keySchema  = []byte("schema")
)

// migrations[n] leads from version n+1 of the schema to n+2.
var migrations = []func(*bbolt.Tx) error{}

// Open opens the file, and creates it if there is none. If another process has it open, Open
// waits up to 2 seconds for that to end, and then returns ErrLocked. It migrates a file of an
// older version, and returns ErrNewer for one of a newer version.
//
// The file must be a regular file that only its owner can read or write. A file that is
// truncated, empty or damaged is refused with ErrDamaged. It is never replaced by a new one,
// which would forget who was logged out.
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

// create creates the file if there is none. It appears complete or not at all: an empty file
// is therefore damage, and can be refused as such. If another process creates it at the same
// time, that one's stays.
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

// options returns the options with which every file is opened.
func options() *bbolt.Options {
	// The other type of freelist, a map, sorts all free pages at each commit: after
	// half of a million sessions had been removed, sign-ins were four times slower.
	return &bbolt.Options{FreelistType: bbolt.FreelistArrayType, Timeout: lockTime, NoStatistics: true}
}

// open opens an existing file. Before bbolt maps the file into memory, it checks the
// permissions, locks the file, checks that it still has its name, and only then its content:
// until the lock is held, another process may be writing.
func open(path string) (db *bbolt.DB, err error) {
	var file *os.File
	defer func() {
		if db == nil && file != nil {
			_ = file.Close() // bbolt has not, if it has panicked
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

// private refuses a file that is not regular or that others than its owner can read or write.
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

// lock takes the lock (flock) that bbolt takes again afterwards. It returns ErrLocked if
// another process holds it for longer than lockTime.
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

// same returns errReplaced if the file has lost its name while we waited for the lock. Compact
// has put another file in its place then, and what we write to this one would be lost.
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

// begin reads the version of the schema, and migrates an older file.
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

// version returns the version of the file's schema, or an error if this program cannot read
// it.
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

// View is db.View, but returns ErrDamaged where bbolt panics or faults on a damaged file. f
// runs in a read transaction; what it reads is not valid after it returns.
func View(db *bbolt.DB, f func(*bbolt.Tx) error) (err error) {
	defer guard(&err)()
	return db.View(f)
}

// Update is db.Update, but returns ErrDamaged where bbolt panics or faults on a damaged file,
// and then writes nothing. If f returns an error, nothing is written either.
func Update(db *bbolt.DB, f func(*bbolt.Tx) error) (err error) {
	defer guard(&err)()
	return db.Update(f)
}

// guard makes a fault in the mapped file, for instance a read beyond its end, a panic of this
// goroutine; without it the fault ends the process. The caller defers the returned function,
// which turns any panic into ErrDamaged.
func guard(err *error) (done func()) {
	before := debug.SetPanicOnFault(true)
	return func() {
		debug.SetPanicOnFault(before)
		if p := recover(); p != nil {
			*err = fmt.Errorf("%w: %v", ErrDamaged, p)
		}
	}
}
