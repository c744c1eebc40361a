package httpfield

import (
	"iter"
	"strings"
)

// IsOneLine reports whether a value holds no CR, LF or NUL, by which a reader
// could take it for more than one line (RFC 9110, 5.5).
func IsOneLine(s string) bool {
	return strings.IndexByte(s, '\n') < 0 && strings.IndexByte(s, '\r') < 0 && strings.IndexByte(s, 0) < 0
}

// IsValue reports whether a value holds no control character but tabs (RFC
// 9110, 5.5). Bytes beyond ASCII are allowed.
func IsValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// TrimOWS returns s without the spaces and tabs at its ends, which RFC 9110,
// 5.6.3, calls optional whitespace. It is strings.Trim(s, " \t"), which takes
// longer to prepare the set of what it trims than this takes to trim it.
func TrimOWS(s string) string {
	for s != "" && (s[0] == ' ' || s[0] == '\t') {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == ' ' || s[len(s)-1] == '\t') {
		s = s[:len(s)-1]
	}
	return s
}

// Elements yields the elements of a list (RFC 9110, 5.6.1) that stands in one
// line or several, without the whitespace around them. Empty elements are no
// elements. Commas in quoted strings separate as well, so that it is for lists
// of tokens and the like only.
func Elements(lines []string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, line := range lines {
			for element := range strings.SplitSeq(line, ",") {
				if element = TrimOWS(element); element != "" && !yield(element) {
					return
				}
			}
		}
	}
}

// HasToken reports whether a list of tokens, in one line or several, holds
// token in whatever letter case. Parameters behind a semicolon are ignored, as
// in TE: trailers;q=0.5.
func HasToken(lines []string, token string) bool {
	return hasElement(lines, func(element string) bool {
		element, _, _ = strings.Cut(element, ";")
		return strings.EqualFold(TrimOWS(element), token)
	})
}

// HasBareToken is HasToken for lists whose tokens have no parameters, such as
// Connection: there, one with a parameter is none.
func HasBareToken(lines []string, token string) bool {
	return hasElement(lines, func(element string) bool { return strings.EqualFold(TrimOWS(element), token) })
}

func hasElement(lines []string, is func(element string) bool) bool {
	for _, line := range lines {
		for element := range strings.SplitSeq(line, ",") {
			if is(element) {
				return true
			}
		}
	}
	return false
}
