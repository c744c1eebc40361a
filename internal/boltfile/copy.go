package boltfile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"
)

// Copy writes a consistent copy of the whole file to w, as of the moment when Copy begins.
// begin, which may be nil, is called first with the size in bytes. Writers that have to grow
// the file wait until the copy is complete, so w must not be slow; see Spool.
//
// It returns ErrDamaged if the file cannot be read, the error of w, or that of ctx if it ends
// first.
func Copy(ctx context.Context, db *bbolt.DB, w io.Writer, begin func(size int64)) error {
	return View(db, func(tx *bbolt.Tx) error {
		if begin != nil {
			begin(tx.Size())
		}
		u := &until{ctx: ctx, w: w}
		if _, err := tx.WriteTo(u); u.err == nil {
			return err
		}
		return u.err // bbolt returns its text only
	})
}

// Spool copies the database into an unnamed temporary file in the folder dir, and returns that
// file at its beginning and its size in bytes. Reading it may take any time without holding
// up writers. Closing it, which the caller has to do, frees the space; so does a crash.
func Spool(ctx context.Context, db *bbolt.DB, dir string) (f *os.File, size int64, err error) {
	if f, err = os.CreateTemp(dir, ".gatehouse-copy-*"); err != nil { // mode 0600
		return nil, 0, err
	}
	err = errors.Join(os.Remove(f.Name()), Copy(ctx, db, f, func(n int64) { size = n }))
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, 0, errors.Join(err, f.Close())
	}
	return f, size, nil
}

// An until is a Writer that fails once ctx has ended. err is its last error.
type until struct {
	ctx context.Context
	w   io.Writer
	err error
}

func (u *until) Write(b []byte) (n int, err error) {
	if u.err = u.ctx.Err(); u.err == nil {
		n, u.err = u.w.Write(b)
	}
	return n, u.err
}

// Verify reads the whole file and returns an error if anything is wrong with it: ErrDamaged,
// ErrNewer, or, like Open, ErrLocked if another process has it open. It changes nothing. Run
// it on every backup.
func Verify(path string) (err error) {
	db, err := open(path)
	if err != nil {
		return fmt.Errorf("check %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	err = View(db, func(tx *bbolt.Tx) error {
		if _, err := version(tx); err != nil {
			return err
		}
		return sound(tx)
	})
	if err != nil {
		return fmt.Errorf("check %s: %w", path, err)
	}
	return nil
}

// sound returns the first problem that bbolt finds. bbolt checks on its own goroutine, where a
// fault would end the process; so every page is read on this one first, under guard.
func sound(tx *bbolt.Tx) error {
	err := tx.ForEach(func(_ []byte, b *bbolt.Bucket) error {
		return b.ForEach(func(_, _ []byte) error { return nil })
	})
	if err != nil {
		return err
	}
	var first error
	for err := range tx.Check() {
		if first == nil {
			first = fmt.Errorf("%w: %w", ErrDamaged, err)
		}
	}
	return first
}

// SyncFolder syncs the folder that path lies in, so that a file that was created or
// renamed there is still there after a crash.
func SyncFolder(path string) error {
	d, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
