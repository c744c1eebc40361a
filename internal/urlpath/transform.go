package urlpath

import (
	"strings"
	"unicode/utf8"
)

// A transform is something that an upstream does to a path on the way to the
// place that it names.
type transform struct {
	name string
	// apply returns what it makes of a path: the same string when there is
	// nothing to do.
	apply   func(string) string
	decodes bool
	rare    bool // what it gives can only refuse
}

// transforms are what upstreams are known to do, each with an example of where.
var transforms = [...]transform{
	{name: "decoded", apply: Decode, decodes: true},                                                         // everybody; twice behind another proxy
	{name: "decoded but for %2F", apply: func(s string) string { return decodeBut(s, "/") }, decodes: true}, // Apache AllowEncodedSlashes NoDecode, Tomcat passthrough
	{name: "decoded but for %5C", apply: func(s string) string { return decodeBut(s, `\`) }, decodes: true}, // Tomcat, and whoever knows Windows
	{name: "decoded where it need not be escaped", apply: decodeUnreserved, decodes: true},                  // RFC 3986, 6.2.2.2; WHATWG URL for dots
	{name: "backslash as slash", apply: func(s string) string { return strings.ReplaceAll(s, `\`, "/") }},   // IIS, browsers
	{name: "parameters cut", apply: cutParameters},                                                          // Java servlets
	{name: "slashes merged", apply: mergeSlashes},                                                           // nginx, Apache
	{name: "dot segments resolved", apply: resolveDots},                                                     // RFC 3986, 5.2.4
	{name: "controls and spaces dropped", apply: dropControls},                                              // WHATWG URL, some C code
	{name: "cut at NUL", apply: func(s string) string { return cutAt(s, "\x00") }},                          // C strings
	{name: "cut at #", apply: func(s string) string { return cutAt(s, "#") }},                               // a second URL parser
	{name: "cut at ?", apply: func(s string) string { return cutAt(s, "?") }},                               // the same
	{name: "dots and spaces at the end of names cut", apply: trimNames},                                     // Windows
	{name: "overlong UTF-8 folded", apply: foldOverlong},                                                    // old Java, old IIS
	{name: "compatibility forms folded", apply: foldForms},                                                  // frameworks that normalize to NFKC, Windows code pages
	{name: "streams cut", apply: cutStreams},                                                                // NTFS
	{name: "marks and invisible characters dropped", apply: dropMarks, rare: true},                          // WordPress, collations of databases, HFS+
	{name: "all parameters cut", apply: func(s string) string { return cutAt(s, ";") }, rare: true},
	{name: "authority cut", apply: cutLeadingAuthority, rare: true}, // code that parses the path as a URL
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

// HasDotSegments reports whether a segment of an absolute path is . or ..
func HasDotSegments(s string) bool {
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
	if !HasDotSegments(s) {
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

// cutLeadingAuthority reads //name/path as a URL without a scheme. The parser
// of the WHATWG skips any number of slashes before the name.
func cutLeadingAuthority(s string) string {
	if !strings.HasPrefix(s, "//") {
		return s
	}
	rest := strings.TrimLeft(s, "/")
	if i := strings.IndexByte(rest, '/'); i >= 0 {
		return rest[i:]
	}
	return "/"
}
