package boltfile

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"
)

var bucketTest = []byte("test")

// filled makes a file with a tree of some depth, a free list and an overflow
// page, and gives its bytes.
func filled(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "gatehouse.db")
	db, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	for round := range 3 {
		err := Update(db, func(tx *bbolt.Tx) error {
			b, err := tx.CreateBucketIfNotExists(bucketTest)
			if err != nil {
				return err
			}
			for i := range 300 {
				if err := b.Put(fmt.Appendf(nil, "key %d", i*7919%300), bytes.Repeat([]byte("012"[round:round+1]), 100+i)); err != nil {
					return err
				}
			}
			return b.Put([]byte("long"), make([]byte, 20_000))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path) //nolint:gosec // of this test
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// tryFile opens a file with the content, and reads and writes all of it. The
// error is nil if nothing is missing.
func tryFile(t *testing.T, dir string, content []byte) error {
	t.Helper()
	path := filepath.Join(dir, "gatehouse.db")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	db.NoSync = true // thousands of files
	n := 0
	err = View(db, func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketTest).ForEach(func(k, v []byte) error {
			n += min(1, len(k))
			_ = bytes.Count(v, []byte{0})
			return nil
		})
	})
	if err != nil {
		return err
	}
	if n != 301 {
		return fmt.Errorf("only %d keys", n)
	}
	return Update(db, func(tx *bbolt.Tx) error { return tx.Bucket(bucketTest).Put([]byte("new"), []byte("value")) })
}

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gatehouse.db")
	for range 2 {
		db, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("%d files are left, %v", len(left), err)
	}
}

// Two processes at once would destroy the file: the second waits two seconds,
// and says so.
func TestOpenLocked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "gatehouse.db")
		db, err := Open(path)
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		_, err = Open(path)
		if took := time.Since(start); !errors.Is(err, ErrLocked) || took < lockTime || took > lockTime+time.Second {
			t.Errorf("Open: %v, after %v", err, took)
		}
		if want := "another gatehouse runs on this file"; err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), path) {
			t.Errorf("Open: %v", err)
		}

		// A server that is about to end is waited for.
		time.AfterFunc(time.Second, func() { _ = db.Close() })
		db, err = Open(path)
		if err != nil {
			t.Fatal(err)
		}
		_ = db.Close()
	})
}

func TestOpenRefuses(t *testing.T) {
	good := filled(t)
	foreign := func(path string) error {
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			return err
		}
		return db.Close()
	}
	version := func(v uint64) func(path string) error {
		return func(path string) error {
			db, err := Open(path)
			if err != nil {
				return err
			}
			return errors.Join(db.Update(func(tx *bbolt.Tx) error {
				return tx.Bucket(bucketMeta).Put(keySchema, binary.BigEndian.AppendUint64(nil, v))
			}), db.Close())
		}
	}
	for _, test := range []struct {
		name string
		make func(path string) error
		is   error
		want string
	}{
		{"others may read it", func(p string) error { return errors.Join(os.WriteFile(p, good, 0o600), os.Chmod(p, 0o640)) }, nil, "mode 0640); run: chmod 600 "}, //nolint:gosec // what is refused
		{"others may write it", func(p string) error { return errors.Join(os.WriteFile(p, good, 0o600), os.Chmod(p, 0o602)) }, nil, "chmod 600"},                  //nolint:gosec // what is refused
		{"a symbolic link", func(p string) error { return errors.Join(os.WriteFile(p+"2", good, 0o600), os.Symlink(p+"2", p)) }, nil, "symbolic link"},
		{"a link to nowhere", func(p string) error { return os.Symlink(p+"2", p) }, nil, "symbolic link"},
		{"a directory", func(p string) error { return os.Mkdir(p, 0o700) }, nil, ""},
		{"empty", func(p string) error { return os.WriteFile(p, nil, 0o600) }, ErrDamaged, "it is empty"},
		{"text", func(p string) error { return os.WriteFile(p, bytes.Repeat([]byte("hello\n"), 5000), 0o600) }, ErrDamaged, "neither of its heads"},
		{"zeros", func(p string) error { return os.WriteFile(p, make([]byte, 65536), 0o600) }, ErrDamaged, "neither of its heads"},
		{"another program's", foreign, nil, "not a file of gatehouse"},
		{"a newer version", version(schema + 1), ErrNewer, fmt.Sprintf("version is %d, this one reads up to %d", schema+1, schema)},
		{"no version", version(0), ErrDamaged, "version is 0"},
	} {
		t.Run(test.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "gatehouse.db")
			if err := test.make(path); err != nil {
				t.Fatal(err)
			}
			db, err := Open(path)
			if err == nil {
				_ = db.Close()
				t.Fatal("it opens")
			}
			if test.is != nil && !errors.Is(err, test.is) || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("Open: %v", err)
			}
			if _, err := os.Stat(path + "2"); test.name == "a link to nowhere" && err == nil {
				t.Error("the link was followed")
			}
		})
	}
	if _, err := Open(filepath.Join(t.TempDir(), "missing", "gatehouse.db")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a folder that is not there: %v", err)
	}
}

