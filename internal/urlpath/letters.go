package urlpath

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// lookalikes are what Windows' best fit to a code page makes slashes of, which
// Unicode does not; the yen and the won stand where ASCII has the backslash.
var lookalikes = strings.NewReplacer("\u2044", "/", "\u2215", "/", "\u2216", `\`, "\u00a5", `\`, "\u20a9", `\`)

// foldForms gives the compatibility forms: U+FF0F is a slash, U+2025 is two
// dots, and so on.
func foldForms(s string) string {
	if isASCII(s) {
		return s
	}
	return lookalikes.Replace(norm.NFKC.String(s))
}

// plainLetters are letters whose marks Unicode does not take apart, and what
// code pages, collations and makers of slugs write in their place.
var plainLetters = strings.NewReplacer("ß", "ss", "ẞ", "SS", "æ", "ae", "Æ", "AE", "œ", "oe", "Œ", "OE", "ø", "o", "Ø", "O", "ł", "l", "Ł", "L",
	"đ", "d", "Đ", "D", "ð", "d", "Ð", "D", "ħ", "h", "Ħ", "H", "ŧ", "t", "Ŧ", "T", "þ", "th", "Þ", "TH")

// dropMarks takes the marks off letters (/ádmin is /admin to WordPress, to the
// collations of many databases and to Windows' best fit), and drops what is not
// seen: controls and spaces beyond ASCII, joiners, and bytes that are no
// character.
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

// dropBroken drops the bytes of a name that are no character. Where nothing but
// dots would be left they stay: who drops them there would have opened every
// file to everybody.
func dropBroken(name string) string {
	if valid := strings.ToValidUTF8(name, ""); strings.Trim(decodeAll(valid), ".") != "" {
		return valid
	}
	return name
}

// isMark reports whether r is no letter of its own.
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
