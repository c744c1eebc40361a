package config

import (
	"maps"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"gatehouse/internal/problem"
	"gatehouse/internal/suggest"
	"gatehouse/internal/yaml"
)

// indexes matches the indexes in a key: [1].
var indexes = regexp.MustCompile(`\[\d+\]`)

// unknown reports a key that the section does not have, with the key that was
// probably meant: a similar one here, what another program's word is called here,
// or the same word in another section. That key counts as broken from then on, so
// it is not reported as missing as well.
func (d *decoder) unknown(name *yaml.Node, section string, fields map[string]field) {
	word := name.Value
	full := problem.Join(section, word)
	if word == "" {
		d.bad(name.Line, section, "an empty key; write a name before the colon")
		return
	}
	known := slices.Sorted(maps.Keys(fields))
	if near := suggest.Nearest(word, known); near != "" {
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

// elsewhere returns the keys in other sections that have this name; none if there
// are more than three, because so common a word says nothing.
func elsewhere(word string) []string {
	var places []string
	for _, key := range keysOf(reflect.TypeFor[Config](), "") {
		if key == suggest.Spell(word) || strings.HasSuffix(key, "."+suggest.Spell(word)) {
			places = append(places, key)
		}
	}
	if len(places) > 3 {
		return nil // so common a word says nothing
	}
	return places
}

// keysOf returns all keys in the section with this type: log.level,
// routes[].access[].path.
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
