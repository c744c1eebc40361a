package urlpath

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// lookalikes are characters that Windows turns into a slash or backslash when it
// converts to a code page (best fit), and that have no compatibility form in
// Unicode. The yen and the won sign stand where ASCII has the backslash.
var lookalikes = strings.NewReplacer("\u2044", "/", "\u2215", "/", "\u2216", `\`, "\u00a5", `\`, "\u20a9", `\`)

// foldForms returns s in compatibility forms (NFKC): U+FF0F is a slash, U+2025 is
// two dots, and so on; lookalikes are folded as well.
func foldForms(s string) string {
	if isASCII(s) {
		return s
	}
	return lookalikes.Replace(norm.NFKC.String(s))
}

// plainLetters are letters whose marks Unicode does not decompose, and what code
// pages, collations and slug generators write in their place.
var plainLetters = strings.NewReplacer("ß", "ss", "ẞ", "SS", "æ", "ae", "Æ", "AE", "œ", "oe", "Œ", "OE", "ø", "o", "Ø", "O", "ł", "l", "Ł", "L",
	"đ", "d", "Đ", "D", "ð", "d", "Ð", "D", "ħ", "h", "Ħ", "H", "ŧ", "t", "Ŧ", "T", "þ", "th", "Þ", "TH")

// dropMarks removes the marks from letters (/ádmin is /admin to WordPress, to the
// collations of many databases and to Windows' best fit), and what is invisible:
// controls and spaces beyond ASCII, joiners, and invalid UTF-8.
func dropMarks(s string) string {
	if isASCII(s) {
		return s
	}
	letters := strings.Map(func(r rune) rune {
		if isMark(r) {
			return -1
		}
		return r
	}, norm.NFKD.String(eachName(s, dropBroken)))
	return plainLetters.Replace(norm.NFC.String(letters))
}

// dropBroken removes invalid UTF-8 from a name, unless nothing but dots would be
// left. A server that made dot segments of such names would have let everybody
// read every file long ago.
func dropBroken(name string) string {
	if valid := strings.ToValidUTF8(name, ""); strings.Trim(decodeAll(valid), ".") != "" {
		return valid
	}
	return name
}

// isMark reports whether r is a mark on a letter, or invisible.
func isMark(r rune) bool {
	return r >= utf8.RuneSelf && (unicode.In(r, unicode.Mn, unicode.Me, unicode.Cf, unicode.Cc, unicode.Other_Default_Ignorable_Code_Point) || unicode.IsSpace(r))
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
