package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"gatehouse/internal/problem"
	"gatehouse/internal/value"
)

const schemaFile = "../docs/gatehouse.schema.json"

// The forms of the values that read themselves. A number without a unit is
// no text to an editor.
const (
	aDuration = `[0-9]+d|([0-9]+d)?([0-9]+([.][0-9]+)?(ns|us|µs|ms|s|m|h))+`
	aSize     = `[0-9]+( ?(B|KiB|MiB|GiB|TiB|kB|MB|GB|TB))?`
	aRate     = `[1-9][0-9]*/(s|m|h|d|` + aDuration + `)`
)

// TestJSONSchema makes the JSON Schema of the configuration from the structs, with
// the words of docs/configuration.md: go test ./config -run TestJSONSchema -update
// writes it after a key was added.
func TestJSONSchema(t *testing.T) {
	var want bytes.Buffer
	enc := json.NewEncoder(&want)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	must(t, enc.Encode(schemaMaker{manual(t)}.whole(t)))
	if *update {
		must(t, os.WriteFile(schemaFile, want.Bytes(), 0o644)) //nolint:gosec // a file of the source
	}
	if !bytes.Equal(read(t, schemaFile), want.Bytes()) {
		t.Errorf("%s is not that of the structs and docs/configuration.md; go test ./config -run TestJSONSchema -update", filepath.Base(schemaFile))
	}
	first, _, _ := strings.Cut(string(read(t, exampleFile)), "\n")
	if want := "# yaml-language-server: $schema=docs/" + filepath.Base(schemaFile); first != want {
		t.Errorf("the first line of the example is %q, want %q", first, want)
	}
}

// object is one schema, or a part of one.
type object = map[string]any

// A schemaMaker turns the structs into a schema.
type schemaMaker struct {
	rows map[string]manualRow // by key
}

func (m schemaMaker) whole(t *testing.T) object {
	s := m.section(t, reflect.TypeFor[Config](), "")
	s["$schema"] = "http://json-schema.org/draft-07/schema#" // the newest that editors of YAML know
	s["title"] = "gatehouse.yaml"
	s["description"] = "The configuration of Gatehouse. gatehouse check knows more than a schema can say."
	s["definitions"] = object{
		"text":        object{"type": []string{"string", "number", "boolean"}}, // name: 1e3 is the text 1e3
		"environment": object{"type": "string", "pattern": `[$][{][A-Za-z_][A-Za-z0-9_]*[}]`},
		"duration":    form(aDuration, "30s, 15m, 12h, 14d; 0 is none"),
		"size":        form(aSize, "512, 8KiB, 10MiB; 0 is none"),
		"rate":        form(aRate, "10/15m; 0 is no limit"),
	}
	return s
}

// form is a value with a unit: text, or a number that needs none.
func form(pattern, description string) object {
	number := object{"const": 0}
	if pattern == aSize {
		number = object{"type": "integer", "minimum": 0}
	}
	return object{"description": description, "anyOf": []any{
		object{"type": "string", "pattern": "^(0|" + pattern + ")$"}, number, ref("environment"),
	}}
}

func ref(name string) object { return object{"$ref": "#/definitions/" + name} }

