package cli

import (
	"bufio"
	"encoding/json"
	"io"
	"slices"
	"strings"
	"time"
)

// A tableWriter prints rows as a table for people, or as one JSON object a line
// for programs. It holds at most a screenful of rows, so a million rows need no
// memory; columns may become wider from one screenful to the next. Call end after
// the last row.
//
// On a terminal it cuts columns that may be cut until a row fits. In a pipe
// nothing is cut.
type tableWriter struct {
	w      *bufio.Writer
	screen screen
	json   *json.Encoder
	heads  []column
	widths []int
	rows   [][]string
	begun  bool
}

// A column is the head of a column, and how far it may be cut.
type column struct {
	head  string
	least int // width to which it may be cut; 0: it is never cut
}

// screenful is how many rows are collected before they are printed: the widths of
// the columns fit these.
const screenful = 200

// newTable returns a table on w with these columns. With asJSON it prints objects
// instead, without heads.
func newTable(w io.Writer, asJSON bool, heads ...column) *tableWriter {
	t := &tableWriter{w: bufio.NewWriterSize(w, 32<<10), heads: heads, screen: screenOf(w)}
	if asJSON {
		t.json = json.NewEncoder(t.w)
		t.json.SetEscapeHTML(false)
	}
	t.widths = make([]int, len(heads))
	for i, c := range heads {
		t.widths[i] = textWidth(c.head)
	}
	return t
}

// row prints one row: v as JSON, or cells as text, of which there must be one for
// each column. Cells are made printable here; an empty one is shown as a hyphen.
// An error of w may be returned by a later call.
func (t *tableWriter) row(v any, cells ...string) error {
	if t.json != nil {
		return t.json.Encode(v)
	}
	for i, c := range cells {
		if cells[i] = printable(c); c == "" {
			cells[i] = "-"
		}
	}
	if t.rows = append(t.rows, cells); len(t.rows) < screenful {
		return nil
	}
	return t.flush()
}

// end prints what is left. A table without rows still has its heads; as JSON it
// is empty.
func (t *tableWriter) end() error {
	if t.json != nil {
		return t.w.Flush()
	}
	return t.flush()
}

// flush prints the collected rows, the first time below the heads.
func (t *tableWriter) flush() error {
	for _, r := range t.rows {
		for i, c := range r {
			t.widths[i] = max(t.widths[i], textWidth(c))
		}
	}
	widths := t.fit()
	if !t.begun {
		t.begun = true
		var heads []string
		for _, c := range t.heads {
			heads = append(heads, c.head)
		}
		t.line(heads, widths, bold)
	}
	for _, r := range t.rows {
		t.line(r, widths, "")
	}
	t.rows = t.rows[:0]
	return t.w.Flush()
}

// gap is the number of spaces between two columns.
const gap = 2

// fit returns the widths of the columns at which a row fits the terminal, as far
// as columns may be cut. It always takes from the widest one.
func (t *tableWriter) fit() []int {
	widths := slices.Clone(t.widths)
	if !t.screen.isTerminal() {
		return widths
	}
	over := gap*(len(widths)-1) - t.screen.columns
	for _, n := range widths {
		over += n
	}
	for ; over > 0; over-- {
		widest := -1
		for i, c := range t.heads {
			if c.least > 0 && widths[i] > c.least && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break // nothing more may be cut: the terminal wraps the line
		}
		widths[widest]--
	}
	return widths
}

// line writes one line. The buffered writer keeps an error until it is flushed.
func (t *tableWriter) line(cells []string, widths []int, look string) {
	var b strings.Builder
	for i, c := range cells {
		if t.heads[i].least > 0 && t.screen.isTerminal() {
			c = shorten(c, widths[i])
		}
		b.WriteString(c)
		if i < len(cells)-1 {
			b.WriteString(strings.Repeat(" ", max(0, widths[i]-textWidth(c))+gap))
		}
	}
	_, _ = t.w.WriteString(t.screen.paintLine(look, b.String()) + "\n")
}

// paintLine is paint for a look that may be "".
func (s screen) paintLine(look, text string) string {
	if look == "" {
		return text
	}
	return s.paint(look, text)
}

// relativeTime returns a time for a cell: "5m ago" or "in 2h" on a terminal, in
// full elsewhere.
func (t *tableWriter) relativeTime(at time.Time) string {
	if !t.screen.isTerminal() || at.IsZero() {
		return formatTime(at)
	}
	if d := time.Until(at); d > 0 {
		return "in " + humanDuration(d)
	}
	return humanDuration(time.Since(at)) + " ago"
}

// writeFields prints pairs of a name and a value, one pair a line. It leaves out
// empty values and makes the others printable.
func writeFields(w io.Writer, pairs ...string) error {
	widest := 0
	for pair := range slices.Chunk(pairs, 2) {
		if pair[1] != "" {
			widest = max(widest, textWidth(pair[0]))
		}
	}
	var b strings.Builder
	s := screenOf(w)
	for pair := range slices.Chunk(pairs, 2) {
		if name, value := pair[0], pair[1]; value != "" {
			b.WriteString(s.paint(bold, name+":") + strings.Repeat(" ", widest-textWidth(name)+gap) + printable(value) + "\n")
		}
	}
	_, err := io.WriteString(w, b.String())
	return err
}
