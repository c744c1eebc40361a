package account

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"
)

// lookalikes maps Cyrillic and Greek letters to the Latin ones that many fonts
// draw alike, and Latin characters that resemble each other to one of them: I, 1
// and i to l, 0 to o. It is the part of Unicode's confusables (UTS #39) that
// occurs in people's names.
var lookalikes = strings.NewReplacer(
	"а", "a", "А", "a", "В", "b", "в", "b", "с", "c", "С", "c", "ԁ", "d", "е", "e", "Е", "e", "һ", "h", "Н", "h", "н", "h",
	"і", "l", "І", "l", "ӏ", "l", "Ӏ", "l", "ј", "j", "Ј", "j", "к", "k", "К", "k", "М", "m", "м", "m", "о", "o", "О", "o",
	"р", "p", "Р", "p", "ԛ", "q", "ѕ", "s", "Ѕ", "s", "Т", "t", "т", "t", "ԝ", "w", "х", "x", "Х", "x", "у", "y", "У", "y",
	"α", "a", "Α", "a", "Β", "b", "ε", "e", "Ε", "e", "Ζ", "z", "Η", "h", "ι", "l", "Ι", "l", "κ", "k", "Κ", "k", "Μ", "m",
	"ν", "v", "Ν", "n", "ο", "o", "Ο", "o", "ρ", "p", "Ρ", "p", "Τ", "t", "τ", "t", "υ", "u", "Υ", "y", "χ", "x", "Χ", "x",
	"I", "l", "i", "l", "ı", "l", "1", "l", "|", "l", "0", "o",
)

// Look returns a key for what a name looks like. Names with the same key are
// easily mistaken for each other: they differ only in case, accents or letters
// that resemble each other. Use it for warnings only, never to compare names:
// different people may have names that look alike.
func Look(name string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(name) {
		if !unicode.Is(unicode.Mn, r) {
			b.WriteRune(r)
		}
	}
	look := lookalikes.Replace(strings.ToLower(lookalikes.Replace(b.String())))
	return strings.NewReplacer("rn", "m", "vv", "w").Replace(look)
}
