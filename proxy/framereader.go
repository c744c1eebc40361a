package proxy

import "encoding/binary"

// A frameReader parses the frames that a client sends over a WebSocket (RFC 6455,
// 5.2), to tell data from the pongs that browsers send on their own. It only counts
// bytes; the engine forwards them. The zero value is at the start of a frame.
type frameReader struct {
	head [14]byte // the head of the next frame
	read int      // bytes in head
	left uint64   // bytes of the frame's payload to come
	data bool     // the frame is not a control frame
}

// follow parses the next bytes and returns how many of them are data: payload of
// frames that are not control frames. An empty data frame counts as one byte.
func (f *frameReader) follow(p []byte) (n int64) {
	for len(p) > 0 {
		if f.left > 0 {
			part := min(f.left, uint64(len(p)))
			if f.data {
				n += int64(part) //nolint:gosec // G115: not more than len(p)
			}
			f.left -= part
			p = p[part:]
			continue
		}
		f.head[f.read] = p[0]
		f.read++
		p = p[1:]
		// The first two bytes tell how long the head is.
		if f.read < 2 || f.read < f.headSize() {
			continue
		}
		f.begin()
		if f.data && f.left == 0 {
			n++
		}
	}
	return n
}

// headSize returns the size of the head in bytes. Its first two bytes must have
// been read.
func (f *frameReader) headSize() int {
	size := 2
	switch f.head[1] & 0x7f {
	case 126:
		size += 2
	case 127:
		size += 8
	}
	if f.head[1]&0x80 != 0 {
		size += 4
	}
	return size
}

// begin parses the complete head and starts with the payload.
func (f *frameReader) begin() {
	const control = 8 // the first opcode of a control frame
	f.read, f.data = 0, f.head[0]&0x0f < control
	switch n := f.head[1] & 0x7f; n {
	case 126:
		f.left = uint64(binary.BigEndian.Uint16(f.head[2:]))
	case 127:
		f.left = binary.BigEndian.Uint64(f.head[2:])
	default:
		f.left = uint64(n)
	}
}
