package config

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// A Problem is a mistake, or a warning, with its place.
type Problem struct {
	File    string // "" for a configuration made in memory
	Line    int    // from 1; 0 for a configuration made in memory
	Key     string // such as routes[1].upstream; "" for the file as a whole
	Message string // what was found, and the remedy after a semicolon
}

// String writes the problem as FILE:LINE: key: what; remedy.
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

// Problems is an error: everything that is wrong with a file, by line.
type Problems []Problem //nolint:errname // it is the list that callers work with, and an error besides

// Error writes one problem a line.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "\n")
}

func (ps Problems) sorted() Problems {
	slices.SortStableFunc(ps, func(a, b Problem) int { return a.Line - b.Line })
	return ps
}

// maxProblems is how many problems of one file are told. Who made a hundred
// mistakes has the wrong file.
const maxProblems = 100

// A reporter collects problems, and knows where each key stands.
type reporter struct {
	file     string
	lines    map[string]int  // the line of each key that the file has
	broken   map[string]bool // keys that a problem was told of: nothing else is said of them, or of what is below
	inline   []string        // keys of secrets that stand in the file itself
	problems Problems
	warnings Problems
	env      []variableValue // what came from the environment: it may be secret, and is not told
	expanded []expandedValue // where it was put in
}

// A variableValue is what stood in an environment variable.
type variableValue struct{ name, value string }

// An expandedValue is a value of the file with environment variables in it.
type expandedValue struct {
	key            string
	written, value string // as it stands in the file, and with the variables put in
}

func newReporter(file string) *reporter {
	return &reporter{file: file, lines: map[string]int{}, broken: map[string]bool{}}
}

// bad records a mistake.
func (r *reporter) bad(line int, key, format string, args ...any) {
	r.broken[key] = true
	if r.full() {
		return
	}
	r.problems = append(r.problems, r.problem(line, key, format, args...))
	if r.full() {
		r.problems = append(r.problems, r.problem(line, "", "and more; only %d problems are told at once", maxProblems))
	}
}

// warn records a danger that somebody asked for.
func (r *reporter) warn(key, format string, args ...any) {
	if len(r.warnings) < maxProblems {
		r.warnings = append(r.warnings, r.problem(r.line(key), key, format, args...))
	}
}

func (r *reporter) problem(line int, key, format string, args ...any) Problem {
	return Problem{File: r.file, Line: line, Key: printable(key), Message: r.mask(key, fmt.Sprintf(format, args...))}
}

// mask puts ${NAME} in place of what came from the environment, and of every
// long part of it. In a message about the key where it was put in, that goes for
// every part that is quoted.
func (r *reporter) mask(key, message string) string {
	for _, e := range r.expanded {
		message = e.mask(key, message)
	}
	for _, v := range r.env {
		message = v.mask(message)
	}
	return message
}

// The shortest value that is masked wherever it stands, and the shortest part
// of a longer one.
const (
	maskedValue = 3
	maskedPart  = 12
)

// quoted is a text as strconv.Quote writes it.
var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

func (e expandedValue) mask(key, message string) string {
	written := strconv.Quote(e.written)
	message = strings.ReplaceAll(message, strconv.Quote(e.value), written)
	if !within(e.key, key) {
		return message
	}
	return quoted.ReplaceAllStringFunc(message, func(q string) string {
		part, err := strconv.Unquote(q)
		if err != nil || part == "" || !strings.Contains(e.value, part) || strings.Contains(e.written, part) {
			return q
		}
		return written
	})
}

// within reports whether the key is the section or below it.
func within(key, section string) bool {
	rest, ok := strings.CutPrefix(key, section)
	return ok && (section == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

func (v variableValue) mask(message string) string {
	name := "${" + v.name + "}"
	if v.value == "" {
		return message
	}
	message = strings.ReplaceAll(message, strconv.Quote(v.value), strconv.Quote(name))
	if len(v.value) < maskedValue {
		return message
	}
	message = strings.ReplaceAll(message, v.value, name)
	quoted := strconv.Quote(v.value)
	var b strings.Builder
	for i := 0; i < len(message); {
		n := 0
		for end := i + maskedPart; end <= len(message) && (strings.Contains(v.value, message[i:end]) || strings.Contains(quoted, message[i:end])); end++ {
			n = end - i
		}
		if n == 0 {
			b.WriteByte(message[i])
			i++
			continue
		}
		b.WriteString(name)
		i += n
	}
	return b.String()
}

// full says that nothing more will be told, so that looking on is idle.
func (r *reporter) full() bool { return len(r.problems) >= maxProblems }

// line gives the line of the key, or of the nearest section around it that
// the file has; 0 when there is no file.
func (r *reporter) line(key string) int {
	for {
		if line, ok := r.lines[key]; ok || key == "" {
			return line
		}
		key = parent(key)
	}
}

// isBroken says whether a problem was told of the key, or of one around it.
func (r *reporter) isBroken(key string) bool {
	for {
		if r.broken[key] {
			return true
		}
		if key == "" {
			return false
		}
		key = parent(key)
	}
}

// parent gives the section around a key: routes[1].upstream, routes[1],
// routes, "".
func parent(key string) string {
	return key[:max(strings.LastIndexAny(key, ".["), 0)]
}

func index(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }

// printable keeps a key from the file harmless: on one line, and short.
func printable(key string) string {
	const most = 120
	if len(key) <= most && !strings.ContainsFunc(key, isControl) {
		return key
	}
	return fmt.Sprintf("%.*q", most, key)
}

// quote shows a value that was found: never of a secret.
func quote(s string) string {
	const most = 80
	if len(s) > most {
		return strconv.Quote(s[:most]) + "..."
	}
	return strconv.Quote(s)
}

// isControl says whether r cannot be seen, and does not belong in a name or
// value: control characters, and those that reorder a line to the eye.
func isControl(r rune) bool {
	return r < ' ' || 0x7f <= r && r <= 0x9f ||
		0x202a <= r && r <= 0x202e || 0x2066 <= r && r <= 0x2069 || // bidirectional overrides
		r == 0x2028 || r == 0x2029 || r == 0xfeff
}
