package form

import (
	"encoding/base64"
	"strings"
)

// A multiPart is the parser for multipart/form-data (RFC 7578). It ignores the
// boundary, because parsers disagree about it: every Content-Disposition starts the
// head of a part.
type multiPart struct {
	wanted func(name string) bool
	state  partState
	header int    // how many letters of contentDisposition have matched
	last   uint32 // the last four bytes of a head or a value, the newest lowest
	strict bool   // the head has ended for strict parsers too, which end lines only at CR LF
	names  partNames
	text   text // the value
}

// A partState is the position in the body.
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

// scan implements parser.
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

// search looks for the start of a head and returns how many bytes of p it consumed.
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
		case lower(c) == contentDisposition[0]: // a letter that occurs only once in it
			m.header = 1
		default:
			m.header = 0
		}
	}
	return len(p)
}

// head handles a byte of a head. An empty line ends the head, but parsers disagree
// about what ends a line. If only some of them see an empty line and no wanted name
// was found so far, the head continues.
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

// lineIsEmpty reports whether any parser sees the end of an empty line here.
func (m *multiPart) lineIsEmpty() bool {
	switch m.last & 0xffff {
	case '\n'<<8 | '\n', '\n'<<8 | '\r', '\r'<<8 | '\r':
		return true
	}
	return m.last == emptyLine
}

// part handles a byte of the body of a part. The body ends at two hyphens, since
// every delimiter begins with them and no wanted value contains them.
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

// endPart continues after the body of a part. For strict parsers that may still be
// inside its head.
func (m *multiPart) endPart() {
	m.state = inHead
	if m.strict {
		m.state = between
	}
	m.text.clear()
}

// tell reports a value, and also its base64 decoding, because some parsers honor
// Content-Transfer-Encoding. Quoted-printable needs no decoding: it leaves the
// letters of a method unchanged.
func (m *multiPart) tell(found func(string)) {
	value := m.text.String()
	found(value)
	plain, err := base64.StdEncoding.DecodeString(strings.TrimSpace(value))
	if err == nil && len(plain) > 0 && strings.Trim(string(plain), letters) == "" {
		found(string(plain))
	}
}

// letters are the characters that a value decoded from base64 may consist of to be
// reported: those of a method, and whitespace.
const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz \r\n\t"

// end implements parser. A part without a delimiter ends with the body.
func (m *multiPart) end(found func(string)) {
	if m.state == inPart {
		m.tell(found)
		m.endPart()
	}
}

// open implements parser.
func (m *multiPart) open() int {
	if m.state != inPart {
		return 0
	}
	return len(m.text.b)
}

// isBlank reports whether c is a space or a tab.
func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// lower returns c in lower case, ASCII only.
func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		return c | 0x20
	}
	return c
}
