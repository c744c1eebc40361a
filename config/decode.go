package config

import (
	"encoding"
	"fmt"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"gatehouse/internal/problem"
	"gatehouse/internal/secret"
	"gatehouse/internal/yaml"
)

// The types of secrets, and how a whole number is written: decimal, without
// leading zeros.
var (
	secretType  = reflect.TypeFor[secret.Text]()
	secretsType = reflect.TypeFor[[]secret.Text]()
	wholeNumber = regexp.MustCompile(`^-?(0|[1-9][0-9]*)$`)
)

// A decoder fills structs from a tree of nodes by their yaml tags. It supports
// structs, pointers to them, strings, booleans, integers, lists, maps of strings,
// and types that decode themselves (encoding.TextUnmarshaler); for another type
// it panics. It goes on after a problem, so that all are found.
type decoder struct {
	*reporter
	dir string                      // where relative paths start
	env func(string) (string, bool) // the environment
}

// setDefaults calls SetDefaults of the sections in v first and then of v itself,
// so that a section can override the defaults of those in it. Pointers are left
// nil: their defaults are set when they are read.
func setDefaults(v reflect.Value) {
	v = reflect.Indirect(v)
	if v.Kind() != reflect.Struct || readsItself(v) {
		return
	}
	for i := range v.NumField() {
		if v.Type().Field(i).IsExported() && v.Field(i).Kind() == reflect.Struct {
			setDefaults(v.Field(i))
		}
	}
	if s, ok := reflect.TypeAssert[interface{ SetDefaults() }](v.Addr()); ok {
		s.SetDefaults()
	}
}

// readsItself reports whether the type of v decodes itself. v must be
// addressable.
func readsItself(v reflect.Value) bool {
	_, ok := reflect.TypeAssert[encoding.TextUnmarshaler](v.Addr())
	return ok
}

// decode decodes n into v, which must be addressable, and records the line of the
// key. It skips a key that already has a problem.
func (d *decoder) decode(n *yaml.Node, v reflect.Value, key string) {
	if _, ok := d.lines[key]; !ok {
		d.lines[key] = n.Line
	}
	if d.full() || key != "" && d.broken[key] {
		return
	}
	if isNull(n) {
		d.bad(d.lines[key], key, "%s", noValue(n, v.Kind()))
		return
	}
	switch {
	case readsItself(v):
		d.decodeText(n, v, key)
	case v.Kind() == reflect.Struct:
		d.decodeStruct(n, v, key)
	case v.Kind() == reflect.Pointer:
		p := reflect.New(v.Type().Elem())
		setDefaults(p)
		v.Set(p)
		d.decode(n, p.Elem(), key)
	case v.Kind() == reflect.Slice:
		d.decodeList(n, v, key)
	case v.Kind() == reflect.Map:
		d.decodeMap(n, v, key)
	default:
		d.decodeScalar(n, v, key)
	}
}

// noValue returns the problem of a key without a value. That could mean the
// default, or empty, or a forgotten line, so it is refused.
func noValue(n *yaml.Node, kind reflect.Kind) string {
	empty := `""`
	switch kind {
	case reflect.Slice:
		empty = "[]"
	case reflect.Map, reflect.Struct, reflect.Pointer:
		empty = "{}"
	case reflect.Bool:
		return "has no value; remove the line for the default, or write true or false"
	case reflect.Int:
		empty = "0"
	default: // text, whatever becomes of it
	}
	if n.Value != "" {
		return fmt.Sprintf("%s is no value; remove the line for the default, write %s for none, or %q for this text", n.Value, empty, n.Value)
	}
	return "has no value; remove the line for the default, or write " + empty + " for none"
}

