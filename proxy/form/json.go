package form

import "encoding/json"

// An object reads application/json: the members of the outermost object, as far
// as their values are strings.
type object struct {
	wanted func(name string) bool
	state  jsonState
	depth  int // of objects and lists that have begun
	text   text
	quoted bool // the byte before was a backslash
	member bool // the string before was a wanted name; with colon: a value is to come
	colon  bool
}

type jsonState byte

const (
	outside  jsonState = iota // of strings
	inString                  // which may be a name
	inMember                  // the string that is the value of a wanted name
	inRest                    // of a string that was cut off
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

// between takes a byte outside of strings.
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

// inside takes a byte of a string.
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

// end tells nothing: a string that does not end is no value.
func (o *object) end(func(string)) { o.state = outside }

func (o *object) open() int {
	if o.state != inMember {
		return 0
	}
	return len(o.text.b)
}

// unquote decodes the escapes of a string; one that is broken stays as it is.
func unquote(s string) string {
	var plain string
	if json.Unmarshal([]byte(`"`+s+`"`), &plain) != nil {
		return s
	}
	return plain
}
