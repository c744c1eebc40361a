package form

import "encoding/json"

// An object is the parser for application/json. It finds the members of the
// outermost object whose values are strings: frameworks look for the method only
// there.
type object struct {
	wanted func(name string) bool
	state  jsonState
	depth  int  // how many objects and arrays are open
	text   text // the current string, not decoded
	quoted bool // the previous byte was a backslash that escapes this one
	member bool // the previous string is a wanted name
	colon  bool // and a colon followed it, so its value is next
}

// A jsonState is the position in the text.
type jsonState byte

const (
	outside  jsonState = iota // between strings
	inString                  // in a string that may be a name
	inMember                  // in the value of a wanted name
	inRest                    // in the truncated rest of such a value
)

// scan implements parser.
func (o *object) scan(p []byte, found func(string)) {
	for _, c := range p {
		switch {
		case o.state == outside:
			o.between(c)
		case c == '"' && !o.quoted:
			o.endString(found)
		default:
			o.inside(c, found)
		}
	}
}

// between handles a byte outside of strings.
func (o *object) between(c byte) {
	switch c {
	case ' ', '\t', '\r', '\n':
		return
	case '"':
		o.state = inString
		if o.member && o.colon {
			o.state = inMember
		}
		o.quoted = false
		o.text.clear()
	case ':':
		o.colon = o.member
		return
	case '{', '[':
		o.depth++
	case '}', ']':
		o.depth--
	}
	// Anything but whitespace and a colon ends the name before it.
	o.member, o.colon = false, false
}

// inside handles a byte of a string, other than its closing quote.
func (o *object) inside(c byte, found func(string)) {
	o.quoted = c == '\\' && !o.quoted
	switch {
	case o.state == inString:
		o.text.add(c)
	case o.state == inMember && !o.text.add(c):
		found(unquote(o.text.String()) + Cut)
		o.state = inRest
	}
}

// endString handles the closing quote of a string. A name that fills the whole text
// was perhaps truncated, and is not compared.
func (o *object) endString(found func(string)) {
	if o.state == inString {
		o.member = o.depth == 1 && len(o.text.b) < maxText && o.wanted(unquote(o.text.String()))
	}
	if o.state == inMember {
		found(unquote(o.text.String()))
	}
	o.state = outside
}

// end finds nothing: a string without a closing quote has no value.
func (o *object) end(func(string)) { o.state = outside }

// open implements parser.
func (o *object) open() int {
	if o.state != inMember {
		return 0
	}
	return len(o.text.b)
}

// unquote decodes the escapes of a string. A string with a malformed escape is
// returned unchanged.
func unquote(s string) string {
	var plain string
	if json.Unmarshal([]byte(`"`+s+`"`), &plain) != nil {
		return s
	}
	return plain
}