// decodeStruct decodes the keys of a section. It reports unknown keys and keys
// that are given twice. A secret may be given as KEY, or as KEY_file with the
// path of a file that holds it, but not as both.
func (d *decoder) decodeStruct(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind != yaml.MappingNode {
		d.bad(n.Line, key, "%s where keys and values belong; write %s", kindOf(n), exampleOf(v.Type()))
		return
	}
	fields := fieldsOf(v.Type())
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, child := n.Content[i], n.Content[i+1]
		full := problem.Join(key, name.Value)
		if badName(name) != "" || d.full() {
			continue
		}
		if line, ok := seen[name.Value]; ok {
			d.bad(name.Line, full, "the key is given twice; line %d has it already, remove one", line)
			continue
		}
		seen[name.Value] = name.Line
		d.lines[full] = name.Line
		if f, ok := fields[name.Value]; ok {
			d.decode(child, v.FieldByIndex(f.index), full)
		} else if f, ok := fields[strings.TrimSuffix(name.Value, "_file")]; ok && f.secret {
			d.decodeSecretFile(child, v.FieldByIndex(f.index), full)
		} else if !d.broken[full] {
			d.unknown(name, key, fields)
		}
	}
	// A secret may be given in one of its two ways only.
	for name := range seen {
		file := name + "_file"
		if line, ok := seen[file]; ok && fields[name].secret {
			d.bad(max(line, seen[name]), problem.Join(key, file), "%s is given as well; write only one of them", name)
		}
	}
}

// decodeList decodes a list. It replaces the default as a whole; an empty list is
// not nil.
func (d *decoder) decodeList(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind != yaml.SequenceNode {
		found := kindOf(n)
		if v.Type() != secretsType && n.Kind == yaml.ScalarNode {
			found = quote(n.Value) + " is not a list; write [" + n.Value + "]"
			if len(n.Value) > 40 || strings.ContainsAny(n.Value, "[]{},\n") {
				found = "text where a list belongs; write [ ] around it"
			}
			d.bad(n.Line, key, "%s", found)
			return
		}
		d.bad(n.Line, key, "%s where a list belongs; begin each entry with a - on a line of its own, or write [a, b]", found)
		return
	}
	list := reflect.MakeSlice(v.Type(), len(n.Content), len(n.Content))
	for i, child := range n.Content {
		setDefaults(list.Index(i).Addr())
		d.decode(child, list.Index(i), index(key, i))
	}
	v.Set(list)
}

// decodeMap decodes a map of strings. It replaces the default as a whole.
func (d *decoder) decodeMap(n *yaml.Node, v reflect.Value, key string) {
	if n.Kind != yaml.MappingNode {
		d.bad(n.Line, key, "%s where names and values belong; write one \"name: value\" a line", kindOf(n))
		return
	}
	m := reflect.MakeMap(v.Type())
	for i := 0; i+1 < len(n.Content); i += 2 {
		name, child := n.Content[i], n.Content[i+1]
		if badName(name) != "" || d.full() {
			continue
		}
		full := problem.Join(key, name.Value)
		if m.MapIndex(reflect.ValueOf(name.Value)).IsValid() {
			d.bad(name.Line, full, "the name is given twice; line %d has it already, remove one", d.lines[full])
			continue
		}
		d.lines[full] = name.Line
		entry := reflect.New(v.Type().Elem()).Elem()
		d.decode(child, entry, full)
		m.SetMapIndex(reflect.ValueOf(name.Value), entry)
	}
	v.Set(m)
}

// text returns a scalar as it was written, with environment variables expanded.
// If that is no usable text, it reports a problem and returns false.
func (d *decoder) text(n *yaml.Node, key string) (string, bool) {
	if n.Kind != yaml.ScalarNode {
		d.bad(n.Line, key, "%s where one value belongs; write the value in quotes if it begins with [ or {", kindOf(n))
		return "", false
	}
	s, err := expand(n.Value, func(name string) (string, bool) {
		value, ok := d.env(name)
		d.reporter.env = append(d.reporter.env, variableValue{name, value})
		return value, ok
	})
	if err != nil {
		d.bad(n.Line, key, "%v", err)
		return "", false
	}
	if s != n.Value {
		d.expanded = append(d.expanded, expandedValue{key, n.Value, s})
	}
	if what := badText(s); what != "" {
		d.bad(n.Line, key, "%s", what)
		return "", false
	}
	return s, true
}

// badText returns what is wrong with a value that an escape, a block or the
// environment has brought past checkSource; "" if nothing is. It does not repeat
// the value, which may be a secret.
func badText(s string) string {
	switch {
	case strings.ContainsAny(s, "\n\r"):
		return "the value holds a line break; write it on one line"
	case !utf8.ValidString(s):
		return "the value is not UTF-8; write it in UTF-8"
	case strings.ContainsFunc(s, isControl):
		return "the value holds an invisible character; remove it"
	}
	return ""
}

