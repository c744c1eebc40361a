// Package form finds fields in the body of a form while it streams to an application,
// in constant memory.
//
// Applications parse forms in many ways, and a strict parser would miss what a
// tolerant one finds. So the package finds everything that some parser could take for
// a wanted field. It may find more than there is, and never less.
package form

import (
	"iter"
	"strings"

	"gatehouse/internal/urlpath"
)

// maxText is how many bytes of a name or a value are looked at, before they are
// decoded.
const maxText = 256

// Cut is appended to what is returned of a value that is longer than 256 bytes.
const Cut = "..."

// A Scanner finds the fields with a wanted name. A name that stands there several times
// is found as often. It is not safe for concurrent use.
type Scanner struct {
	parsers []parser // one for each format that some application may take the body for
	found   []string // what Scan returns; used again
}

// A parser reads one format of forms.
type parser interface {
	// scan reads the next piece of the body, and calls found for each value of a wanted
	// field that ends in it.
	scan(p []byte, found func(value string))
	// end is called at the end of the body, and calls found for values that end with it.
	end(found func(value string))
	// open returns how many bytes at the end of what was read belong to the value of a
	// wanted field that has not ended.
	open() int
}

// New returns a Scanner for a body with these values of Content-Type, of which there may
// be none or several; nil if no application reads a form from such a body. wanted
// reports whether a field of this name, decoded, is looked for. It may be called with
// several spellings of one name.
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

// Scan reads the next piece of the body, and returns the values of wanted fields that
// end in it, decoded. A longer value than 256 bytes is cut there and ends in Cut. The
// slice is valid until the next call.
func (s *Scanner) Scan(p []byte) []string {
	s.found = s.found[:0]
	for _, parser := range s.parsers {
		parser.scan(p, s.take)
	}
	return s.found
}

// End is called at the end of the body, and returns the values that end with it.
func (s *Scanner) End() []string {
	s.found = s.found[:0]
	for _, parser := range s.parsers {
		parser.end(s.take)
	}
	return s.found
}

func (s *Scanner) take(value string) { s.found = append(s.found, value) }

// Open returns how many bytes at the end of what was scanned belong to the value of a
// wanted field that has not ended, 256 at most. An application that does not get them
// sees no such field, even if it accepts half a body.
func (s *Scanner) Open() (n int) {
	for _, parser := range s.parsers {
		n = max(n, parser.open())
	}
	return n
}

// Pairs yields the fields of text in application/x-www-form-urlencoded, such as a query,
// decoded. A semicolon separates fields as well, as it does to some applications.
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

// unescape decodes a name or a value. A broken escape stays as it is.
func unescape(s string) string { return urlpath.Decode(strings.ReplaceAll(s, "+", " ")) }

// A text collects a name or a value, maxText bytes at most.
type text struct{ b []byte }

// add appends c. It returns false if the text is full.
func (t *text) add(c byte) bool {
	if len(t.b) == maxText {
		return false
	}
	t.b = append(t.b, c)
	return true
}

func (t *text) clear() { t.b = t.b[:0] }

func (t *text) String() string { return string(t.b) }
