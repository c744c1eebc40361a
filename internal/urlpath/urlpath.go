// Package urlpath is the one reader of request paths. A request gets past a rule
// when the gate and the upstream disagree about what its path names. So every room
// that has to know that asks here: the rules, the routes, where to go after a
// login, and which requests keep a session alive.
//
// A plain path means the same to every reader (Plain). Any other has all the
// interpretations that some upstream is known to come to, and a bound from above:
// the places that a reader could end at, whatever it decodes, resolves, cuts or
// drops (Interpret). A request has to be refused only where two interpretations
// lead to different decisions.
package urlpath

import "strings"

// Plain reports whether a path has one interpretation only. It begins with a
// slash; it holds no escapes, parameters, backslashes and bytes beyond ASCII; no
// segment but the last is empty, is a dot segment, or ends in a dot; and no script
// stands before a further segment (/index.php/admin). The zero path is not plain.
//
// It is called for every request, and takes one scan without allocations.
func Plain(path string) bool {
	if path == "" || path[0] != '/' {
		return false
	}
	lastDot := 0 // in this segment; 0: none
	for i := 1; i < len(path); i++ {
		switch c := path[i]; kinds[c] {
		case ordinary:
		case slash:
			if before := path[i-1]; before == '/' || before == '.' || lastDot > 0 && IsScript(path[lastDot:i]) {
				return false
			}
			lastDot = 0
		case dot: // one in front of a name is fine
			if i+1 == len(path) || path[i+1] == '/' || path[i+1] == '.' && path[i-1] == '/' {
				return false
			}
			lastDot = i
		case dollar:
			if path[i-1] == ':' { // NTFS: /admin::$INDEX_ALLOCATION
				return false
			}
		default:
			return false
		}
	}
	return true
}

type kind byte

const (
	special kind = iota // not plain
	ordinary
	slash
	dot
	dollar
)

// kinds holds the kind of each byte; what is not listed is special.
var kinds = func() (t [256]kind) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~!&'()*+,=:@") {
		t[c] = ordinary
	}
	t['/'], t['.'], t['$'] = slash, dot, dollar
	return t
}()

// IsScript reports whether a file with this extension (.php, in any letter case) may
// be a program that takes the rest of the path for its PATH_INFO (RFC 3875, 4.1.5).
func IsScript(ext string) bool {
	if len(ext) < 3 || len(ext) > 6 {
		return false
	}
	switch strings.ToLower(ext) {
	case ".php", ".php3", ".php4", ".php5", ".php7", ".php8", ".phtml", ".cgi", ".fcgi", ".pl", ".py", ".rb",
		".asp", ".aspx", ".ashx", ".asmx", ".jsp", ".jspx", ".cfm", ".exe", ".dll":
		return true
	}
	return false
}

// WellFormed reports whether a path, as it is sent, follows RFC 3986, 3.3, as far
// as readers depend on it: it begins with a slash, and has no broken escape and no
// byte that a path cannot hold (a backslash, #, spaces and controls). Bytes beyond
// ASCII are not allowed there either, but they are common and mean the same to
// every reader. Every other path is to be refused.
func WellFormed(path string) bool {
	if path == "" || path[0] != '/' {
		return false
	}
	for i := 0; i < len(path); i++ {
		switch c := path[i]; {
		case c == '%':
			if hexNumber(path, i+1, 2) < 0 {
				return false
			}
			i += 2
		case c == '\\', c == '#', c <= ' ', c == 0x7f:
			return false
		}
	}
	return true
}
