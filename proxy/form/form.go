// Package form finds fields in the body of a form while it streams to an
// application, in constant memory.
//
// Applications parse forms in many ways, and a strict parser would miss fields that
// a tolerant one finds. The package therefore finds everything that any parser
// could take for a wanted field. It may report a field that is not there, but never
// misses one.
package form

import (
	"iter"
	"strings"

	"gatehouse/internal/urlpath"
)

// maxText is how many bytes of a name or a value are kept, before decoding.
const maxText = 256

// Cut is appended to a value that was truncated because it is longer than 256
// bytes.
const Cut = "..."

// A Scanner finds the fields with a wanted name. A field that occurs several times
// is reported each time. It is not safe for concurrent use.
type Scanner struct {
	parsers []parser // one for each format that an application may parse the body as
	found   []string // what Scan and End return; reused
}

// A parser incrementally parses one format of forms.
type parser interface {
	// scan parses the next piece of the body. It calls found with each value of a
	// wanted field that ends in the piece.
	scan(p []byte, found func(value string))
	// end is called at the end of the body. It calls found with a value that ends
	// there.
	end(found func(value string))
	// open returns how many of the last bytes scanned belong to the value of a
	// wanted field that is not complete yet.
	open() int
}

// New returns a Scanner for a body with these values of Content-Type; there may be
// none or several. It returns nil if no application parses such a body as a form.
// wanted reports whether the field with this decoded name is looked for. It is
// called with several spellings of one name where parsers disagree.
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

// Scan scans the next piece of the body and returns the decoded values of the
// wanted fields that end in it. A value longer than 256 bytes is truncated and ends
// in Cut. The slice is valid until the next call of Scan or End.
func (s *Scanner) Scan(p []byte) []string {
	s.found = s.found[:0]
	for _, parser := range s.parsers {
		parser.scan(p, s.take)
	}
	return s.found
}

// End must be called at the end of the body. It returns the values that end there,
// valid until the next call.
func (s *Scanner) End() []string {
	s.found = s.found[:0]
	for _, parser := range s.parsers {
		parser.end(s.take)
	}
	return s.found
}

// take collects a value for the result of Scan or End.
func (s *Scanner) take(value string) { s.found = append(s.found, value) }

// Open returns how many of the last bytes scanned belong to the value of a wanted
// field that is not complete yet, 256 at most; 0 if there is none. If the caller
// withholds these bytes, even an application that accepts a truncated body sees no
// such field.
func (s *Scanner) Open() (n int) {
	for _, parser := range s.parsers {
		n = max(n, parser.open())
	}
	return n
}

// Pairs yields the decoded names and values of text, which is a query or a body in
// application/x-www-form-urlencoded. Semicolons separate fields too, as they do in
// some applications. A field without "=" has the value "".
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

// unescape decodes a name or a value. A malformed escape is kept as it is.
func unescape(s string) string { return urlpath.Decode(strings.ReplaceAll(s, "+", " ")) }

// A text collects the first maxText bytes of a name or a value.
type text struct{ b []byte }

// add appends c, or returns false if the text is full.
func (t *text) add(c byte) bool {
	if len(t.b) == maxText {
		return false
	}
	t.b = append(t.b, c)
	return true
}

// clear empties the text but keeps its memory.
func (t *text) clear() { t.b = t.b[:0] }

func (t *text) String() string { return string(t.b) }
