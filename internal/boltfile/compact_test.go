package boltfile_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"gatehouse/internal/boltfile"
)

// stored makes a file with n records and an index of empty values, whose
// sequence counts them.
func stored(t *testing.T, n int) (path string, db *bbolt.DB) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "gatehouse.db")
	db, err := boltfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	err = boltfile.Update(db, func(tx *bbolt.Tx) error {
		records, err := tx.CreateBucketIfNotExists([]byte("records"))
		if err != nil {
			return err
		}
		index, err := tx.CreateBucketIfNotExists([]byte("index"))
		if err != nil {
			return err
		}
		for i := range n {
			key := fmt.Appendf(nil, "%08d", i)
			if err := errors.Join(records.Put(key, bytes.Repeat([]byte("x"), 300)), index.Put(key, []byte{})); err != nil {
				return err
			}
		}
		return records.SetSequence(uint64(n)) //nolint:gosec // a number of records
	})
	if err != nil {
		t.Fatal(err)
	}
	return path, db
}

// count reads the file and says how many records and index entries it has.
func count(t *testing.T, path string) (records, index, sequence int) {
	t.Helper()
	db, err := boltfile.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close() //nolint:errcheck // it was read
	err = boltfile.View(db, func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("records"))
		sequence = int(b.Sequence()) //nolint:gosec // a number of records
		return errors.Join(
			b.ForEach(func(_, _ []byte) error { records++; return nil }),
			tx.Bucket([]byte("index")).ForEach(func(_, _ []byte) error { index++; return nil }))
	})
	if err != nil {
		t.Fatal(err)
	}
	return records, index, sequence
}