// Requirement 87: cut off anywhere, the file is refused, or nothing is
// missing; nothing panics.
func TestTruncated(t *testing.T) {
	good, dir := filled(t), t.TempDir()
	if err := tryFile(t, dir, good); err != nil {
		t.Fatal(err)
	}
	opened := 0
	for n := 0; n < len(good); n += 4096 {
		for _, size := range []int{n, n + 1, n + 4095} {
			err := tryFile(t, dir, good[:min(size, len(good))])
			switch {
			case err == nil:
				opened++ // only what bbolt has in reserve was cut off
			case !errors.Is(err, ErrDamaged):
				t.Errorf("%d bytes of %d: %v", size, len(good), err)
			}
		}
	}
	t.Logf("%d of %d sizes are whole", opened, 3*len(good)/4096)
}

// Requirement 87: whatever byte is changed, the worst is an error.
func TestFlippedBytes(t *testing.T) {
	good, dir := filled(t), t.TempDir()
	failed := 0
	for page := 0; page < len(good); page += 4096 {
		if page > 0 && bytes.Count(good[page:page+4096], []byte{0}) == 4096 {
			continue // in reserve
		}
		for _, at := range []int{0, 1, 8, 10, 12, 16, 20, 24, 32, 48, 56, 72, 2000} {
			bad := bytes.Clone(good)
			bad[page+at] ^= 0x41
			if err := tryFile(t, dir, bad); err != nil {
				failed++
			}
		}
	}
	if failed == 0 {
		t.Error("no change was noticed")
	}
	t.Logf("%d changes were noticed", failed)
}

// A panic in a transaction leaves no lock behind.
func TestGuard(t *testing.T) {
	db, err := Open(filepath.Join(t.TempDir(), "gatehouse.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	for name, f := range map[string]func(*bbolt.DB, func(*bbolt.Tx) error) error{"View": View, "Update": Update} {
		if err := f(db, func(*bbolt.Tx) error { panic("page 7 is no page") }); !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "page 7") {
			t.Errorf("%s: %v", name, err)
		}
		if err := f(db, func(*bbolt.Tx) error { return os.ErrExist }); !errors.Is(err, os.ErrExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := Update(db, mark); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func FuzzOpen(f *testing.F) {
	f.Add([]byte{}, 0)
	f.Add([]byte("hello"), 0)
	f.Add([]byte{0xff, 0xff}, 4096+16)
	f.Add([]byte{0, 0, 0, 0, 0, 0, 0, 1}, 2*4096)
	path := filepath.Join(f.TempDir(), "good.db")
	db, err := Open(path)
	if err != nil {
		f.Fatal(err)
	}
	if err := db.Close(); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(path) //nolint:gosec // of this test
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, change []byte, at int) {
		bad := bytes.Clone(good)
		if at < 0 || at >= len(bad) {
			at = 0
		}
		copy(bad[at:], change)
		path := filepath.Join(t.TempDir(), "bad.db")
		if err := os.WriteFile(path, bad, 0o600); err != nil { //nolint:gosec // of this test
			t.Fatal(err)
		}
		if db, err := Open(path); err == nil {
			_ = Update(db, mark)
			_ = db.Close()
		}
	})
}

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "example-")
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = os.RemoveAll(dir) }()
	db, err := Open(filepath.Join(dir, "gatehouse.db"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer func() { _ = db.Close() }()
	err = Update(db, func(tx *bbolt.Tx) error {
		b, err := tx.CreateBucketIfNotExists([]byte("notes"))
		if err != nil {
			return err
		}
		return b.Put([]byte("k"), []byte("v"))
	})
	fmt.Println(err)
	err = View(db, func(tx *bbolt.Tx) error {
		fmt.Printf("%s\n", tx.Bucket([]byte("notes")).Get([]byte("k")))
		return nil
	})
	fmt.Println(err)
	// Output:
	// <nil>
	// v
	// <nil>
}
