package engine

import (
	"net/textproto"
	"strings"
)

// What a character is in a token (RFC 9110, 5.6.2): in a method or a field
// name.
const (
	notInToken = 0
	inToken    = 1
	lower      = 2
	capital    = 4
)

var tokenChars = func() (t [256]byte) {
	for _, c := range []byte("!#$%&'*+-.^_`|~0123456789") {
		t[c] = inToken
	}
	for c := byte('a'); c <= 'z'; c++ {
		t[c], t[c-'a'+'A'] = lower, capital
	}
	return t
}()

func validName(s string) bool {
	for i := range len(s) {
		if tokenChars[s[i]] == notInToken {
			return false
		}
	}
	return s != ""
}

// canonicalName gives a field name as net/http spells it; false: it is no
// name. Most names come in that spelling, and are looked at only once.
func canonicalName(s string) (string, bool) {
	var strange byte // what kinds of letters stand where the other kind belongs
	wrong := byte(lower)
	for i := range len(s) {
		kind := tokenChars[s[i]]
		if kind == notInToken {
			return s, false
		}
		strange |= kind & wrong
		if wrong = capital; s[i] == '-' {
			wrong = lower // a word begins
		}
	}
	if strange != 0 {
		s = textproto.CanonicalMIMEHeaderKey(s)
	}
	return s, s != ""
}

// oneLine says whether a value stays in its line, however it is read.
func oneLine(s string) bool {
	return strings.IndexByte(s, '\n') < 0 && strings.IndexByte(s, '\r') < 0 && strings.IndexByte(s, 0) < 0
}

// validValue refuses control characters, CR, LF and NUL among them, but lets
// tabs and everything beyond ASCII pass (RFC 9110, 5.5).
func validValue(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < ' ' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// validTarget refuses what would end a request line, or split it.
func validTarget(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == 0x7f {
			return false
		}
	}
	return s != ""
}
