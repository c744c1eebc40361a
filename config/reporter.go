package config

import (
	"fmt"
	"strconv"
	"strings"
)

// maxProblems is how many problems of one file are reported. A file with more
// is probably the wrong one.
const maxProblems = 100

// A reporter collects problems and knows the line of each key.
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

func newReporter(file string) *reporter {
	return &reporter{file: file, lines: map[string]int{}, broken: map[string]bool{}}
}

// bad records an error.
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

// warn records a warning.
func (r *reporter) warn(key, format string, args ...any) {
	if len(r.warnings) < maxProblems {
		r.warnings = append(r.warnings, r.problem(r.line(key), key, format, args...))
	}
}

func (r *reporter) problem(line int, key, format string, args ...any) Problem {
	return Problem{File: r.file, Line: line, Key: printable(key), Message: r.mask(key, fmt.Sprintf(format, args...))}
}

// full reports whether enough problems were found, so that there is no use in
// looking for more.
func (r *reporter) full() bool { return len(r.problems) >= maxProblems }

// line returns the line of the key, or of the nearest section around it that
// the file has; 0 if there is no file.
func (r *reporter) line(key string) int {
	for {
		if line, ok := r.lines[key]; ok || key == "" {
			return line
		}
		key = parent(key)
	}
}

// isBroken reports whether there is an error of the key or of a section around
// it.
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

// parent returns the section around a key: routes[1].upstream, routes[1],
// routes, "".
func parent(key string) string {
	return key[:max(strings.LastIndexAny(key, ".["), 0)]
}

func index(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }
