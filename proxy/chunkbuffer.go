package proxy

import "io"

// A chunkBuffer holds a body in memory, in a list of blocks. It grows without
// copying, never allocates more than the limit, and frees each block once it has
// been read. It is written completely (space, wrote) before it is read.
type chunkBuffer struct {
	list [][]byte
	left int64 // bytes not read yet; while it is being written, bytes written
}

// Sizes of blocks: each is twice as large as the one before, up to largeBlock.
const (
	firstBlock = 4 << 10
	largeBlock = 64 << 10
)

// space returns a slice to read more bytes into; it is never empty. When limit
// bytes have been written it returns one byte outside the blocks, so that the
// caller can find out whether the body ends there.
func (b *chunkBuffer) space(limit int64) []byte {
	if b.left == limit {
		return make([]byte, 1)
	}
	last := len(b.list) - 1
	if last < 0 || len(b.list[last]) == cap(b.list[last]) {
		size := int64(firstBlock)
		if last >= 0 {
			size = min(2*int64(cap(b.list[last])), largeBlock)
		}
		b.list = append(b.list, make([]byte, 0, min(size, limit-b.left)))
		last++
	}
	end := b.list[last]
	return end[len(end):cap(end)]
}

// wrote records that the first n bytes of the last space were filled.
func (b *chunkBuffer) wrote(n int) {
	if n > 0 {
		last := len(b.list) - 1
		b.list[last] = b.list[last][:len(b.list[last])+n]
		b.left += int64(n)
	}
}

// Read reads what is left, then returns io.EOF.
func (b *chunkBuffer) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	for len(b.list[0]) == 0 {
		b.list[0], b.list = nil, b.list[1:]
	}
	n := copy(p, b.list[0])
	b.list[0] = b.list[0][n:]
	b.left -= int64(n)
	return n, nil
}

// Close does nothing. It makes a chunkBuffer an io.ReadCloser, as a body must be.
func (b *chunkBuffer) Close() error { return nil }