func TestCopyIsOfOneMoment(t *testing.T) {
	_, db := stored(t, 2000)
	f, size, err := boltfile.Spool(t.Context(), db, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // it was read
	// What comes after it is not in it.
	err = boltfile.Update(db, func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("records")) })
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "copy.db")
	text, err := io.ReadAll(f)
	if err != nil || int64(len(text)) != size {
		t.Fatalf("%d bytes of %d: %v", len(text), size, err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := boltfile.Verify(path); err != nil {
		t.Fatal(err)
	}
	if r, i, s := count(t, path); r != 2000 || i != 2000 || s != 2000 {
		t.Errorf("the copy has %d records, %d in the index, and counts %d", r, i, s)
	}
}

func TestSpoolLeavesNoFile(t *testing.T) {
	_, db := stored(t, 10)
	dir := t.TempDir()
	f, _, err := boltfile.Spool(t.Context(), db, dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close() //nolint:errcheck // it was read
	if list, err := os.ReadDir(dir); err != nil || len(list) > 0 {
		t.Errorf("%v, %v", list, err)
	}
}

func TestCopyEndsWithItsContext(t *testing.T) {
	_, db := stored(t, 2000)
	ctx, cancel := context.WithCancel(t.Context())
	err := boltfile.Copy(ctx, db, io.Discard, func(int64) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}

func TestVerifyFindsDamage(t *testing.T) {
	path, db := stored(t, 2000)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path) //nolint:gosec // a file of this test
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		harm func([]byte) []byte
	}{
		{"cut off", func(b []byte) []byte { return b[:len(b)/2] }},
		{"empty", func([]byte) []byte { return nil }},
		{"a page of zeros", func(b []byte) []byte {
			// The record stands in some page; all of that page goes.
			page := os.Getpagesize()
			at := bytes.Index(b, []byte("00001000")) / page * page
			copy(b[at:at+page], make([]byte, page))
			return b
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			bad := filepath.Join(t.TempDir(), "bad.db")
			if err := os.WriteFile(bad, c.harm(bytes.Clone(text)), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := boltfile.Verify(bad); !errors.Is(err, boltfile.ErrDamaged) {
				t.Errorf("%v", err)
			}
		})
	}
}

func TestCompact(t *testing.T) {
	path, db := stored(t, 20_000)
	err := boltfile.Update(db, func(tx *bbolt.Tx) error {
		records, index := tx.Bucket([]byte("records")), tx.Bucket([]byte("index"))
		for i := 100; i < 20_000; i++ {
			key := fmt.Appendf(nil, "%08d", i)
			if err := errors.Join(records.Delete(key), index.Delete(key)); err != nil {
				return err
			}
		}
		return records.SetSequence(100)
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := boltfile.Compact(path, nil); !errors.Is(err, boltfile.ErrLocked) {
		t.Errorf("beside one that has it open: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	// What a crash has left behind is no hindrance.
	temp := filepath.Join(filepath.Dir(path), ".gatehouse-compact.db")
	if err := os.WriteFile(temp, []byte("half a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	before, after, err := boltfile.Compact(path, nil)
	if err != nil || after >= before/10 {
		t.Fatalf("from %d to %d bytes: %v", before, after, err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Size() != after || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info, err)
	}
	if _, err := os.Stat(temp); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the temporary file is still there: %v", err)
	}
	if r, i, s := count(t, path); r != 100 || i != 100 || s != 100 {
		t.Errorf("it has %d records, %d in the index, and counts %d", r, i, s)
	}
}

func TestCompactLeavesADamagedFile(t *testing.T) {
	path, db := stored(t, 2000)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path) //nolint:gosec // a file of this test
	if err != nil {
		t.Fatal(err)
	}
	page := os.Getpagesize()
	at := bytes.Index(text, []byte("00001000")) / page * page
	copy(text[at:at+page], make([]byte, page))
	if err := os.WriteFile(path, text, 0o600); err != nil { //nolint:gosec // a file of this test
		t.Fatal(err)
	}
	if _, _, err := boltfile.Compact(path, nil); !errors.Is(err, boltfile.ErrDamaged) {
		t.Errorf("%v", err)
	}
	if now, err := os.ReadFile(path); err != nil || !bytes.Equal(now, text) { //nolint:gosec // a file of this test
		t.Errorf("the file has changed: %v", err)
	}
	if list, err := os.ReadDir(filepath.Dir(path)); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
}

func TestCompactMakesNoFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gatehouse.db")
	if _, _, err := boltfile.Compact(path, nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
}

// Whoever waits for the lock while Compact works waits for a file that has no
// name any more when the lock is free. What it wrote there would be lost.
func TestOpenAfterCompactHasTheNewFile(t *testing.T) {
	path, db := stored(t, 10)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	old, err := os.Open(path) //nolint:gosec // a file of this test
	if err != nil {
		t.Fatal(err)
	}
	defer old.Close() //nolint:errcheck // it was only locked
	if err := unix.Flock(int(old.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	type opened struct {
		db  *bbolt.DB
		err error
	}
	waiting := make(chan opened, 1)
	go func() {
		db, err := boltfile.Open(path)
		waiting <- opened{db, err}
	}()
	// It is open, and waits: two files of this process have that inode. Where
	// that cannot be seen in time it opens the new one at once, which is right
	// as well.
	deadline := time.Now().Add(time.Second)
	for opens(t, old) < 2 && time.Now().Before(deadline) {
		<-time.After(time.Millisecond)
	}
	text, err := os.ReadFile(path) //nolint:gosec // a file of this test
	if err != nil {
		t.Fatal(err)
	}
	next := path + ".new"
	if err := errors.Join(os.WriteFile(next, text, 0o600), os.Rename(next, path), unix.Flock(int(old.Fd()), unix.LOCK_UN)); err != nil { //nolint:gosec // files of this test
		t.Fatal(err)
	}
	got := <-waiting
	if got.err != nil {
		t.Fatal(got.err)
	}
	defer got.db.Close() //nolint:errcheck // a test
	err = boltfile.Update(got.db, func(tx *bbolt.Tx) error {
		return tx.Bucket([]byte("records")).Put([]byte("new"), []byte("x"))
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := got.db.Close(); err != nil {
		t.Fatal(err)
	}
	if r, _, _ := count(t, path); r != 11 {
		t.Errorf("the file that has the name has %d records, not 11", r)
	}
}

// opens counts the descriptors of this process that are of that file.
func opens(t *testing.T, f *os.File) (n int) {
	t.Helper()
	want, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 2 // no Linux: go on
	}
	for _, e := range list {
		if got, err := os.Stat(filepath.Join("/proc/self/fd", e.Name())); err == nil && os.SameFile(got, want) {
			n++
		}
	}
	return n
}
