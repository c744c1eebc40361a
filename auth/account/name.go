package account

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// MaxName is the longest name of an account in bytes, after normalization.
const MaxName = 256

// NormalizeName returns the canonical spelling of an account's name: NFKC, so
// that a full-width "ａlice" is alice (as in Django's UsernameField). Case is
// kept: Alice and alice are two names. All names must be normalized before they
// are compared or stored.
//
// The error says why the text is no valid name: it is empty, longer than MaxName,
// not UTF-8, begins or ends with a space, or has control, format or invisible
// characters, which could forge log lines or imitate another name.
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

// invisible reports whether a character is not drawn: Unicode's
// Default_Ignorable_Code_Point, except those of category Cf, which HasControl
// finds, and the blank Braille pattern.
func invisible(r rune) bool {
	return r > 0x7f && (r == '\u2800' || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector))
}

// plainName reports whether the name is in NFKC already. It is fast for ASCII.
func plainName(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return norm.NFKC.IsNormalString(s)
		}
	}
	return true
}

// HasControl reports whether a text has a control, format or line-breaking
// character (Cc, Cf, Zl, Zp). Such a text could break a line of a log or a header,
// or be displayed as something else than it is.
func HasControl(s string) bool {
	return strings.ContainsFunc(s, func(r rune) bool {
		return r < ' ' || r == 0x7f || r > 0x7f && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
	})
}
