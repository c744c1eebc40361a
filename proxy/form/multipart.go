package form

import (
	"encoding/base64"
	"strings"
)

// A multiPart parses multipart/form-data (RFC 7578). It ignores the boundary, about which
// parsers disagree: every Content-Disposition begins the head of a part.
type multiPart struct {
	wanted func(name string) bool
	state  partState
	header int    // how many letters of contentDisposition have been read
	last   uint32 // the last four bytes of a head or a value
	strict bool   // the head has ended also to parsers that end lines at CR LF only
	names  partNames
	text   text // of the value
}

type partState byte

const (
	between partState = iota // between the heads of parts
	inHead                   // in the head of a part
	inPart                   // in the body of a part with a wanted name
)

const (
	contentDisposition = "content-disposition"
	emptyLine          = uint32('\r')<<24 | '\n'<<16 | '\r'<<8 | '\n'
)

func (m *multiPart) scan(p []byte, found func(string)) {
	for len(p) > 0 {
		if m.state == between {
			p = p[m.search(p):]
			continue
		}
		m.last = m.last<<8 | uint32(p[0])
		if m.state == inHead {
			m.head(p[0])
		} else {
			m.part(p[0], found)
		}
		p = p[1:]
	}
}

// search looks for the beginning of a head, and returns how many bytes of p it has
// read.
func (m *multiPart) search(p []byte) int {
	for i := 0; i < len(p); i++ {
		if m.header == 0 { // nearly always, so this loop is the fast one
			for i < len(p) && p[i]|0x20 != contentDisposition[0] {
				i++
			}
			if i == len(p) {
				break
			}
		}
		switch c := p[i]; {
		case m.header == len(contentDisposition) && c == ':':
			m.state, m.header, m.last, m.strict = inHead, 0, 0, false
			m.names = partNames{wanted: m.wanted}
			return i + 1
		case m.header == len(contentDisposition) && isBlank(c):
		case m.header < len(contentDisposition) && lower(c) == contentDisposition[m.header]:
			m.header++
		case lower(c) == contentDisposition[0]: // which stands nowhere else in it
			m.header = 1
		default:
			m.header = 0
		}
	}
	return len(p)
}

// head reads a byte of a head. An empty line ends the head, but parsers disagree about
// what ends a line. Where only some of them see the end, and no name was wanted so far,
// the head goes on.
func (m *multiPart) head(c byte) {
	if !m.lineIsEmpty() {
		m.names.add(c)
		return
	}
	m.strict = m.last == emptyLine
	switch {
	case m.names.judge():
		m.state = inPart
		m.text.clear()
	case m.strict:
		m.state = between
	}
}

// lineIsEmpty reports whether some parser sees an empty line end here.
func (m *multiPart) lineIsEmpty() bool {
	switch m.last & 0xffff {
	case '\n'<<8 | '\n', '\n'<<8 | '\r', '\r'<<8 | '\r':
		return true
	}
	return m.last == emptyLine
}

// part reads a byte of the body of a part. It ends at two hyphens, with which every
// delimiter begins, and which no wanted value has.
func (m *multiPart) part(c byte, found func(string)) {
	switch {
	case !m.text.add(c):
		found(m.text.String() + Cut)
		m.endPart()
	case !m.strict && m.last == emptyLine:
		m.tell(found)
		m.strict = true
		m.text.clear()
	case m.last&0xffff == '-'<<8|'-':
		m.text.b = m.text.b[:max(0, len(m.text.b)-2)]
		m.tell(found)
		m.endPart()
	}
}

// endPart goes on behind a part, where some parsers may still be in its head.
func (m *multiPart) endPart() {
	m.state = inHead
	if m.strict {
		m.state = between
	}
	m.text.clear()
}

// tell finds a value, and what it is decoded from base64, because some parsers heed
// Content-Transfer-Encoding. Quoted-printable needs no decoding: it leaves the letters
// of a method as they are.
func (m *multiPart) tell(found func(string)) {
	value := m.text.String()
	found(value)
	plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value))
	if err == nil && len(plain) > 0 && strings.Trim(string(plain), letters) == "" {
		found(string(plain))
	}
}

// letters are what a value that was decoded from base64 consists of, if it is a method.
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz \r\n\t"

func (m *multiPart) end(found func(string)) {
	if m.state == inPart {
		m.tell(found)
		m.endPart()
	}
}

func (m *multiPart) open() int {
	if m.state != inPart {
		return 0
	}
	return len(m.text.b)
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}
