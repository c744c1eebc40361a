package boltfile

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// The layout of bbolt's file, version 2: pages of a fixed size, numbered from 0, in the byte
// order of the machine. The first two are meta pages, which are written in turn; the valid one
// with the higher transaction counts.
const (
	metaMagic   = 0xED0CDAED
	metaVersion = 2

	pageHeader = 16 // id uint64, flags uint16, count uint16, overflow uint32
	metaLen    = 64
	metaSum    = 56 // where the checksum begins

	flagBranch, flagLeaf, flagMeta, flagFree = 0x01, 0x02, 0x04, 0x10

	noFreelist = ^uint64(0)
)

// A meta is a meta page.
type meta struct {
	pageSize             int64
	root, freelist, high uint64 // numbers of pages; all pages are below high
	tx                   uint64
}

// whole checks the file before bbolt opens it, and returns ErrDamaged if it is truncated or its
// first pages are damaged. bbolt maps the file into memory and trusts what it reads there: a
// truncated file would end the process. whole reads four pages at most, whatever the size of
// the file; damage elsewhere is found when it is read, see View.
func whole(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if info.Size() == 0 {
		return fmt.Errorf("%w: it is empty; restore a backup, or move it away to start anew", ErrDamaged)
	}
	m, ok := newest(f)
	if !ok {
		return fmt.Errorf("%w: neither of its heads can be read; restore a backup, or move it away to start anew", ErrDamaged)
	}
	if need := int64(m.high) * m.pageSize; info.Size() < need { //nolint:gosec // newest has checked the product
		return fmt.Errorf("%w: it has %d bytes of %d; restore a backup, or move it away to start anew", ErrDamaged, info.Size(), need)
	}
	err = checkPage(f, m, m.root, flagLeaf|flagBranch)
	if err == nil && m.freelist != noFreelist {
		err = checkPage(f, m, m.freelist, flagFree)
	}
	return err
}

// newest returns the meta page that bbolt uses: the valid one with the higher transaction. If
// the first one is damaged, the page size is unknown, and the second is searched for at every
// possible size.
func newest(f io.ReaderAt) (m meta, ok bool) {
	if first, good := readMeta(f, 0); good {
		if second, good := readMeta(f, first.pageSize); good && second.tx > first.tx {
			return second, true
		}
		return first, true
	}
	for at := int64(1024); at <= 1024<<14; at *= 2 {
		if m, ok = readMeta(f, at); ok && m.pageSize == at {
			return m, true
		}
	}
	return meta{}, false
}

// readMeta returns the meta page at the offset at, and whether there is a valid one.
func readMeta(f io.ReaderAt, at int64) (meta, bool) {
	var page [pageHeader + metaLen]byte
	if _, err := f.ReadAt(page[:], at); err != nil {
		return meta{}, false
	}
	b, order := page[pageHeader:], binary.NativeEndian
	sum := fnv.New64a()
	_, _ = sum.Write(b[:metaSum])
	if order.Uint32(b) != metaMagic || order.Uint32(b[4:]) != metaVersion || order.Uint64(b[metaSum:]) != sum.Sum64() {
		return meta{}, false
	}
	m := meta{
		pageSize: int64(order.Uint32(b[8:])),
		root:     order.Uint64(b[16:]), freelist: order.Uint64(b[32:]), high: order.Uint64(b[40:]),
		tx: order.Uint64(b[48:]),
	}
	return m, m.pageSize >= 1024 && m.pageSize <= 1024<<14 && m.high < 1<<38
}

// checkPage returns ErrDamaged if the page with this number lies outside of the file, does not
// contain its own number, or is not of one of the kinds.
func checkPage(f io.ReaderAt, m meta, id uint64, kinds uint16) error {
	var head [pageHeader]byte
	if id < 2 || id >= m.high {
		return fmt.Errorf("%w: page %d of %d is named; restore a backup, or move it away to start anew", ErrDamaged, id, m.high)
	}
	if _, err := f.ReadAt(head[:], int64(id)*m.pageSize); err != nil { //nolint:gosec // below m.high
		return errors.Join(ErrDamaged, err)
	}
	flags := binary.NativeEndian.Uint16(head[8:])
	if binary.NativeEndian.Uint64(head[:]) != id || flags&kinds == 0 || flags&^kinds != 0 {
		return fmt.Errorf("%w: page %d is not what it should be; restore a backup, or move it away to start anew", ErrDamaged, id)
	}
	return nil
}
