package form

import "encoding/json"

// An object parses application/json: the members of the outermost object whose values are
// strings.
type object struct {
	wanted func(name string) bool
	state  jsonState
	depth  int  // how many objects and arrays are open
	text   text // of the string
	quoted bool // the byte before was a backslash that escapes this one
	member bool // the string before is a wanted name
	colon  bool // a colon stands behind that name, so that its value follows
}

type jsonState byte

const (
	outside  jsonState = iota // between strings
	inString                  // in a string that may be a name
	inMember                  // in the value of a wanted name
	inRest                    // in what was cut off from such a value
)

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

// between reads a byte outside of strings.
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
	o.member, o.colon = false, false
}

// inside reads a byte of a string.
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

func (o *object) endString(found func(string)) {
	if o.state == inString {
		o.member = o.depth == 1 && len(o.text.b) < maxText && o.wanted(unquote(o.text.String()))
	}
	if o.state == inMember {
		found(unquote(o.text.String()))
	}
	o.state = outside
}

// end finds nothing: a string without its closing quote is no value.
func (o *object) end(func(string)) { o.state = outside }

func (o *object) open() int {
	if o.state != inMember {
		return 0
	}
	return len(o.text.b)
}

// unquote decodes the escapes of a string. A string with a broken one stays as it is.
func unquote(s string) string {
	var plain string
	if json.Unmarshal([]byte(`"`+s+`"`), &plain) != nil {
		return s
	}
	return plain
}
