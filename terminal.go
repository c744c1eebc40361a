package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"unicode"

	"golang.org/x/term"
)

// readNewPassword asks twice without echo on a terminal, and reads one line
// elsewhere, or when it is told to.
func (p *cli) readNewPassword(fromStdin bool) (string, error) {
	f, ok := p.in.(*os.File)
	if fromStdin || !ok || !term.IsTerminal(int(f.Fd())) {
		return readLine(p.in)
	}
	first, err := p.askHidden(f, "New password: ")
	if err != nil {
		return "", err
	}
	second, err := p.askHidden(f, "Once more:    ")
	if err != nil {
		return "", err
	}
	if first != second {
		return "", errors.New("the two passwords differ; nothing was changed")
	}
	return first, nil
}

func (p *cli) askHidden(f *os.File, prompt string) (string, error) {
	p.tell("%s", prompt)
	b, err := term.ReadPassword(int(f.Fd()))
	p.tell("\n")
	if err != nil {
		return "", fmt.Errorf("read password: %w", err)
	}
	return string(b), nil
}

// maxLine bounds what is read as a password; auth.CheckPassword says what is
// too long.
const maxLine = 64 << 10

// readLine reads one line; the line break is not part of it.
func readLine(r io.Reader) (string, error) {
	line, err := bufio.NewReader(io.LimitReader(r, maxLine)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", fmt.Errorf("read password: %w", err)
	}
	line = strings.TrimSuffix(strings.TrimSuffix(line, "\n"), "\r")
	if line == "" {
		return "", errors.New("no password on standard input")
	}
	return line, nil
}

// A listing prints rows for people, or a JSON object a line for machines. It
// holds a screenful of rows at a time, so that a million rows need no memory.
type listing struct {
	w    *tabwriter.Writer
	json *json.Encoder
	rows int
}

const screenful = 200

func newListing(w io.Writer, asJSON bool, head ...string) *listing {
	if asJSON {
		return &listing{json: json.NewEncoder(w)}
	}
	t := &listing{w: tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)}
	_, _ = fmt.Fprintln(t.w, strings.Join(head, "\t")) // an error shows at Flush
	return t
}

// row prints one row: v for machines, cells for people.
func (t *listing) row(v any, cells ...string) error {
	if t.json != nil {
		return t.json.Encode(v)
	}
	for i, c := range cells {
		if cells[i] = printable(c); c == "" {
			cells[i] = "-"
		}
	}
	if _, err := fmt.Fprintln(t.w, strings.Join(cells, "\t")); err != nil {
		return err
	}
	if t.rows++; t.rows%screenful == 0 {
		return t.w.Flush()
	}
	return nil
}

func (t *listing) end() error {
	if t.json != nil {
		return nil
	}
	return t.w.Flush()
}

// printable replaces what would move the cursor or change colours: agents and
// names come from strangers.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '\ufffd'
		}
		return r
	}, s)
}
