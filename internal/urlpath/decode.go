package urlpath

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// Decode decodes the escapes of s once: %2F, and %u002f as JavaScript writes it and
// IIS reads it. A broken escape stays as it is: a path that was sent has none
// (WellFormed), but one that was decoded before may, and some readers leave them
// alone.
func Decode(s string) string {
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

// decodeUnit decodes the %uXXXX that s begins with, or two that are a surrogate
// pair. n is how many bytes they take; 0 if there is none.
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

// hexNumber returns the value of that many hexadecimal digits from s[i] on; -1 if
// they are not there.
func hexNumber(s string, i, digits int) int {
	if i+digits > len(s) {
		return -1
	}
	n := 0
	for j := i; j < i+digits; j++ {
		d := Unhex(s[j])
		if d < 0 {
			return -1
		}
		n = n<<4 | d
	}
	return n
}

// opaque decodes only those bytes that cannot stand in a path unescaped. So even a
// reader that compares paths without decoding them means these bytes by their
// escapes: /%C3%BCber is /über to every reader, but /%61 is not /a to all of them.
func opaque(s string) string {
	return decodeSome(s, func(c byte) bool { return c >= utf8.RuneSelf || isOpaque(c) })
}

// isOpaque reports whether c is an ASCII character that cannot stand in a path
// unescaped (RFC 3986, 3.3), and that no reader takes for a part of its structure.
func isOpaque(c byte) bool { return strings.IndexByte(" \"<>^`{|}", c) >= 0 }

// decodeBut decodes all escapes except those of the characters in keep.
func decodeBut(s, keep string) string {
	return decodeSome(s, func(c byte) bool { return strings.IndexByte(keep, c) < 0 })
}

// decodeUnreserved decodes the escapes of unreserved characters (RFC 3986, 2.3).
func decodeUnreserved(s string) string {
	return decodeSome(s, func(c byte) bool { return isAlnum(c) || strings.IndexByte("-._~", c) >= 0 })
}

func isAlnum(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// decodeSome decodes the escapes of those bytes for which want returns true.
func decodeSome(s string, want func(c byte) bool) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' {
			if n := hexNumber(s, i+1, 2); n >= 0 && want(byte(n)) { //nolint:gosec // G115: two digits
				b = append(b, byte(n)) //nolint:gosec // G115: two digits
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

// decodeAll decodes until there is nothing left to decode, in one pass: an escape
// that others decode to is decoded as soon as it is complete. The time is linear
// in the length of s, however deep the escapes are nested.
func decodeAll(s string) string {
	if strings.IndexByte(s, '%') < 0 {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := range len(s) {
		b = append(b, s[i])
		for {
			short := closeEscape(b)
			if short == nil {
				break
			}
			b = short
		}
	}
	return string(b)
}

// closeEscape returns b with the escape at its end decoded; nil if there is none.
func closeEscape(b []byte) []byte {
	if n := len(b) - 3; n >= 0 && b[n] == '%' {
		if c := hexNumber(string(b[n:]), 1, 2); c >= 0 {
			return append(b[:n], byte(c)) //nolint:gosec // G115: two digits
		}
	}
	n := len(b) - 6
	if n < 0 || b[n] != '%' {
		return nil
	}
	r, size := decodeUnit(string(b[n:]))
	switch {
	case size == 0 || utf16.IsSurrogate(r) && r < 0xdc00: // the other half is to come
		return nil
	case utf16.IsSurrogate(r) && n >= 6:
		if pair, size := decodeUnit(string(b[n-6:])); size == 12 {
			return utf8.AppendRune(b[:n-6], pair)
		}
	}
	return utf8.AppendRune(b[:n], r)
}

// Unhex returns the value of a hexadecimal digit; -1 if c is none.
func Unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c && c <= 'f':
		return int(c-'a') + 10
	case 'A' <= c && c <= 'F':
		return int(c-'A') + 10
	default:
		return -1
	}
}
