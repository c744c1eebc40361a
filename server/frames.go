package server

import (
	"encoding/binary"
	"errors"
)

// A frames follows the frames of one HTTP/2 connection (RFC 9113, 4.1) in the
// bytes that are read, without keeping them. It provides what net/http does not:
// when a header block begins and ends, and how large it is. The zero value
// expects the connection preface. It is not safe for concurrent use: net/http
// reads from one goroutine.
type frames struct {
	preface int // bytes of the connection preface that have been seen
	header  [9]byte
	have    int  // bytes of header that have been read
	left    int  // bytes of the frame's payload that have not been read
	kind    byte // type of the frame
	ends    bool // the frame is the last of its header block
	open    bool // a header block is incomplete
}

// The connection preface (RFC 9113, 3.4), and the frame types and the flag that
// matter here (RFC 9113, 6).
const (
	clientPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

	frameData         = 0x0
	frameHeaders      = 0x1
	frameContinuation = 0x9
	flagEndHeaders    = 0x4
)

// errPreface ends a connection whose bytes contradict the protocol that TLS has
// negotiated (ALPN, RFC 7301).
var errPreface = errors.New("another protocol is spoken than was agreed upon")

// A frameCount says what a number of bytes contains.
type frameCount struct {
	blocks int // header blocks that begin in them
	header int // bytes of header blocks, without the frames' headers
	data   int // bytes of bodies
}

// feed follows the next bytes of the connection and returns what they contain. An
// error means that they are not HTTP/2.
func (f *frames) feed(p []byte) (n frameCount, err error) {
	for len(p) > 0 {
		switch {
		case f.preface < len(clientPreface):
			if p[0] != clientPreface[f.preface] {
				return n, errPreface
			}
			f.preface++
			p = p[1:]
		case f.have < len(f.header):
			m := copy(f.header[f.have:], p)
			f.have += m
			p = p[m:]
			if f.have == len(f.header) {
				n.blocks += f.begin()
			}
		default:
			m := min(f.left, len(p))
			f.count(&n, m)
			p = p[m:]
		}
	}
	return n, nil
}

// begin evaluates a complete frame header. It returns 1 if a header block begins
// with the frame, else 0.
func (f *frames) begin() (blocks int) {
	// The length of the payload is in the first 24 bits (RFC 9113, 4.1).
	f.left = int(binary.BigEndian.Uint32(f.header[:4]) >> 8)
	f.kind = f.header[3]
	f.ends = (f.kind == frameHeaders || f.kind == frameContinuation) && f.header[4]&flagEndHeaders != 0
	if f.kind == frameHeaders {
		f.open, blocks = true, 1
	}
	if f.left == 0 {
		f.end()
	}
	return blocks
}

// count adds m bytes of the current frame's payload to n.
func (f *frames) count(n *frameCount, m int) {
	switch f.kind {
	case frameData:
		n.data += m
	case frameHeaders, frameContinuation:
		n.header += m
	}
	if f.left -= m; f.left == 0 {
		f.end()
	}
}

// end is called when the payload of a frame is complete.
func (f *frames) end() {
	f.have = 0
	if f.ends {
		f.open = false
	}
}

// waiting reports whether something is incomplete that a client sends without a
// pause: the preface, a header block, or the header of a frame. Bodies may take
// their time.
func (f *frames) waiting() bool {
	return f.open || f.have > 0 && f.have < len(f.header) || f.preface > 0 && f.preface < len(clientPreface)
}
