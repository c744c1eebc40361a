package urlpath

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// EqualFold reports whether readers who do not care for letter case could take
// a for b: Unicode's simple folding (which makes ſ an s, and the Kelvin sign a
// k), and the Turkish ı and İ, which Python's regular expressions and others
// take for an i.
func EqualFold(a, b string) bool {
	rest, ok := CutPrefixFold(a, b)
	return ok && rest == ""
}

// CutPrefixFold returns s without the prefix, compared as EqualFold does. The
// prefix in s may be longer than prefix itself.
func CutPrefixFold(s, prefix string) (rest string, ok bool) {
	for prefix != "" {
		if s == "" {
			return s, false
		}
		a, n := utf8.DecodeRuneInString(s)
		b, m := utf8.DecodeRuneInString(prefix)
		if a != b && fold(a) != fold(b) || a == utf8.RuneError && s[:n] != prefix[:m] {
			return s, false
		}
		s, prefix = s[n:], prefix[m:]
	}
	return s, true
}

// Fold returns s so that two strings are EqualFold when they fold to the same.
func Fold(s string) string {
	for i := range len(s) {
		if c := s[i]; 'A' <= c && c <= 'Z' || c >= utf8.RuneSelf {
			return foldAll(s)
		}
	}
	return s
}

func foldAll(s string) string {
	var b strings.Builder
	for i, r := range s {
		if r == utf8.RuneError {
			_, n := utf8.DecodeRuneInString(s[i:])
			b.WriteString(s[i : i+n]) // bytes that are no character stay as they are
			continue
		}
		b.WriteRune(fold(r))
	}
	return b.String()
}

// fold returns one rune for all those that differ by letter case alone.
func fold(r rune) rune {
	switch {
	case 'A' <= r && r <= 'Z':
		return r + 'a' - 'A'
	case r < utf8.RuneSelf:
		return r
	case r == 'ı', r == 'İ':
		return 'i'
	}
	least := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		least = min(least, next)
	}
	if 'A' <= least && least <= 'Z' {
		return least + 'a' - 'A'
	}
	return least
}

// Below reports whether path is prefix or lies below it by whole segments,
// compared as EqualFold does. The prefix has no slash at its end.
func Below(path, prefix string) bool {
	rest, ok := CutPrefixFold(path, prefix)
	return ok && (rest == "" || rest[0] == '/')
}