func (m schemaMaker) section(t *testing.T, of reflect.Type, key string) object {
	properties, all := object{}, []any{}
	for name, f := range fieldsOf(of) {
		full := problem.Join(key, name)
		row := m.rows[full]
		p := m.property(t, of.FieldByIndex(f.index).Type, full)
		if row.meaning != "" {
			p["description"] = strings.ReplaceAll(row.meaning, "`", "")
		}
		properties[name] = p
		if f.secret {
			properties[name+"_file"] = object{"allOf": []any{ref("text")}, "description": "A file that holds " + name + ", in place of it."}
			all = append(all, object{"not": object{"required": []string{name, name + "_file"}}})
		}
		if row.def == "required" {
			others := map[bool]string{true: name + "_file", false: "upstreams"} // a route may have several
			if either := others[f.secret]; either == "upstreams" && name != "upstream" {
				all = append(all, object{"required": []string{name}})
			} else {
				all = append(all, object{"anyOf": []any{object{"required": []string{name}}, object{"required": []string{either}}}})
			}
		}
	}
	s := object{"type": "object", "additionalProperties": false, "properties": properties}
	if len(all) > 0 {
		slices.SortFunc(all, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
		s["allOf"] = all
	}
	return s
}

func (m schemaMaker) property(t *testing.T, of reflect.Type, key string) object {
	switch {
	case of == reflect.TypeFor[value.Duration]():
		return object{"allOf": []any{ref("duration")}, "default": m.rows[key].def}
	case of == reflect.TypeFor[value.Size]():
		return object{"allOf": []any{ref("size")}, "default": m.rows[key].def}
	case of == reflect.TypeFor[value.Rate]():
		return object{"allOf": []any{ref("rate")}, "default": m.rows[key].def}
	case readsItself(reflect.New(of).Elem()):
		return object{"allOf": []any{ref("text")}}
	}
	switch of.Kind() {
	case reflect.Struct:
		return m.section(t, of, key)
	case reflect.Pointer:
		return m.property(t, of.Elem(), key)
	case reflect.Slice:
		return object{"type": "array", "items": m.property(t, of.Elem(), key+"[]")}
	case reflect.Map:
		values := ref("text")
		if m.rows[key].kind == "map of words" {
			values = object{"enum": m.words(t, key)}
		}
		return object{"type": "object", "additionalProperties": values}
	default:
		return m.scalar(t, of.Kind(), key)
	}
}

func (m schemaMaker) scalar(t *testing.T, kind reflect.Kind, key string) object {
	row := m.rows[key]
	var s object
	var def any = row.def
	switch {
	case kind == reflect.Bool:
		s, def = object{"anyOf": []any{object{"type": "boolean"}, ref("environment")}}, row.def == "true"
	case kind == reflect.Int:
		n, _ := strconv.Atoi(row.def)
		s, def = object{"anyOf": []any{object{"type": "integer"}, ref("environment")}}, n
	case row.kind == "word":
		s = object{"anyOf": []any{object{"enum": m.words(t, key)}, ref("environment")}}
	default:
		s = object{"allOf": []any{ref("text")}}
	}
	if row.def != "" && row.def != "required" && row.def != "empty" && row.def != "the general ones" {
		s["default"] = def
	}
	return s
}

// words gives those of the words in the manual's description of a key that
// the key may be, which the checks of the rooms are asked. true and false are
// words to people, and something else to editors.
func (m schemaMaker) words(t *testing.T, key string) []any {
	t.Helper()
	refused := problemsAt(key, "nonsense")
	if refused == "" {
		t.Errorf("%s is a word in the manual, and may be anything", key)
	}
	var words []any
	if m.rows[key].def == "empty" {
		words = append(words, "")
	}
	for _, w := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(m.rows[key].meaning, -1) {
		if got := problemsAt(key, w[1]); slices.Contains(words, any(w[1])) || got == strings.ReplaceAll(refused, "nonsense", w[1]) {
			continue
		}
		words = append(words, w[1])
		if b, err := strconv.ParseBool(w[1]); err == nil {
			words = append(words, b)
		}
	}
	if len(words) < 2 {
		t.Errorf("%s is a word in the manual, which names %q", key, words)
	}
	return words
}

// problemsAt is what the checks say of a value of a key.
func problemsAt(key, word string) string {
	if strings.HasSuffix(key, "headers") {
		key += ".X-Probe"
	}
	before, after := "", ""
	for part := range strings.SplitSeq(key, ".") {
		name, isList := strings.CutSuffix(part, "[]")
		before, after = before+"{"+name+": ", "}"+after
		if isList {
			before, after = before+"[", "]"+after
		}
	}
	_, err := Parse("", []byte(before+word+after))
	if err == nil {
		return ""
	}
	var here []string
	for line := range strings.Lines(err.Error()) {
		if strings.Contains(line, strings.ReplaceAll(key, "[]", "[0]")+": ") {
			here = append(here, line)
		}
	}
	return strings.Join(here, "")
}

// TestJSONSchemaFitsTheFiles holds the schema to what the program itself says.
func TestJSONSchemaFitsTheFiles(t *testing.T) {
	check := loadSchema(t)
	good := append(glob(t, "testdata/good/*.yaml"), glob(t, "testdata/warn/*.yaml")...)
	for _, file := range append(good, exampleFile) {
		for _, problem := range check(read(t, file)) {
			t.Errorf("%s: %s", file, problem)
		}
	}
	// What a schema can see. It sees no values that depend on others, no
	// files, and nothing of what is no YAML.
	for name := range strings.FieldsSeq(`
		bool-yes cookie-and-session duration-negative duration-no-unit duration-words empty-comment
		file-and-value file-of-no-secret foreign-oauth2-proxy-words foreign-proxy-words foreign-rule-words
		foreign-session-words list-of-sections-wanted list-wanted log map-wanted no-value no-value-in-list
		not-a-mapping only-text password-in-user rate route section-wanted size unknown-key unknown-key-camel
		unknown-key-elsewhere unknown-key-far users-as-map value-wanted`) {
		if len(check(read(t, filepath.Join("testdata/bad", name+".yaml")))) == 0 {
			t.Errorf("the schema finds nothing in bad/%s.yaml", name)
		}
	}
}

// TestJSONSchemaForms compares the patterns with the parsers.
func TestJSONSchemaForms(t *testing.T) {
	for text := range strings.FieldsSeq("0 1 30 -1 30s 15m 12h 14d 1h30m 1d12h 1.5h 30x s d 1h-1s 00 08 10KiB 1kB 1KB 1.5MiB 10/15m 10/m 0/1m 10/1d12h /m 10 1/0 no") {
		var d value.Duration
		var s value.Size
		var r value.Rate
		for pattern, err := range map[string]error{
			aDuration: d.UnmarshalText([]byte(text)), aSize: s.UnmarshalText([]byte(text)), aRate: r.UnmarshalText([]byte(text)),
		} {
			if got := regexp.MustCompile("^(0|" + pattern + ")$").MatchString(text); got != (err == nil) && text != "00" && text != "1/0" {
				t.Errorf("%q matches %s: %v, but the parser says %v", text, pattern, got, err)
			}
		}
	}
}

// manualRow is a row of a table in docs/configuration.md.
type manualRow struct{ kind, def, meaning string }

// manual gives the rows of docs/configuration.md by key.
func manual(t *testing.T) map[string]manualRow {
	t.Helper()
	tables := manualTables(t)
	rows := map[string]manualRow{}
	for _, key := range keysOf(reflect.TypeFor[Config](), "") {
		section := sectionOf(key, slices.Collect(maps.Keys(tables)))
		rows[key] = tables[section][strings.TrimPrefix(strings.TrimPrefix(key, section), ".")]
	}
	return rows
}

// sectionOf gives the longest heading that a key lies below.
func sectionOf(key string, headings []string) (section string) {
	for _, h := range headings {
		if strings.HasPrefix(key, h+".") && len(h) > len(section) {
			section = h
		}
	}
	return section
}
