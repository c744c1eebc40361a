// Package urlpath is the one reader of request paths. Two readers who disagree
// about a path are how a request gets past a rule, so everybody who has to know
// what a path names asks here: the rules, the routes, where to go after a login,
// and what keeps a session alive.
//
// A plain path has one reading. Any other has all those that some upstream is
// known to come to (Reading), and a bound from above: the places that a reader
// could end at whatever it decodes, resolves, cuts or drops (bound.go).
package urlpath

import "strings"

// Plain reports whether a path has one reading only: it holds no escapes,
// parameters, backslashes and bytes beyond ASCII; no segment is empty (but the
// last), is a dot segment, or ends in a dot; and no script stands before a
// further segment (/index.php/admin).
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

// kinds is what Plain looks for, by character.
var kinds = func() (t [256]kind) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_~!&'()*+,=:@") {
		t[c] = ordinary
	}
	t['/'], t['.'], t['$'] = slash, dot, dollar
	return t
}()

// IsScript reports whether a file with this extension is a program that may
// take the rest of the path for its PATH_INFO (RFC 3875, 4.1.5).
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

// WellFormed reports whether a path is one that no reader has to guess at. It
// is not without a slash in front, with a broken escape, or with bytes that a
// path cannot hold (a backslash, a fragment, spaces and controls). Bytes
// beyond ASCII, though not allowed either, are common and mean the same to
// everybody.
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
