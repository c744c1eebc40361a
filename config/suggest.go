package config

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/problem"
	"gatehouse/internal/yaml"
)

var indexes = regexp.MustCompile(`\[\d+\]`)

// unknown reports a key that the section does not have, with what was meant.
// Where a key is found, nothing else is said of that one: it is not missing.
func (d *decoder) unknown(name *yaml.Node, section string, fields map[string]field) {
	word := name.Value
	full := problem.Join(section, word)
	if word == "" {
		d.bad(name.Line, section, "an empty key; write a name before the colon")
		return
	}
	known := slices.Sorted(maps.Keys(fields))
	if near := nearest(word, known); near != "" {
		d.bad(name.Line, full, "unknown key; did you mean %s?", near)
		d.broken[problem.Join(section, near)] = true
		return
	}
	if hint := hintFor(word, section); hint != "" {
		d.bad(name.Line, full, "unknown key; %s", hint)
		if target, ok := strings.CutPrefix(hint, "write "); ok {
			target, _, _ = strings.Cut(target, " ")
			d.broken[problem.Join(section, strings.Trim(target, ",;:"))] = true
		}
		return
	}
	if places := elsewhere(word); len(places) > 0 {
		d.bad(name.Line, full, "unknown key here; did you mean %s?", strings.Join(places, " or "))
		return
	}
	d.bad(name.Line, full, "unknown key; known here: %s", strings.Join(known, ", "))
}

// elsewhere gives the sections that have a key of that name, at most three.
func elsewhere(word string) []string {
	var places []string
	for _, key := range keysOf(reflect.TypeFor[Config](), "") {
		if key == plain(word) || strings.HasSuffix(key, "."+plain(word)) {
			places = append(places, key)
		}
	}
	if len(places) > 3 {
		return nil // so common a word says nothing
	}
	return places
}

// keysOf gives every key below a section: log.level, routes[].access[].path.
func keysOf(t reflect.Type, section string) []string {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if t.Kind() == reflect.Slice {
		t, section = t.Elem(), section+"[]"
	}
	if t.Kind() != reflect.Struct || t == secretType {
		return nil
	}
	var keys []string
	for _, f := range reflect.VisibleFields(t) {
		name := f.Tag.Get("yaml")
		if !f.IsExported() || name == "" || name == "-" {
			continue
		}
		keys = append(keys, problem.Join(section, name))
		keys = append(keys, keysOf(f.Type, problem.Join(section, name))...)
	}
	return keys
}

// Nearest gives the known word that this one is a slip of, "" if none is
// near: for what people type besides the configuration. Known words are in
// lower case, with _ between their parts.
func Nearest(word string, known []string) string { return nearest(word, known) }

// nearest gives the known key that the word is a slip of, "" if none is near.
func nearest(word string, known []string) string {
	best, least := "", max(1, min(len(word)/3, 3))+1
	if len(word) > 40 {
		return ""
	}
	for _, k := range known {
		if n := edits(plain(word), k); n < least {
			best, least = k, n
		}
	}
	return best
}

// plain spells a key as ours are: idleTimeout and idle-timeout are idle_timeout.
func plain(word string) string {
	var b strings.Builder
	for i, c := range strings.ReplaceAll(word, "-", "_") {
		if 'A' <= c && c <= 'Z' {
			if i > 0 && 'a' <= word[i-1] && word[i-1] <= 'z' {
				b.WriteByte('_')
			}
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}

// edits counts the letters to insert, remove, replace or swap with their
// neighbour that turn a into b.
func edits(a, b string) int {
	before, row := make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next[j+1] = min(row[j]+cost, row[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && a[i] == b[j-1] && a[i-1] == b[j] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, row = row, next
	}
	return row[len(b)]
}
