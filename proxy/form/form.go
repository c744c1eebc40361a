// Package form finds fields in the body of a form while it streams, in constant
// memory, as far as somebody may want to know of them before an application
// does.
//
// Applications read forms in many ways. So the package does not parse: it finds
// whatever some reader could take for a field, and does not mind to find more.
package form

import (
	"iter"
	"strings"

	"gatehouse/internal/urlpath"
)

// maxText is how many bytes of a name or a value are looked at, as they are
// written.
const maxText = 256

// Cut is the end of a value that is longer than what is looked at.
const Cut = "..."

// A Scanner looks for the fields of a form that bear a wanted name. One that
// stands there several times is found as often.
type Scanner struct {
	parsers []parser // one for each kind of form that readers may take the body for
	found   []string
}

// A parser reads one kind of form.
type parser interface {
	// scan takes the next piece of the body.
	scan(p []byte, found func(value string))
	// end takes the end of the body.
	end(found func(value string))
	// open returns how many of the bytes that were seen last belong to the
	// value of a wanted field which has not ended.
	open() int
}

// New returns a Scanner for a body with these values of Content-Type, none of
// them included; nil where nobody reads a form from such a body. wanted is asked
// about the names of fields, decoded.
func New(types []string, wanted func(name string) bool) *Scanner {
	s := &Scanner{}
	if len(types) == 0 {
		types = []string{""}
	}
	var isURLEncoded, isMultipart, isJSON bool
	for _, t := range types {
		t = strings.ToLower(strings.TrimSpace(t))
		switch {
		case strings.Contains(t, "multipart/"):
			isMultipart = true
			if !strings.Contains(t, "boundary") { // Rack
				isURLEncoded = true
			}
		case strings.Contains(t, "json"): // Laravel
			isJSON = true
		case t == "", strings.Contains(t, "urlencoded"): // without a type: Rack, CGI
			isURLEncoded = true
		}
	}
	if isURLEncoded {
		s.parsers = append(s.parsers, &urlEncoded{wanted: wanted})
	}
	if isMultipart {
		s.parsers = append(s.parsers, &multiPart{wanted: wanted})
	}
	if isJSON {
		s.parsers = append(s.parsers, &object{wanted: wanted})
	}
	if len(s.parsers) == 0 {
		return nil
	}
	return s
}

// Scan takes the next piece of the body, and returns the values of wanted
// fields that end in it. One that is too long to be looked at ends in Cut.
func (s *Scanner) Scan(p []byte) []string {
	s.found = s.found[:0]
	for _, parser := range s.parsers {
		parser.scan(p, s.take)
	}
	return s.found
}

// End takes the end of the body, and returns the values that end with it.
func (s *Scanner) End() []string {
	s.found = s.found[:0]
	for _, parser := range s.parsers {
		parser.end(s.take)
	}
	return s.found
}

func (s *Scanner) take(value string) { s.found = append(s.found, value) }

// Open returns how many of the bytes that were seen last belong to the value of
// a wanted field which has not ended: 256 at most. An application that gets
// half a body has read no such field if they are kept from it.
func (s *Scanner) Open() (n int) {
	for _, parser := range s.parsers {
		n = max(n, parser.open())
	}
	return n
}

// Pairs returns the fields of text in application/x-www-form-urlencoded, which
// may be a query, decoded. A semicolon separates them as well, as it does for
// some.
func Pairs(text string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for pair := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == '&' || r == ';' }) {
			name, value, _ := strings.Cut(pair, "=")
			if !yield(unescape(name), unescape(value)) {
				return
			}
		}
	}
}

// unescape decodes a name or a value of a form. What is no escape stays.
func unescape(s string) string { return urlpath.Decode(strings.ReplaceAll(s, "+", " ")) }

// A text is a name or a value as it comes in.
type text struct{ b []byte }

// add appends c; false: it is full.
func (t *text) add(c byte) bool {
	if len(t.b) == maxText {
		return false
	}
	t.b = append(t.b, c)
	return true
}

func (t *text) clear() { t.b = t.b[:0] }

func (t *text) String() string { return string(t.b) }
