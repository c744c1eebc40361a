package config

import (
	"bytes"
	"unicode/utf8"
)

// utf8BOM is the byte order mark that some editors write.
var utf8BOM = []byte("\xef\xbb\xbf")

// checkSource checks the bytes before the YAML parser sees them, and returns them
// without a byte order mark; false if they must not be parsed. What passes is
// text whose lines are counted alike everywhere, and little enough that the
// parser needs only a moment: the parser's memory grows with the number of lines,
// entries and comments rather than with the size, and %TAG lines cost it
// quadratic time.
func checkSource(data []byte, r *reporter) ([]byte, bool) {
	if len(data) > int(MaxFile) {
		r.bad(1, "", "the file is larger than %v; keep accounts in the database (gatehouse user add)", MaxFile)
		return nil, false
	}
	if bytes.HasPrefix(data, []byte("\xff\xfe")) || bytes.HasPrefix(data, []byte("\xfe\xff")) {
		r.bad(1, "", "the file is UTF-16; save it as UTF-8")
		return nil, false
	}
	data = bytes.TrimPrefix(data, utf8BOM)
	parts := 0
	line := 0
	for rest := range bytes.Lines(data) {
		line++
		if what := badLine(rest); what != "" {
			r.bad(line, "", "%s", what)
			if r.full() {
				return nil, false
			}
		}
		parts++
		for _, c := range rest {
			if c == ',' || c == '[' || c == '{' || c == '#' { // the parser keeps comments as well
				parts++
			}
		}
		if parts > MaxParts {
			r.bad(line, "", "more than %d lines and list entries up to here; keep accounts in the database (gatehouse user add)", MaxParts)
			return nil, false
		}
	}
	return data, len(r.problems) == 0
}

// badLine returns what is wrong with a line; "" if nothing is. The line is not
// empty.
func badLine(line []byte) string {
	if line[0] == '%' {
		return "YAML directives (a line that begins with %) are not supported; remove the line"
	}
	line = bytes.TrimSuffix(line, []byte("\n"))
	line = bytes.TrimSuffix(line, []byte("\r"))
	if !utf8.Valid(line) {
		return "the line is not UTF-8; save the file as UTF-8"
	}
	for _, c := range string(line) {
		if c == 0 {
			return "the line holds a NUL byte; remove it (is this a text file, in UTF-8?)"
		}
		if c == '\r' {
			return "the line holds a carriage return inside; end lines with a line feed"
		}
		if isControl(c) && c != '\t' {
			return "the line holds the invisible character " + codePoint(c) + "; remove it"
		}
	}
	return ""
}

// codePoint returns c as U+XXXX. It is for the characters of isControl, which
// have four digits.
func codePoint(c rune) string {
	const hex = "0123456789ABCDEF"
	return "U+" + string([]byte{hex[c>>12&15], hex[c>>8&15], hex[c>>4&15], hex[c&15]})
}
