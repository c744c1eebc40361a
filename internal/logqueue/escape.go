package logqueue

import (
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// EscapeJSON returns a writer that writes lines of JSON to w, with every character
// escaped that a terminal obeys or that is invisible: DEL, C1 controls, format
// characters such as bidirectional overrides, unusual spaces. encoding/json and log/slog
// leave them as they are. The meaning of the JSON stays the same, except that invalid
// UTF-8 becomes U+FFFD.
func EscapeJSON(w io.Writer) io.Writer { return escaper{w} }

type escaper struct{ w io.Writer }

// Write implements io.Writer.
func (e escaper) Write(line []byte) (int, error) {
	if i := firstUnusual(line); i < len(line) {
		if _, err := e.w.Write(escape(line, i)); err != nil {
			return 0, err //nolint:wrapcheck // a writer between two others
		}
		return len(line), nil
	}
	return e.w.Write(line) //nolint:wrapcheck // a writer between two others
}

// firstUnusual returns the index of the first byte that is not plain ASCII.
func firstUnusual(line []byte) int {
	for i, c := range line {
		if c >= 0x7f {
			return i
		}
	}
	return len(line)
}

// escape returns line with the characters from index from on escaped.
func escape(line []byte, from int) []byte {
	out := make([]byte, 0, len(line)+64)
	out = append(out, line[:from]...)
	for i := from; i < len(line); {
		r, n := utf8.DecodeRune(line[i:])
		switch {
		case r == utf8.RuneError && n == 1:
			out = append(out, `\ufffd`...)
		case isHidden(r) && r > 0xffff:
			high, low := utf16.EncodeRune(r)
			out = fmt.Appendf(out, `\u%04x\u%04x`, high, low)
		case isHidden(r):
			out = fmt.Appendf(out, `\u%04x`, r)
		default:
			out = append(out, line[i:i+n]...)
		}
		i += n
	}
	return out
}

// isHidden reports whether a terminal does not show r as itself.
func isHidden(r rune) bool {
	return r != '\n' && (!unicode.IsPrint(r) || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector))
}
