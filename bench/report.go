package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"

	"gatehouse/bench/plot"
)

// A finding is the result of a scenario.
type finding struct {
	title    string
	note     string     // a paragraph below the table
	head     []string   // of the table
	rows     [][]string // as many cells as the head
	verdicts []verdict
	panel    *plot.Panel // nil: nothing to draw
	others   []float64   // of every sample, see sample
}

// A verdict compares a figure with its goal.
type verdict struct {
	text, goal, got string
	met             bool
}

// A report is the result of a run.
type report struct {
	about    string // where and how it was measured
	command  string // what made it; "": make bench
	findings []finding
}

// markdown returns the report as it stands in docs/performance.md.
func (r *report) markdown() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", r.about)
	var goals [][]string
	for _, f := range r.findings {
		for _, v := range f.verdicts {
			word := "missed"
			if v.met {
				word = "met"
			}
			goals = append(goals, []string{v.text, v.goal, v.got, word})
		}
	}
	if len(goals) > 0 {
		b.WriteString(table([]string{"goal", "limit", "measured", ""}, goals) + "\n")
	}
	if r.svg() != "" {
		b.WriteString("![CPU time a request](" + plotName + ")\n\n")
	}
	for _, f := range r.findings {
		fmt.Fprintf(&b, "### %s\n\n%s\n", f.title, table(f.head, f.rows))
		if f.note != "" {
			b.WriteString(f.note + "\n\n")
		}
	}
	return strings.TrimRight(b.String(), "\n") + "\n"
}

// table returns a table in Markdown.
func table(head []string, rows [][]string) string {
	var b strings.Builder
	line := func(cells []string) { b.WriteString("| " + strings.Join(cells, " | ") + " |\n") }
	line(head)
	rule := make([]string, len(head))
	for i := range rule {
		rule[i] = "---"
	}
	line(rule)
	for _, row := range rows {
		line(row)
	}
	return b.String()
}

func (r *report) svg() string {
	var panels []plot.Panel
	for _, f := range r.findings {
		if f.panel != nil && len(f.panel.Bars) > 0 {
			panels = append(panels, *f.panel)
		}
	}
	if len(panels) == 0 {
		return ""
	}
	return plot.SVG("CPU time of the proxy's own processes, microseconds a request; less is better", panels)
}

// The files that save writes.
const (
	pageName = "performance.md"
	plotName = "performance.svg"
)

// marks are the lines of the page between which the command writes.
func (r *report) marks() (opening, closing string) {
	command := cmp.Or(r.command, "make bench")
	return "<!-- " + command + ": begin -->\n", "<!-- " + command + ": end -->\n"
}

// save writes the plot to dir, and the tables into the page there, between its two
// marks. A missing page is made.
func (r *report) save(dir string) error {
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return fmt.Errorf("save: %w", err)
	}
	path := filepath.Join(dir, pageName)
	opening, closing := r.marks()
	old, err := os.ReadFile(path) //nolint:gosec // the developer names the folder
	if errors.Is(err, fs.ErrNotExist) {
		old, err = []byte("# Performance\n\n"+opening+closing), nil
	}
	if err != nil {
		return fmt.Errorf("save: %w", err)
	}
	page, err := between(string(old), opening, closing, r.markdown())
	if err != nil {
		return fmt.Errorf("save into %s: %w", path, err)
	}
	if err := os.WriteFile(path, []byte(page), 0o644); err != nil { //nolint:gosec // a page of the documentation
		return fmt.Errorf("save: %w", err)
	}
	if svg := r.svg(); svg != "" {
		if err := os.WriteFile(filepath.Join(dir, plotName), []byte(svg), 0o644); err != nil { //nolint:gosec // as above
			return fmt.Errorf("save: %w", err)
		}
	}
	return nil
}

// between replaces the lines between the two marks.
func between(page, opening, closing, text string) (string, error) {
	before, rest, ok := strings.Cut(page, opening)
	_, after, end := strings.Cut(rest, closing)
	if !ok || !end {
		return "", fmt.Errorf("the lines %q and %q are not there", strings.TrimSpace(opening), strings.TrimSpace(closing))
	}
	return before + opening + "\n" + text + "\n" + closing + after, nil
}

// describe returns a paragraph on the machine and the settings.
func (l *lab) describe(ctx context.Context, findings []finding) string {
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease") // without, the line says less
	nginxVersion, err := l.nginxVersion(ctx)
	if err != nil {
		nginxVersion = "nginx"
	}
	var others []float64
	for _, f := range findings {
		others = append(others, f.others...)
	}
	text := fmt.Sprintf("Measured %s on %d CPUs (%s, Linux %s), %s, %s. Medians of %d interleaved rounds of %s after %s of warm-up, "+
		"%d kept-alive connections; ratios are medians of the rounds' ratios. Everything runs on the one machine.",
		time.Now().Format(time.DateOnly), runtime.NumCPU(), cpuModel(), strings.TrimSpace(string(release)), runtime.Version(), nginxVersion,
		l.o.rounds, l.o.duration, l.o.warm, connections)
	if len(others) > 0 {
		_, worst := spread(others)
		text += fmt.Sprintf(" Other programs kept %.2f CPUs busy meanwhile (median; %.2f at worst).", median(others), worst)
	}
	return text
}

// describeStores is describe for the contest of the stores.
func (l *lab) describeStores() string {
	release, _ := os.ReadFile("/proc/sys/kernel/osrelease") // without, the line says less
	return fmt.Sprintf("Measured %s on %d CPUs (%s, Linux %s), %s. Each step of each store is a process of its own; medians of %d turns where a step changes nothing. "+
		"Nobody's password is hashed.",
		time.Now().Format(time.DateOnly), runtime.NumCPU(), cpuModel(), strings.TrimSpace(string(release)), runtime.Version(), l.o.rounds)
}

func cpuModel() string {
	text, err := os.ReadFile("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

// figure formats a number with about three digits: 3.14, 31.4, 314.
func figure(v float64) string {
	switch {
	case v >= 100:
		return count(v)
	default:
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
}

// times formats a ratio, or milliseconds; "-" for none.
func times(v float64) string {
	if v == 0 {
		return "-"
	}
	return strconv.FormatFloat(v, 'f', 2, 64)
}

// count formats a whole number in groups of three digits.
func count(v float64) string {
	s := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(s) - 3; i > 0; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}
