// Package httpfield holds the syntax of HTTP fields: tokens, field names and
// values, lists, hosts, origins and request targets. The rooms that have to
// agree about one of them ask here, so that there is one reader of each.
package httpfield

import "net/textproto"

// The classes of the characters of a token (RFC 9110, 5.6.2). They are bits, so
// that CanonicalName can collect them.
const (
	notInToken   = 0
	otherInToken = 1 // digits and signs
	lowerCase    = 2
	upperCase    = 4
)

var tokenChars = func() (t [256]byte) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789") {
		t[c] = otherInToken
	}
	for c := byte('a'); c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = lowerCase, upperCase
	}
	return t
}()

// IsToken reports whether s is a token (RFC 9110, 5.6.2), as a method, the name
// of a field and the name of a cookie have to be. The empty string is none.
func IsToken(s string) bool {
	for i := range len(s) {
		if tokenChars[s[i]] == notInToken {
			return false
		}
	}
	return s != ""
}

// IsTokenChar reports whether c may stand in a token.
func IsTokenChar(c byte) bool { return tokenChars[c] != notInToken }

// IsAlphanumeric reports whether c is one of A-Z, a-z and 0-9.
func IsAlphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// IsProtocol reports whether s can stand in Upgrade (RFC 9110, 7.8): a token,
// perhaps with a version behind a slash.
func IsProtocol(s string) bool {
	for i := range len(s) {
		if !IsTokenChar(s[i]) && s[i] != '/' {
			return false
		}
	}
	return s != "" && s[0] != '/'
}

// maxMethod is the length of the longest method that IsMethod accepts.
const maxMethod = 32

// IsMethod reports whether s is a method as all that are registered are: capital
// letters, and behind the first one - and _ and digits, 32 bytes at most. RFC
// 9110, 9.1, allows every token, but no client of ours needs one, and readers
// disagree about methods in lower case.
func IsMethod(s string) bool {
	for i := range len(s) {
		c := s[i]
		if ('A' > c || c > 'Z') && (i == 0 || c != '-' && c != '_' && ('0' > c || c > '9')) {
			return false
		}
	}
	return s != "" && len(s) <= maxMethod
}

// CanonicalName returns the name of a field as net/http spells it
// (textproto.CanonicalMIMEHeaderKey); false if it is no token. Most names come
// in that spelling, and cost one scan.
func CanonicalName(s string) (name string, ok bool) {
	var misplaced byte // the classes of letters that stand where the other case belongs
	wrong := byte(lowerCase)
	for i := range len(s) {
		class := tokenChars[s[i]]
		if class == notInToken {
			return s, false
		}
		misplaced |= class & wrong
		if wrong = upperCase; s[i] == '-' {
			wrong = lowerCase // a word begins
		}
	}
	if misplaced != 0 {
		s = textproto.CanonicalMIMEHeaderKey(s)
	}
	return s, s != ""
}

// IsPlainName reports whether a name of a field has only characters that all
// readers take for themselves: A-Z, a-z, 0-9 and -. FoldName changes no more than
// letter case in it.
func IsPlainName(name string) bool {
	for i := range len(name) {
		if !IsAlphanumeric(name[i]) && name[i] != '-' {
			return false
		}
	}
	return true
}

// FoldName returns the spelling by which names of fields are compared where one
// must not pass for another: every character but A-Z, a-z and 0-9 is a -, and
// the rest is spelled as in CanonicalName. CGI and WSGI take - and _ for the
// same, some servers take every odd character for _, and nobody cares for
// letter case. X-User, x_user and X.USER fold to X-User.
func FoldName(name string) string {
	if IsPlainName(name) {
		return textproto.CanonicalMIMEHeaderKey(name)
	}
	b := []byte(name)
	for i, c := range b {
		if !IsAlphanumeric(c) {
			b[i] = '-'
		}
	}
	return textproto.CanonicalMIMEHeaderKey(string(b))
}
