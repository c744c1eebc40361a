package account

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// MaxName is how many bytes a name may have, after NFKC.
const MaxName = 256

// NormalizeName returns the one spelling of an account's name: NFKC, so that a
// full-width "ａlice" is alice (Django's UsernameField). Names are compared
// with case. An error says what a name must not be: empty, over 256 bytes,
// with a control or format character or one that is not seen (they would forge
// lines, and be twins of others in lists), or with a space at an end.
func NormalizeName(name string) (string, error) {
	if len(name) > 4*MaxName || !utf8.ValidString(name) {
		return "", errors.New("a name is UTF-8 text of at most 256 bytes")
	}
	if !plainName(name) {
		name = norm.NFKC.String(name)
	}
	if name == "" || len(name) > MaxName {
		return "", errors.New("a name has 1 to 256 bytes")
	}
	if HasControl(name) {
		return "", errors.New("a name has no control or format characters")
	}
	if strings.ContainsFunc(name, invisible) {
		return "", errors.New("a name has no invisible characters")
	}
	first, _ := utf8.DecodeRuneInString(name)
	last, _ := utf8.DecodeLastRuneInString(name)
	if unicode.IsSpace(first) || unicode.IsSpace(last) {
		return "", errors.New("a name has no space at its beginning or end")
	}
	return name, nil
}

// invisible reports whether a character is drawn as nothing: Unicode's
// Default_Ignorable_Code_Point (but for those of Cf, which HasControl knows),
// and the blank Braille pattern.
func invisible(r rune) bool {
	return r > 0x7f && (r == '\u2800' || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector))
}

// plainName reports whether NFKC would leave the name alone, quickly.
func plainName(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return norm.NFKC.IsNormalString(s)
		}
	}
	return true
}

// HasControl reports whether a text has a control, format or line-breaking
// character: it could not stand on one line, or would not look like what it is.
func HasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' || r == 0x7f || r > 0x7f && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
	})
}
