package proxy

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
)

// A step is something that an upstream does to a path on the way to the place
// that it names.
type step struct {
	name string
	// take gives what it makes of a path: the same string when there is
	// nothing to do.
	take    func(string) string
	decodes bool
	rare    bool // what it gives can only refuse
}

// steps is what upstreams are known to do, each with an example of where.
var steps = [...]step{
	{name: "decoded", take: decode, decodes: true},                                                       // everybody; twice behind another proxy
	{name: "backslash as slash", take: func(s string) string { return strings.ReplaceAll(s, `\`, "/") }}, // IIS, browsers
	{name: "parameters cut", take: cutParameters},                                                        // Java servlets
	{name: "slashes merged", take: mergeSlashes},                                                         // nginx, Apache
	{name: "dot segments resolved", take: resolveDots},                                                   // RFC 3986, 5.2.4
	{name: "controls and spaces dropped", take: dropControls},                                            // WHATWG URL, some C code
	{name: "cut at NUL", take: func(s string) string { return cutAt(s, "\x00") }},                        // C strings
	{name: "cut at #", take: func(s string) string { return cutAt(s, "#") }},                             // a second URL parser
	{name: "cut at ?", take: func(s string) string { return cutAt(s, "?") }},                             // the same
	{name: "dots and spaces at the end of names cut", take: trimNames},                                   // Windows
	{name: "overlong UTF-8 folded", take: foldOverlong},                                                  // old Java, old IIS
	{name: "compatibility forms folded", take: foldForms},                                                // frameworks that normalize to NFKC, Windows code pages
	{name: "streams cut", take: cutStreams},                                                              // NTFS
	{name: "all parameters cut", take: func(s string) string { return cutAt(s, ";") }, rare: true},
	{name: "authority cut", take: cutLeadingAuthority, rare: true}, // code that parses the path as a URL
}

// decode decodes escapes, and leaves what is none. After the first time there
// may be broken ones, which some readers refuse and others leave alone, and
// those of JavaScript (%u002f), which IIS reads.
func decode(s string) string {
	i := strings.IndexByte(s, '%')
	if i < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	b = append(b, s[:i]...)
	for i < len(s) {
		if s[i] == '%' {
			if n := hexNumber(s, i+1, 2); n >= 0 {
				b = append(b, byte(n)) //nolint:gosec // G115: two digits
				i += 3
				continue
			}
			if r, n := decodeUnit(s[i:]); n > 0 {
				b = utf8.AppendRune(b, r)
				i += n
				continue
			}
		}
		b = append(b, s[i])
		i++
	}
	return string(b)
}

// decodeUnit reads %uXXXX, two of them where they are surrogates.
func decodeUnit(s string) (r rune, n int) {
	unit := func(s string) int {
		if len(s) < 6 || s[0] != '%' || s[1] != 'u' && s[1] != 'U' {
			return -1
		}
		return hexNumber(s, 2, 4)
	}
	high := unit(s)
	if high < 0 {
		return 0, 0
	}
	if low := unit(s[6:]); low >= 0 {
		if r := utf16.DecodeRune(rune(high), rune(low)); r != utf8.RuneError { //nolint:gosec // G115: four digits
			return r, 12
		}
	}
	return rune(high), 6 //nolint:gosec // G115: four digits
}

// hexNumber reads digits hexadecimal digits of s from i; -1: they are not there.
func hexNumber(s string, i, digits int) int {
	if i+digits > len(s) {
		return -1
	}
	n := 0
	for _, c := range []byte(s[i : i+digits]) {
		d := unhex(c)
		if d < 0 {
			return -1
		}
		n = n<<4 | d
	}
	return n
}

// opaque decodes those bytes only that cannot stand in a path, so that a
// reader who compares the text has to write them as escapes as well: /%C3%BCber
// is /über even to him, but /%61 is not /a.
func opaque(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' {
			if n := hexNumber(s, i+1, 2); n >= utf8.RuneSelf || n > 0 && strings.IndexByte(" \"<>^`{|}", byte(n)) >= 0 {
				b = append(b, byte(n)) //nolint:gosec // G115: two digits
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

// cutParameters takes ;name=value off each segment.
func cutParameters(s string) string {
	if strings.IndexByte(s, ';') < 0 {
		return s
	}
	return eachName(s, func(name string) string {
		name, _, _ = strings.Cut(name, ";")
		return name
	})
}

// eachName replaces what stands between slashes.
func eachName(s string, f func(string) string) string {
	names := strings.Split(s, "/")
	for i, name := range names {
		names[i] = f(name)
	}
	return strings.Join(names, "/")
}

func mergeSlashes(s string) string {
	if !strings.Contains(s, "//") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		if s[i] != '/' || i == 0 || s[i-1] != '/' {
			b = append(b, s[i])
		}
	}
	return string(b)
}

func hasDotSegments(s string) bool {
	for i := 0; ; {
		at := strings.Index(s[i:], "/.")
		if at < 0 {
			return false
		}
		i += at + 2
		rest := s[i:]
		if rest == "" || rest[0] == '/' || rest[0] == '.' && (len(rest) == 1 || rest[1] == '/') {
			return true
		}
	}
}

// resolveDots is remove_dot_segments of RFC 3986, 5.2.4, for absolute paths.
func resolveDots(s string) string {
	if !hasDotSegments(s) {
		return s
	}
	names := strings.Split(s[1:], "/") // what s begins with is a slash
	out := names[:0]
	for i, name := range names {
		last := i == len(names)-1
		switch name {
		case ".":
		case "..":
			if len(out) > 0 {
				out = out[:len(out)-1]
			}
		default:
			out = append(out, name)
			continue
		}
		if last {
			out = append(out, "")
		}
	}
	return "/" + strings.Join(out, "/")
}

func dropControls(s string) string {
	at := strings.IndexFunc(s, isControl)
	if at < 0 {
		return s
	}
	b := append(make([]byte, 0, len(s)), s[:at]...)
	for i := at; i < len(s); i++ {
		if !isControl(rune(s[i])) {
			b = append(b, s[i])
		}
	}
	return string(b)
}

func isControl(c rune) bool { return c <= ' ' || c == 0x7f }

func cutAt(s, mark string) string {
	s, _, _ = strings.Cut(s, mark)
	return s
}

// trimNames takes dots and spaces off the end of each segment, but for those
// that have nothing else.
func trimNames(s string) string {
	if !strings.ContainsAny(s, ". ") {
		return s
	}
	return eachName(s, func(name string) string {
		if short := strings.TrimRight(name, ". "); short != "" {
			return short
		}
		return name
	})
}

// foldOverlong reads two- to four-byte forms of characters that have a one-
// byte form, as decoders did that never checked for them.
func foldOverlong(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return r == utf8.RuneError }) < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		n, c := overlong(s[i:])
		if n == 0 {
			n, c = 1, s[i]
		}
		b = append(b, c)
		i += n
	}
	return string(b)
}

