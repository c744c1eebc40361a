package form

import "bytes"

// urlEncoded is the parser for application/x-www-form-urlencoded.
type urlEncoded struct {
	wanted func(name string) bool
	state  urlState
	text   text // the current name or value, not decoded
}

// A urlState is the position in the body.
type urlState byte

const (
	inName  urlState = iota // in a name, or before it
	inValue                 // in the value of a wanted field
	inOther                 // in any other value, or in the truncated rest of one
)

// scan implements parser.
func (u *urlEncoded) scan(p []byte, found func(string)) {
	for len(p) > 0 {
		if u.state == inOther {
			i := bytes.IndexAny(p, "&;")
			if i < 0 {
				return
			}
			p = p[i:]
		}
		c := p[0]
		p = p[1:]
		switch {
		case c == '&' || c == ';':
			u.end(found)
		case u.state == inValue:
			if !u.text.add(c) {
				found(unescape(u.text.String()) + Cut)
				u.next(inOther)
			}
		case c == '=' && u.wanted(unescape(u.text.String())):
			u.next(inValue)
		case c == '=':
			u.next(inOther)
		default:
			u.addToName(c)
		}
	}
}

// addToName appends c to the name; what exceeds maxText is ignored. Leading spaces
// are ignored too, in every encoding, because PHP removes them.
func (u *urlEncoded) addToName(c byte) {
	if len(u.text.b) == 0 && (c == '+' || c == ' ') {
		return
	}
	if u.text.add(c) && len(u.text.b) == 3 && u.text.String() == "%20" {
		u.text.clear()
	}
}

// next changes the state and starts a new text.
func (u *urlEncoded) next(s urlState) {
	u.state = s
	u.text.clear()
}

// end ends a field, at a separator or at the end of the body.
func (u *urlEncoded) end(found func(string)) {
	if u.state == inValue {
		found(unescape(u.text.String()))
	}
	u.next(inName)
}

// open implements parser.
func (u *urlEncoded) open() int {
	if u.state != inValue {
		return 0
	}
	return len(u.text.b)
}
