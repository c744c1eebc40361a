//go:build e2e

package docs_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// A block is a fenced part of a page.
type block struct {
	page string // its file
	line int    // of the opening fence
	lang string
	name string // what its first line calls it, in a comment: app.py; "" without
	text string
}

func (b block) String() string { return fmt.Sprintf("%s:%d", b.page, b.line) }

// fileName is the comment in the first or second line of a file that a page
// shows: `# app.py`, `<?php // index.php`, `<!-- conf/server.xml -->`. What
// follows a colon tells people where it belongs.
var fileName = regexp.MustCompile(`^(?:#|//|<\?php //|<!--|<%--) ?(/?[\w./-]+\.\w+|Caddyfile)(?::| -->| --%>|$)`)

// blocks gives the fenced parts of a page.
func blocks(t *testing.T, page string) (all []block) {
	t.Helper()
	var open *block
	fence := ""
	for i, line := range strings.Split(readFile(t, page), "\n") {
		trimmed := strings.TrimSpace(line)
		switch {
		case open == nil && strings.HasPrefix(trimmed, "```"):
			fence = trimmed[:len(trimmed)-len(strings.TrimLeft(trimmed, "`"))]
			open = &block{page: page, line: i + 1, lang: strings.TrimLeft(trimmed, "`")}
		case open != nil && trimmed == fence:
			for line := range strings.SplitSeq(open.text, "\n") {
				if m := fileName.FindStringSubmatch(line); m != nil {
					open.name = m[1]
				}
				if !strings.HasPrefix(line, "#!") {
					break
				}
			}
			all = append(all, *open)
			open = nil
		case open != nil:
			open.text += line + "\n"
		}
	}
	if open != nil {
		t.Errorf("%s: the fence is not closed", open)
	}
	return all
}

// pages are the texts that people read.
func pages(t *testing.T) []string {
	t.Helper()
	var all []string
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "testdata/*/README.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, found...)
	}
	if len(all) < 20 {
		t.Fatalf("only %d pages: %q", len(all), all)
	}
	return all
}

func readFile(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name) //nolint:gosec // a file of the source, or one that the test made
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestLinks follows every link between our pages, to the heading.
func TestLinks(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)\s]+)\)|(?:src|srcset|href)="([^"]+)"`)
	anchors := map[string][]string{}
	for _, page := range pages(t) {
		anchors[page] = headings(t, page)
	}
	for _, page := range pages(t) {
		for _, m := range link.FindAllStringSubmatch(prose(t, page), -1) {
			target := m[1] + m[2]
			if strings.Contains(target, "://") || strings.HasPrefix(target, "mailto:") {
				continue
			}
			file, heading, _ := strings.Cut(target, "#")
			to := page
			if file != "" {
				to = filepath.Join(filepath.Dir(page), file)
			}
			if _, err := os.Stat(to); err != nil {
				t.Errorf("%s: %s leads nowhere", page, target)
			} else if heading != "" && !slices.Contains(anchors[to], heading) {
				t.Errorf("%s: %s: no such heading; there are %q", page, target, anchors[to])
			}
		}
	}
}

// TestEveryPageIsFound: the index of docs/ links to each of its pages.
func TestEveryPageIsFound(t *testing.T) {
	t.Parallel()
	index := readFile(t, "docs/README.md")
	for _, page := range pages(t) {
		if name, ok := strings.CutPrefix(page, "docs/"); ok && name != "README.md" && !strings.Contains(index, "]("+name+")") {
			t.Errorf("docs/README.md does not link to %s", name)
		}
	}
}

var inlineCode = regexp.MustCompile("`[^`\n]+`")

// outside gives the lines of a page that stand in no block.
func outside(t *testing.T, page string) []string {
	t.Helper()
	lines := strings.Split(readFile(t, page), "\n")
	for _, b := range blocks(t, page) {
		for i := range strings.Count(b.text, "\n") + 2 { // with the fences
			lines[b.line-1+i] = ""
		}
	}
	return lines
}

// prose is a page without its code.
func prose(t *testing.T, page string) string {
	t.Helper()
	return inlineCode.ReplaceAllString(strings.Join(outside(t, page), "\n"), "code")
}

// headings gives the names of a page's headings as forges make them.
func headings(t *testing.T, page string) (all []string) {
	t.Helper()
	for _, line := range outside(t, page) {
		if title, ok := strings.CutPrefix(strings.TrimLeft(line, "#"), " "); ok && strings.HasPrefix(line, "#") {
			all = append(all, strings.Map(func(r rune) rune {
				switch {
				case r == ' ':
					return '-'
				case unicode.IsLetter(r), unicode.IsDigit(r), r == '-', r == '_':
					return unicode.ToLower(r)
				default:
					return -1
				}
			}, strings.TrimSpace(title)))
		}
	}
	return all
}