func overlong(s string) (n int, c byte) {
	switch s[0] {
	case 0xc0, 0xc1:
		n = 2
	case 0xe0:
		n = 3
	case 0xf0:
		n = 4
	default:
		return 0, 0
	}
	if len(s) < n {
		return 0, 0
	}
	v := int(s[0] & 1) // of 0xc0 and 0xc1; the others bring nothing
	for i := 1; i < n; i++ {
		if s[i]&0xc0 != 0x80 {
			return 0, 0
		}
		v = v<<6 | int(s[i]&0x3f)
	}
	if v >= utf8.RuneSelf {
		return 0, 0
	}
	return n, byte(v)
}

// lookalikes are what Windows' best fit to a code page makes slashes of, which
// Unicode does not.
var lookalikes = strings.NewReplacer("\u2044", "/", "\u2215", "/", "\u2216", `\`)

// foldForms gives the compatibility forms: U+FF0F is a slash, U+2025 is two
// dots, and so on.
func foldForms(s string) string {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return lookalikes.Replace(norm.NFKC.String(s))
		}
	}
	return s
}

// cutStreams takes NTFS's names of streams off: /admin::$INDEX_ALLOCATION is
// /admin.
func cutStreams(s string) string {
	if !strings.Contains(s, ":$") {
		return s
	}
	return eachName(s, func(name string) string {
		if strings.Contains(name, ":$") {
			name, _, _ = strings.Cut(name, ":")
		}
		return name
	})
}

// cutLeadingAuthority reads //name/path as a URL without a scheme.
func cutLeadingAuthority(s string) string {
	rest, ok := strings.CutPrefix(s, "//")
	if !ok {
		return s
	}
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		return rest[i:]
	}
	return "/"
}
