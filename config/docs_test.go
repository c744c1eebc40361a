package config

import (
	"cmp"
	"encoding"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/problem"
	"gatehouse/internal/yaml"
)

const (
	exampleFile = "../config.example.yaml"
	manualFile  = "../docs/configuration.md"
)

func TestExampleLoads(t *testing.T) {
	c, err := Load(exampleFile)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Warnings) > 0 {
		t.Errorf("warnings: %v", c.Warnings)
	}
}

// TestExampleIsAtTheDefaults compares the example with an almost empty file.
func TestExampleIsAtTheDefaults(t *testing.T) {
	example, err := Load(exampleFile)
	must(t, err)
	short, err := Parse(exampleFile, []byte(oneRoute))
	must(t, err)
	for _, c := range []*Config{example, short} { // an empty list of either kind
		c.TrustedProxies, c.Session.Secrets, c.Routes[0].Origins = nil, nil, nil
		c.Routes[0].PassHeaders = nil
		c.Session.Redis, c.Session.Postgres = Config{}.Session.Redis, Config{}.Session.Postgres
	}
	if !reflect.DeepEqual(example, short) {
		t.Errorf("the example is\n%+v\nthe defaults are\n%+v", example, short)
	}
}

// TestExampleHasEveryKey reads the example with its commented-out lines, and
// the structs by reflection.
func TestExampleHasEveryKey(t *testing.T) {
	source := regexp.MustCompile(`(?m)^( *)#( {2,}|[^ \n#])`).ReplaceAllString(string(read(t, exampleFile)), "$1$2")
	source = source[strings.Index(source, "\nversion:"):]
	var doc yaml.Node
	must(t, yaml.Unmarshal([]byte(source), &doc))
	there := map[string]bool{}
	keysIn(doc.Content[0], "", there)
	for _, key := range keysOf(reflect.TypeFor[Config](), "") {
		if !there[key] && !strings.HasPrefix(key, "routes[].identity.") {
			t.Errorf("%s is not in %s", key, filepath.Base(exampleFile))
		}
	}
	var ps Problems
	if _, err := Parse(exampleFile, []byte(source)); errors.As(err, &ps) {
		for _, p := range ps {
			if p.Key != "users[0].password_hash" && p.Key != "session.secrets_file" {
				t.Errorf("with its commented-out lines: %v", p)
			}
		}
	}
}

func keysIn(n *yaml.Node, key string, there map[string]bool) {
	there[key] = true
	for i, child := range n.Content {
		switch {
		case n.Kind == yaml.SequenceNode:
			keysIn(child, key+"[]", there)
		case i%2 == 1:
			keysIn(child, problem.Join(key, n.Content[i-1].Value), there)
		}
	}
}

// TestManualHasEveryKey looks each key of the structs up in the tables of
// docs/configuration.md, where its default must be the one that it has.
func TestManualHasEveryKey(t *testing.T) {
	tables := manualTables(t)
	for _, key := range keysOf(reflect.TypeFor[Config](), "") {
		want, leaf := defaultOf(key)
		if !leaf || strings.HasPrefix(key, "routes[].identity.") {
			continue
		}
		section := sectionOf(key, slices.Collect(maps.Keys(tables)))
		row, ok := tables[section][strings.TrimPrefix(strings.TrimPrefix(key, section), ".")]
		switch got := row.def; {
		case !ok:
			t.Errorf("%s is not in the table of %q in %s", key, section, filepath.Base(manualFile))
		case got != want && got != "required" && (got != "none" || want != "[]" && want != "0 headers"):
			t.Errorf("%s has the default %q, but %s says %q", key, want, filepath.Base(manualFile), got)
		}
	}
}

// manualTables gives the rows of docs/configuration.md by heading and key.
func manualTables(t *testing.T) map[string]map[string]manualRow {
	t.Helper()
	heading := regexp.MustCompile("^#+ .*?(?:`([^`]+)`)?\n$")
	cells := regexp.MustCompile("^\\| `([^`]+)` \\| ([^|]+) \\| ([^|]+) \\| (.*) \\|\n$")
	tables := map[string]map[string]manualRow{}
	section := ""
	for line := range strings.Lines(string(read(t, manualFile))) {
		if h := heading.FindStringSubmatch(line); h != nil {
			section = h[1]
			if tables[section] == nil {
				tables[section] = map[string]manualRow{}
			}
		} else if c := cells.FindStringSubmatch(line); c != nil {
			tables[section][c[1]] = manualRow{c[2], strings.Trim(c[3], "`"), c[4]}
		}
	}
	return tables
}

// defaultOf gives the default of a key as it is written in a file, and
// whether the key is not a section of others.
func defaultOf(key string) (text string, leaf bool) {
	v := reflect.ValueOf(Defaults()).Elem()
	for part := range strings.SplitSeq(key, ".") {
		name, isList := strings.CutSuffix(part, "[]")
		v = v.FieldByIndex(fieldsOf(v.Type())[name].index)
		if v.Kind() == reflect.Pointer {
			v = reflect.New(v.Type().Elem()).Elem()
		}
		if isList {
			v = reflect.New(v.Type().Elem()).Elem()
			setDefaults(v.Addr())
		}
	}
	if m, ok := reflect.TypeAssert[encoding.TextMarshaler](v.Addr()); ok && v.Type() != secretType {
		b, _ := m.MarshalText()
		return string(b), true
	}
	switch {
	case v.Type() == secretType:
		return "empty", true
	case v.Kind() == reflect.String:
		return cmp.Or(v.String(), "empty"), true
	case v.Kind() == reflect.Slice && v.Type().Elem().Kind() == reflect.Struct && v.Type() != secretsType, v.Kind() == reflect.Struct:
		return "", false
	case v.Kind() == reflect.Slice:
		var items []string
		for i := range v.Len() {
			items = append(items, v.Index(i).String())
		}
		return "[" + strings.Join(items, ", ") + "]", true
	case v.Kind() == reflect.Map:
		return fmt.Sprintf("%d headers", v.Len()), true
	default:
		return fmt.Sprint(v.Interface()), true
	}
}

// TestManualExamplesLoad loads every YAML block of the manuals that says that
// it is a whole configuration.
func TestManualExamplesLoad(t *testing.T) {
	blocks := regexp.MustCompile("(?s)```yaml\n(# gatehouse.yaml.*?)```")
	found := 0
	dir := filepath.Join(fixtures(t), "files")
	for _, file := range slices.Concat(glob(t, "../docs/*.md"), glob(t, "../docs/*/*.md"), []string{"../README.md"}) {
		for _, m := range blocks.FindAllStringSubmatch(string(read(t, file)), -1) {
			found++
			env := func(string) (string, bool) { return "k5Jf0bQy8wqUO3m1u4rXw2c7sN9aTzEh6VgLpDdKiYo", true }
			text := strings.NewReplacer("/etc/gatehouse/", dir+"/").Replace(m[1])
			c, err := parse(filepath.Join(dir, "gatehouse.yaml"), []byte(text), nil, env)
			if err != nil {
				t.Errorf("%s: %v\n%s", file, err, m[1])
			} else if len(c.Warnings) > 0 && !strings.Contains(m[1], "# warns") {
				t.Errorf("%s: %v\n%s", file, c.Warnings, m[1])
			}
		}
	}
	if found < 20 {
		t.Errorf("%d examples; the pattern of this test may not fit any more", found)
	}
}
