package urlpath

import (
	"strings"
	"unicode/utf8"
)

// A transform is something that upstreams do to a path before they use it.
type transform struct {
	name    string
	apply   func(path string) string // returns path itself when there is nothing to do
	decodes bool                     // it decodes escapes, which is done maxDecodings times at most
	rare    bool                     // few upstreams do it: the result is DenyOnly
}

// transforms are those that upstreams are known to apply. Each is followed by an
// example of who does it.
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

// cutParameters cuts each segment at its first semicolon.
func cutParameters(s string) string {
	if strings.IndexByte(s, ';') < 0 {
		return s
	}
	return eachName(s, func(name string) string {
		name, _, _ = strings.Cut(name, ";")
		return name
	})
}

// eachName replaces each segment by what f returns for it.
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

// dotEscapes decodes the escapes of a dot alone.
var dotEscapes = strings.NewReplacer("%2e", ".", "%2E", ".")

// MayHaveDotSegments reports whether a segment of a path, as it is sent, is a dot
// segment to browsers or servers: . or .. with dots that may be escaped (%2e, WHATWG
// URL) and parameters behind a semicolon (..;x, Java servlets).
func MayHaveDotSegments(path string) bool {
	return HasDotSegments(cutParameters(dotEscapes.Replace(path)))
}

// MayBeginWithHost reports whether the first segment of a path, as it is sent, is
// empty or has parameters only, and is not the last one. In a reference to a URL
// (RFC 3986, 4.2) what follows is a host: //host/path.
func MayBeginWithHost(path string) bool {
	return strings.HasPrefix(cutParameters(path), "//")
}

// HasDotSegments reports whether a segment of an absolute path is . or .., in
// this very spelling.
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

// resolveDots resolves dot segments in an absolute path (RFC 3986, 5.2.4).
func resolveDots(s string) string {
	if !HasDotSegments(s) {
		return s
	}
	names := strings.Split(s[1:], "/") // s begins with a slash
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

// trimNames cuts dots and spaces at the end of each segment. A segment of nothing
// else stays as it is.
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

// foldOverlong decodes ASCII characters that are written in two to four bytes of
// UTF-8 (%C0%AF for a slash), as decoders do that don't check for such overlong
// forms (RFC 3629, 3).
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

// overlong returns the ASCII character whose overlong form s begins with, and the
// length of that form; n is 0 if there is none.
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
	v := int(s[0] & 1) // the bit in which 0xc0 and 0xc1 differ; 0xe0 and 0xf0 have no bits to add
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

// cutStreams cuts the names of streams of NTFS: /admin::$INDEX_ALLOCATION is /admin
// on Windows.
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

// cutLeadingAuthority returns the path of //host/path, read as a URL without a
// scheme. As in the WHATWG's parser, any number of slashes stands before the host.
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
