package config

import (
	"errors"
	"strings"
	"testing"
)

// Of a value from the environment no part is told either, however short, nor
// where it stands among other text.
func TestShortValuesFromTheEnvironmentAreNotTold(t *testing.T) {
	for _, c := range []struct{ written, value, key, message, want string }{
		{"x${V}", "qq", "log.level", `"xqq" is no level`, `"x${V}" is no level`},
		{"x${V}", "q", "log", `"xq" is no level`, `"x${V}" is no level`},
		{"${V}", "qq", "log.level", `"qq" is no level`, `"${V}" is no level`},
		{"${V}", "abc:99x", "listen", `the port "99x" is no number`, `the port "${V}" is no number`},
		{"${V}", "abc:99x", "other", `the port "99x" is no number`, `the port "99x" is no number`},
		{"${V}", "http://pw:x@host:8x/", "upstream", `parse "http://pw:x@host:8x/": invalid port ":8x" after host`, `parse "${V}": invalid port "${V}" after host`},
		{"http://${V}", "h:8x", "upstream", `"http" is right, ":8x" is not`, `"http" is right, "http://${V}" is not`},
		{"${V}", `a"b`, "name", `"\"b" is odd`, `"${V}" is odd`},
		{"${V}", "", "name", `"" is empty`, `"${V}" is empty`},
	} {
		r := newReporter("f")
		key := c.key // where it was put in
		switch c.key {
		case "other":
			key = "listen"
		case "log":
			key = "log.level"
		}
		value := strings.ReplaceAll(c.written, "${V}", c.value)
		r.env = append(r.env, variableValue{"V", c.value})
		r.expanded = append(r.expanded, expandedValue{key, c.written, value})
		r.bad(1, c.key, "%v", errors.New(c.message)) //nolint:err113 // a message of a check
		if got := r.problems[0].Message; got != c.want {
			t.Errorf("%s of %q: %s becomes %s, want %s", c.written, c.value, c.message, got, c.want)
		}
	}
}

func FuzzMask(f *testing.F) {
	f.Add("x${V}", "qq", `"xqq" is no level`)
	f.Add("${V}", `a"b\`, `parse "a\"b": "\`+`"`)
	f.Fuzz(func(t *testing.T, written, value, message string) {
		if !strings.Contains(written, "${V}") {
			return
		}
		e := expandedValue{"k", written, strings.ReplaceAll(written, "${V}", value)}
		got := e.mask("k", message)
		if !strings.Contains(message, `"`) && got != message {
			t.Errorf("%q becomes %q, without any quoted text", message, got)
		}
		for _, q := range quoted.FindAllString(got, -1) {
			if q != `""` && q == `"`+value+`"` && !strings.Contains(written, value) {
				t.Errorf("%q becomes %q, with the value %q", message, got, value)
			}
		}
	})
}
