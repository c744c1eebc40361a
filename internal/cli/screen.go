package cli

import (
	"io"
	"os"
	"unicode"

	"golang.org/x/term"
	"golang.org/x/text/width"
)

// A screen describes an output stream that a person may be looking at. The zero
// value is a pipe: nothing is cut, coloured or redrawn.
type screen struct {
	columns int  // width; 0: not a terminal
	colour  bool // colours are allowed; no text relies on them
	redraw  bool // a line can be overwritten, for progress
}

// screenOf returns what is known about the stream. A terminal that does not tell
// its width counts as 80 columns wide. It honours NO_COLOR (no-color.org) and
// TERM=dumb.
func screenOf(w io.Writer) screen {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return screen{}
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil || columns <= 0 {
		columns = 80 // the usual width, for terminals that do not tell theirs
	}
	smart := os.Getenv("TERM") != "" && os.Getenv("TERM") != "dumb"
	return screen{columns: columns, redraw: smart, colour: smart && os.Getenv("NO_COLOR") == ""}
}

// isTerminal reports whether the stream is a terminal.
func (s screen) isTerminal() bool { return s.columns > 0 }

// The looks of a word, as SGR parameters (ECMA-48).
const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
)

// paint returns the text in that look, or as it is where there are no colours.
func (s screen) paint(look, text string) string {
	if !s.colour || text == "" {
		return text
	}
	return "\x1b[" + look + "m" + text + "\x1b[0m"
}

// textWidth returns how many columns a printable text takes on a terminal.
func textWidth(s string) (n int) {
	for _, r := range s {
		n += runeWidth(r)
	}
	return n
}

// runeWidth returns how many columns r takes: 0 for combining marks, 2 for wide
// East Asian characters (UAX #11), else 1.
func runeWidth(r rune) int {
	if r < 0x300 {
		return 1
	}
	if unicode.In(r, unicode.Mn, unicode.Me) {
		return 0
	}
	switch width.LookupRune(r).Kind() {
	case width.EastAsianWide, width.EastAsianFullwidth:
		return 2
	default:
		return 1
	}
}

// shorten returns the text cut to at most so many columns, with … in place of the
// rest.
func shorten(s string, columns int) string {
	if textWidth(s) <= columns {
		return s
	}
	n := 0
	for i, r := range s {
		if n += runeWidth(r); n > columns-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// printable returns s with a replacement character for everything that could move
// the cursor or change colours. User-Agents and names come from strangers, so all
// output of that kind must go through it.
func printable(s string) string {
	clean := true
	for _, r := range s {
		clean = clean && unicode.IsPrint(r)
	}
	if clean {
		return s
	}
	out := make([]rune, 0, len(s))
	for _, r := range s {
		if !unicode.IsPrint(r) {
			r = unicode.ReplacementChar
		}
		out = append(out, r)
	}
	return string(out)
}
