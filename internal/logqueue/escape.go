package logqueue

import (
	"fmt"
	"io"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// EscapeJSON returns a writer that passes lines of JSON on to w with every
// character escaped that a terminal obeys or a reader does not see: DEL, C1
// controls, format characters (bidirectional overrides among them), unusual
// spaces. encoding/json and log/slog leave these as they are. What the line
// says stays the same.
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

// isHidden reports whether r is not shown as itself.
func isHidden(r rune) bool {
	return r != '\n' && (!unicode.IsPrint(r) || unicode.In(r, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector))
}
