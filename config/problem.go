package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Problem is a mistake in a configuration, or a warning, together with its
// place.
type Problem struct {
	File    string // "" for a configuration made in memory
	Line    int    // from 1; 0 for a configuration made in memory
	Key     string // such as routes[1].upstream; "" for the file as a whole
	Message string // what was found, and the remedy after a semicolon
}

// String returns FILE:LINE: key: what; remedy. What is not known is left out.
func (p Problem) String() string {
	var b strings.Builder
	if p.File != "" {
		b.WriteString(p.File + ":")
		if p.Line > 0 {
			b.WriteString(strconv.Itoa(p.Line) + ":")
		}
		b.WriteByte(' ')
	}
	if p.Key != "" {
		b.WriteString(p.Key + ": ")
	}
	b.WriteString(p.Message)
	return b.String()
}

// Problems is everything that is wrong with a file, sorted by line. It is also
// the error of Load, Parse and CheckAll; find it with errors.As.
type Problems []Problem //nolint:errname // it is the list that callers work with, and an error besides

// Error returns the problems, one a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

// sorted sorts ps by line in place, keeps the order within a line, and returns
// ps.
func (ps Problems) sorted() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int { return a.Line - b.Line })
	return ps
}

// printable returns a key of the file in a form that is safe to print: short, on
// one line, without control characters.
func printable(key string) string {
	const most = 120
	if len(key) <= most && !strings.ContainsFunc(key, isControl) {
		return key
	}
	return fmt.Sprintf("%.*q", most, key)
}

// quote returns a value in quotes for a message; a long one is cut to 80 bytes.
// Never call it with a secret.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		return strconv.Quote(s[:most]) + "..."
	}
	return strconv.Quote(s)
}

// isControl reports whether r is invisible and does not belong in a name or a
// value: control characters, line separators, and characters that reorder a line.
func isControl(r rune) bool {
	return r < ' ' || 0x7f <= r && r <= 0x9f ||
		0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 || // bidirectional overrides
		r == 0x2028 || r == 0x2029 || r == 0xfeff
}