// decodeText decodes a value whose type decodes itself. The error of a secret is
// replaced, since it could repeat the value.
func (d *decoder) decodeText(n *yaml.Node, v reflect.Value, key string) {
	s, ok := d.text(n, key)
	if !ok {
		return
	}
	if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
		if v.Type() == secretType {
			err = fmt.Errorf("the value of %d bytes cannot be used", len(s))
		}
		d.bad(n.Line, key, "%v", err)
	}
	if v.Type() == secretType && s != "" && !strings.Contains(n.Value, "${") {
		d.inline = append(d.inline, key)
	}
}

// decodeScalar decodes a string, a boolean (true or false only) or an integer.
func (d *decoder) decodeScalar(n *yaml.Node, v reflect.Value, key string) {
	s, ok := d.text(n, key)
	if !ok {
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Bool:
		if s != "true" && s != "false" {
			d.bad(n.Line, key, "%s is neither true nor false; write %s", quote(s), meant(s))
			return
		}
		v.SetBool(s == "true")
	case reflect.Int:
		i, err := strconv.Atoi(s)
		if !wholeNumber.MatchString(s) || err != nil {
			d.bad(n.Line, key, "%s is not a whole number; write decimal digits only, such as 10", quote(s))
			return
		}
		v.SetInt(int64(i))
	default:
		panic("config: no way to read " + v.Type().String())
	}
}

// meant guesses which of true and false a word stands for; "true or false" if it
// cannot tell.
func meant(s string) string {
	switch strings.ToLower(s) {
	case "true", "yes", "on", "y", "1", "enabled":
		return "true"
	case "false", "no", "off", "n", "0", "disabled":
		return "false"
	}
	return "true or false"
}

// decodeSecretFile decodes the content of the file that n names: as one secret,
// or line by line as a list of secrets. Empty lines do not count.
func (d *decoder) decodeSecretFile(n *yaml.Node, v reflect.Value, key string) {
	base := strings.TrimSuffix(key, "_file")
	d.lines[base] = d.lines[key]
	defer func() {
		if d.broken[key] {
			d.broken[base] = true // it is not missing as well
		}
	}()
	if d.broken[key] {
		return
	}
	if isNull(n) || n.Kind == yaml.ScalarNode && n.Value == "" {
		d.bad(n.Line, key, "has no value; write the path of a file, or remove the line")
		return
	}
	path, ok := d.text(n, key)
	if !ok {
		return
	}
	text, info, err := readSecret(under(d.dir, path))
	if err != nil {
		d.bad(n.Line, key, "%v", err)
		return
	}
	if openToOthers(info) {
		d.warn(key, "others may read the file %s (mode %#o); chmod 600 it", quote(path), info.Mode().Perm())
	}
	if v.Type() == secretType {
		if badText(text) != "" {
			d.bad(n.Line, key, "the file %s holds more than one line of text; write the secret on one line", quote(path))
			return
		}
		v.Set(reflect.ValueOf(secret.New(text)))
		return
	}
	var list []secret.Text
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			continue
		}
		if badText(line) != "" {
			d.bad(n.Line, key, "line %d of the file %s holds an invisible character; remove it", len(list)+1, quote(path))
			return
		}
		list = append(list, secret.New(line))
	}
	v.Set(reflect.ValueOf(list))
}

// A field is one key of a section.
type field struct {
	index  []int // as reflect.Value.FieldByIndex takes it
	secret bool  // may be given as key_file
}

// fieldsOf returns the keys of a section by name, including those of embedded
// structs.
func fieldsOf(t reflect.Type) map[string]field {
	fields := map[string]field{}
	for _, f := range reflect.VisibleFields(t) {
		name := f.Tag.Get("yaml")
		if f.IsExported() && name != "" && name != "-" {
			fields[name] = field{index: f.Index, secret: f.Type == secretType || f.Type == secretsType}
		}
	}
	return fields
}

// kindOf returns what the node is, in words for a message.
func kindOf(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "keys and values"
	case yaml.SequenceNode:
		return "a list"
	default:
		return "text"
	}
}

// exampleOf returns an example of what to write in a section: its first key.
func exampleOf(t reflect.Type) string {
	for _, f := range reflect.VisibleFields(t) {
		if name := f.Tag.Get("yaml"); name != "" && name != "-" {
			return "\"" + name + ": ...\", indented below the key"
		}
	}
	return "keys and values"
}
