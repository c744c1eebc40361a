package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"regexp"
	"slices"
	"testing"

	"gatehouse/internal/problem"
	"gatehouse/internal/yaml"
)

// loadSchema gives a function that tells what the published schema says of a
// file. It knows the words of JSON Schema that the schema uses, and fails for
// any other.
func loadSchema(t *testing.T) func(file []byte) []string {
	t.Helper()
	var root object
	must(t, json.Unmarshal(read(t, schemaFile), &root))
	v := validator{t, root}
	return func(file []byte) []string {
		var doc any
		if err := yaml.Unmarshal(file, &doc); err != nil {
			t.Fatalf("%v\n%s", err, file)
		}
		return v.check(root, plainJSON(t, doc), "")
	}
}

// plainJSON turns what a YAML parser gives into what a JSON parser would, as
// editors do.
func plainJSON(t *testing.T, doc any) (out any) {
	t.Helper()
	text, err := json.Marshal(doc)
	must(t, err)
	must(t, json.Unmarshal(text, &out))
	return out
}

type validator struct {
	t    *testing.T
	root object
}

// check gives what is wrong with x at a place.
func (v validator) check(s object, x any, at string) (wrong []string) {
	for word, arg := range s {
		switch word {
		case "$schema", "title", "description", "default", "definitions", "properties":
		case "$ref":
			var name string
			if _, err := fmt.Sscanf(arg.(string), "#/definitions/%s", &name); err != nil {
				v.t.Fatalf("%q: %v", arg, err)
			}
			wrong = append(wrong, v.check(v.root["definitions"].(object)[name].(object), x, at)...)
		case "allOf":
			for _, each := range arg.([]any) {
				wrong = append(wrong, v.check(each.(object), x, at)...)
			}
		case "anyOf":
			if !slices.ContainsFunc(arg.([]any), func(each any) bool { return len(v.check(each.(object), x, at)) == 0 }) {
				wrong = append(wrong, fmt.Sprintf("%s: %v is none of %v", at, x, arg))
			}
		case "not":
			if len(v.check(arg.(object), x, at)) == 0 {
				wrong = append(wrong, fmt.Sprintf("%s: %v is what is forbidden", at, x))
			}
		default:
			if !v.fits(s, word, arg, x, at, &wrong) {
				wrong = append(wrong, fmt.Sprintf("%s: %v does not fit %s %v", at, x, word, arg))
			}
		}
	}
	return wrong
}

// fits knows the words that look at one value, or at what lies in it.
func (v validator) fits(s object, word string, arg, x any, at string, wrong *[]string) bool {
	switch word {
	case "const":
		return reflect.DeepEqual(arg, x)
	case "enum":
		return slices.ContainsFunc(arg.([]any), func(each any) bool { return reflect.DeepEqual(each, x) })
	case "type":
		if list, ok := arg.([]any); ok {
			return slices.ContainsFunc(list, func(each any) bool { return isType(each, x) })
		}
		return isType(arg, x)
	case "pattern":
		text, ok := x.(string)
		return !ok || regexp.MustCompile(arg.(string)).MatchString(text)
	case "minimum":
		n, ok := x.(float64)
		return !ok || n >= arg.(float64)
	case "items":
		list, _ := x.([]any)
		for i, each := range list {
			*wrong = append(*wrong, v.check(arg.(object), each, index(at, i))...)
		}
		return true
	case "required":
		m, ok := x.(object)
		return !ok || !slices.ContainsFunc(arg.([]any), func(name any) bool { _, there := m[name.(string)]; return !there })
	case "additionalProperties":
		m, _ := x.(object)
		known, _ := s["properties"].(object)
		for _, name := range slices.Sorted(maps.Keys(m)) {
			if p, ok := known[name].(object); ok {
				*wrong = append(*wrong, v.check(p, m[name], problem.Join(at, name))...)
			} else if p, ok := arg.(object); ok {
				*wrong = append(*wrong, v.check(p, m[name], problem.Join(at, name))...)
			} else {
				*wrong = append(*wrong, problem.Join(at, name)+": unknown")
			}
		}
		return true
	default:
		v.t.Fatalf("the schema uses %q, which this test does not know", word)
		return false
	}
}

func isType(name, x any) bool {
	switch x := x.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case string:
		return name == "string"
	case float64:
		return name == "number" || name == "integer" && x == float64(int64(x))
	case []any:
		return name == "array"
	default:
		return name == "object"
	}
}
