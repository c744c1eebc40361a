package cli

import (
	"io"
	"os"
	"unicode"

	"golang.org/x/term"
	"golang.org/x/text/width"
)

// A screen is what is known of a stream that a person may be looking at. The
// zero value is a pipe: nothing is cut, coloured, or written twice.
type screen struct {
	columns int  // 0: no terminal
	colour  bool // never needed to understand
	redraw  bool // a line can be written again, for progress
}

// screenOf looks at the stream. NO_COLOR (no-color.org) and TERM=dumb are
// honoured.
func screenOf(w io.Writer) screen {
	f, ok := w.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return screen{}
	}
	columns, _, err := term.GetSize(int(f.Fd()))
	if err != nil || columns <= 0 {
		columns = 80 // what terminals have that do not say
	}
	smart := os.Getenv("TERM") != "" && os.Getenv("TERM") != "dumb"
	return screen{columns: columns, redraw: smart, colour: smart && os.Getenv("NO_COLOR") == ""}
}

// isTerminal says whether a person is there.
func (s screen) isTerminal() bool { return s.columns > 0 }

// The looks of a word.
const (
	bold   = "1"
	red    = "31"
	green  = "32"
	yellow = "33"
)

// paint gives the text in that look, where there are colours.
func (s screen) paint(look, text string) string {
	if !s.colour || text == "" {
		return text
	}
	return "\x1b[" + look + "m" + text + "\x1b[0m"
}

// columnsOf says how many columns a printable text takes on a terminal.
func columnsOf(s string) (n int) {
	for _, r := range s {
		n += columnsOfRune(r)
	}
	return n
}

func columnsOfRune(r rune) int {
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

// shorten cuts a text to so many columns; … stands for what is missing.
func shorten(s string, columns int) string {
	if columnsOf(s) <= columns {
		return s
	}
	n := 0
	for i, r := range s {
		if n += columnsOfRune(r); n > columns-1 {
			return s[:i] + "…"
		}
	}
	return s
}

// printable replaces what would move the cursor or change colours: agents and
// names come from strangers.
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
