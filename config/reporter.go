package config

import (
	"fmt"
	"strconv"
	"strings"
)

// maxProblems is how many problems of one file are reported. A file with more is
// probably the wrong file.
const maxProblems = 100

// A reporter collects problems and knows the line of each key. Every message goes
// through mask.
type reporter struct {
	file     string
	lines    map[string]int  // the line of each key that the file has
	broken   map[string]bool // keys with an error: nothing else is reported about them or anything inside
	inline   []string        // keys of secrets that are written in the file itself
	problems Problems
	warnings Problems
	env      []variableValue // what came from the environment: it may be secret and is masked
	expanded []expandedValue // values in which it was expanded
}

// newReporter returns a reporter for the file; "" for a configuration made in
// memory.
func newReporter(file string) *reporter {
	return &reporter{file: file, lines: map[string]int{}, broken: map[string]bool{}}
}

// bad records an error about the key and marks the key as broken. After
// maxProblems errors it only does the latter.
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

// warn records a warning about the key. It does not mark the key as broken.
func (r *reporter) warn(key, format string, args ...any) {
	if len(r.warnings) < maxProblems {
		r.warnings = append(r.warnings, r.problem(r.line(key), key, format, args...))
	}
}

// problem returns a problem whose message is masked and whose key is safe to
// print.
func (r *reporter) problem(line int, key, format string, args ...any) Problem {
	return Problem{File: r.file, Line: line, Key: printable(key), Message: r.mask(key, fmt.Sprintf(format, args...))}
}

// full reports whether enough problems were found, so that looking for more is of
// no use.
func (r *reporter) full() bool { return len(r.problems) >= maxProblems }

// line returns the line of the key, or of the nearest section around it that is
// in the file; 0 if there is no file.
func (r *reporter) line(key string) int {
	for {
		if line, ok := r.lines[key]; ok || key == "" {
			return line
		}
		key = parent(key)
	}
}

// isBroken reports whether the key or a section around it has an error.
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

// parent returns the section around a key: routes[1].upstream, routes[1], routes,
// and at the top "".
func parent(key string) string {
	return key[:max(strings.LastIndexAny(key, ".["), 0)]
}

// index returns the key of an entry of a list: routes[1].
func index(list string, i int) string { return list + "[" + strconv.Itoa(i) + "]" }
