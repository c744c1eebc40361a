package proxy

import "io"

// A chunkBuffer is a body in memory, in blocks. It grows without copying, never
// allocates more than the limit, and frees each block that has been read. It is
// written first (space, wrote), then read.
type chunkBuffer struct {
	list [][]byte
	left int64 // bytes to read; while it is written, bytes that were written
}

const (
	firstBlock = 4 << 10
	largeBlock = 64 << 10
)

// space returns room for more bytes. When limit bytes are there it returns room
// for one byte outside the blocks, to see whether the body ends here.
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

// wrote takes over the first n bytes of the last space.
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

// Close does nothing; a body has to have it.
func (b *chunkBuffer) Close() error { return nil }
