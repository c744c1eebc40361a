package urlpath

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// CutPrefixFold returns s without the prefix; s and false if s does not begin with
// it. They are compared as a reader that ignores letter case could: by Unicode's
// simple folding (which makes ſ an s, and the Kelvin sign a k), and with the
// Turkish ı and İ as an i, as they are to Python's regular expressions and others.
// The prefix may be longer in s than in prefix, because letters that fold to the
// same may differ in length.
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

// Fold returns the one spelling of all strings that CutPrefixFold takes for s.
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
			b.WriteString(s[i : i+n]) // invalid UTF-8 stays as it is
			continue
		}
		b.WriteRune(fold(r))
	}
	return b.String()
}

// fold returns the one rune that stands for all runes which differ from r by letter
// case alone.
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

// Below reports whether path is prefix or lies below it, by whole segments and
// compared as CutPrefixFold does: /a/b and /A lie below /a, and /ab does not. prefix
// has no slash at its end; everything lies below "".
func Below(path, prefix string) bool {
	rest, ok := CutPrefixFold(path, prefix)
	return ok && (rest == "" || rest[0] == '/')
}

// CutPrefix returns path without a prefix of whole segments, compared byte for
// byte; "/" if nothing else is left. ok is false if path does not lie below
// prefix. prefix has no slash at its end.
func CutPrefix(path, prefix string) (rest string, ok bool) {
	rest, ok = strings.CutPrefix(path, prefix)
	if rest == "" {
		return "/", ok
	}
	return rest, ok && rest[0] == '/'
}
