package engine

import (
	"bytes"
	"errors"
	"io"
	"strconv"
)

const (
	maxChunkLine = 4 << 10  // a chunk's size line or a trailer's line
	maxTrailer   = 16 << 10 // all trailer lines together
	maxExcess    = 16 << 10 // what chunk lines may take beyond their share, see size
)

// errMore means that the bytes end before the next whole element.
var errMore = errors.New("more bytes are needed")

// A dechunker decodes the chunked coding (RFC 9112, 7.1). It works on byte slices and
// never blocks, so that it can also inspect buffered bytes without consuming them. The
// zero value is at the beginning of a body.
type dechunker struct {
	state   chunkState
	left    int64  // bytes of the current chunk
	excess  int64  // bytes of size lines beyond their share
	trailer []byte // the trailer section's lines, each with CR LF
	lenient bool   // lines may end in a bare LF
}

type chunkState int

const (
	atSize chunkState = iota
	inData
	afterData
	inTrailer
	ended
)

// step returns the next bytes of the body, as a part of p, and how many bytes of p it
// has consumed; used counts with an error too. The error is errMore if the rest of p has
// no complete element, io.EOF at the end of the body, or an answerError.
func (d *dechunker) step(p []byte) (data []byte, used int, err error) {
	for {
		rest := p[used:]
		n := 0
		switch d.state {
		case atSize:
			n, err = d.size(rest)
		case inData:
			if len(rest) == 0 {
				return nil, used, errMore
			}
			n = int(min(d.left, int64(len(rest))))
			if d.left -= int64(n); d.left == 0 {
				d.state = afterData
			}
			return rest[:n], used + n, nil
		case afterData:
			n, err = d.end(rest)
		case inTrailer:
			n, err = d.trailerLine(rest)
		case ended:
			err = io.EOF
		}
		if err != nil {
			return nil, used, err
		}
		used += n
	}
}

// size reads the line before a chunk and ignores extensions. As in net/http, the length
// of these lines is limited in proportion to the data, so that nobody can send megabytes
// of extensions around single bytes.
func (d *dechunker) size(p []byte) (int, error) {
	line, n, err := d.line(p)
	if err != nil {
		return 0, err
	}
	if d.left, err = parseChunkSize(line); err != nil {
		return 0, err
	}
	d.excess = max(0, d.excess+int64(n)-16-min(2*min(d.left, maxExcess), maxExcess))
	if d.excess > maxExcess {
		return 0, answerError("chunk extensions are too long")
	}
	d.state = inData
	if d.left == 0 {
		d.state = inTrailer
	}
	return n, nil
}

// end reads the CR LF after a chunk's data.
func (d *dechunker) end(p []byte) (int, error) {
	const crlf = "\r\n"
	if d.lenient && len(p) > 0 && p[0] == '\n' {
		d.state = atSize
		return 1, nil
	}
	if have := p[:min(len(p), 2)]; string(have) != crlf[:len(have)] {
		return 0, answerError("chunk is longer than it says")
	}
	if len(p) < 2 {
		return 0, errMore
	}
	d.state = atSize
	return 2, nil
}

// trailerLine reads a line of the trailer section; the empty one ends the body.
func (d *dechunker) trailerLine(p []byte) (int, error) {
	line, n, err := d.line(p)
	if err != nil {
		return 0, err
	}
	if len(line) == 0 {
		d.state = ended
		return n, nil
	}
	if len(d.trailer)+n > maxTrailer {
		return 0, answerError("trailers are too long")
	}
	d.trailer = append(append(d.trailer, line...), "\r\n"...)
	return n, nil
}

// line returns the first line of p without its end, and its length with the end.
func (d *dechunker) line(p []byte) (line []byte, n int, err error) {
	i := bytes.IndexByte(p[:min(len(p), maxChunkLine)], '\n')
	switch {
	case i < 0 && len(p) >= maxChunkLine:
		return nil, 0, answerError("line in a chunked body is too long")
	case i < 0:
		return nil, 0, errMore
	case i > 0 && p[i-1] == '\r':
		line = p[:i-1]
	case d.lenient:
		line = p[:i]
	default:
		return nil, 0, answerError("line in a chunked body ends in a bare LF")
	}
	if bytes.IndexByte(line, '\r') >= 0 {
		return nil, 0, answerError("bare CR in a chunked body")
	}
	return line, i + 1, nil
}

// parseChunkSize parses hexadecimal digits, up to a semicolon or the end of the line.
// Spaces behind them are allowed: old servers pad the line.
func parseChunkSize(line []byte) (int64, error) {
	digits, _, _ := bytes.Cut(line, []byte(";"))
	digits = bytes.TrimRight(digits, " \t")
	if len(digits) == 0 {
		return 0, answerError("chunk has no size")
	}
	n, err := strconv.ParseUint(string(digits), 16, 63)
	if err != nil {
		return 0, answerError("chunk size is no number")
	}
	return int64(n), nil
}
