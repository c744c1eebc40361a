package config

import (
	"bytes"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"gatehouse/internal/yaml"
)

// mostLocated is the size in bytes of the largest file in which the line of a
// syntax error is searched for. Each step of the search parses a part of the file
// again.
const mostLocated = 128 << 10

// yamlLine and yamlAnchor match errors of the parser; noSpace matches a line on
// which a key's colon is followed directly by a value.
var (
	yamlLine   = regexp.MustCompile(`^yaml: line (\d+): `)
	yamlAnchor = regexp.MustCompile(`^yaml: unknown anchor '(.*)' referenced$`)
	noSpace    = regexp.MustCompile(`^[ -]*([a-z_]{1,40}):[^ \s/]`)
)

// syntaxProblem reports an error of the YAML parser in words that say what to do.
// The parser's own text is never shown: it may contain a part of the file.
func syntaxProblem(data []byte, err error, r *reporter) {
	text := err.Error()
	if m := yamlAnchor.FindStringSubmatch(text); m != nil {
		anchorProblem(data, m[1], r)
		return
	}
	line := locate(data, err)
	content := lineAt(data, line)
	for _, at := range []int{line - 1, line} {
		if m := noSpace.FindSubmatch(lineAt(data, at)); m != nil && len(elsewhere(string(m[1]))) > 0 {
			r.bad(at, "", "there is no space after %s:; write %s: and the value behind a space", m[1], m[1])
			return
		}
	}
	if at, ok := tabIndent(data, line); ok {
		r.bad(at, "", "the line is indented with a tab; YAML wants spaces")
		return
	}
	what := strings.TrimPrefix(yamlLine.ReplaceAllString(text, ""), "yaml: ")
	remedy, ok := remedies[what]
	if !ok {
		remedy = "this is not YAML; look at the quotes, brackets and indentation here"
	}
	if bytes.Contains(content, []byte("::")) && what == "did not find expected node content" {
		remedy = `an IPv6 address inside [ ] needs quotes; write "::1"`
	}
	if bytes.Contains(content, []byte("${")) && bytes.ContainsAny(content, "[,") {
		remedy += `; inside { } and [ ], a value with ${NAME} must stand in quotes: "${NAME}"`
	}
	r.bad(line, "", "%s", remedy)
}

// remedies maps the errors of the parser that people meet to what to do about
// them.
var remedies = map[string]string{
	"found character that cannot start any token":            "a value cannot begin with this character; write it in quotes if it begins with @, ` or %, and indent with spaces, not tabs",
	"could not find expected ':'":                            "a key without a colon, or a value that goes on without being indented; write key: value",
	"mapping values are not allowed in this context":         "a colon where no key can stand; check the indentation, put a space after the colon of a key, and quotes around a value that holds \": \"",
	"mapping keys are not allowed in this context":           "a ? where no key can stand; write the value in quotes",
	"block sequence entries are not allowed in this context": "a list entry where none can stand; begin the list on the line below its key, and indent all its - alike",
	"did not find expected key":                              "the indentation does not fit the lines above, or a quoted value goes on behind its quotes; indent all keys of a section alike",
	"did not find expected '-' indicator":                    "the indentation does not fit the list above; indent all its - alike, and the keys of an entry alike",
	"did not find expected node content":                     "a value is missing here; write one, or remove what asks for it",
	"did not find expected ',' or ']'":                       "a [ that begins here or above is not closed well; write [a, b], with values that hold , [ ] { or } in quotes",
	"did not find expected ',' or '}'":                       "a { that begins here or above is not closed well; write {key: value, key: value}, with values that hold , [ ] { or } in quotes",
	"found unexpected end of stream":                         "a quote that begins here is never closed; close it",
	"found unexpected document indicator":                    "a quote that begins above this --- is never closed; close it",
	"found unknown escape character":                         `a \ in double quotes begins an escape that YAML does not know; write \\, or use single quotes`,
	"did not find expected hexdecimal number":                `a \x or \u in double quotes needs hexadecimal digits; write \\, or use single quotes`,
	"found invalid Unicode character escape code":            `a \x or \u in double quotes names no character; write \\, or use single quotes`,
	"did not find expected alphabetic or numeric character":  "a value cannot begin with * or & without quotes; write it in quotes, such as \"*.example.com\"",
	"did not find expected <document start>":                 "text behind the end of the configuration; indent it alike with the lines above, or remove it",
	"found undefined tag handle":                             "YAML tags (!name) are not supported; remove it, or write the value in quotes if it begins with !",
	"did not find expected tag URI":                          "YAML tags (!name) are not supported; remove it, or write the value in quotes if it begins with !",
	"found a tab character that violates indentation":        "the line is indented with a tab; YAML wants spaces",
	"did not find expected comment or line break":            "text behind a | or > that begins a block; write a value that begins with | or > in quotes",
	"exceeded max depth of 10000":                            "nested too deeply; no key lies this deep",
}

// anchorProblem reports a value that begins with * and is not in quotes, which
// YAML takes for an alias. The value may be a secret, so it is not repeated.
func anchorProblem(data []byte, name string, r *reporter) {
	line := 1
	if i := bytes.Index(data, []byte("*"+name)); i >= 0 {
		line = 1 + bytes.Count(data[:i], []byte("\n"))
	}
	r.bad(line, "", "a value begins with * and has no quotes, so that YAML takes it for an alias; write it in quotes")
}

// locate returns the line, from 1, of a syntax error. The parser names the line
// in which the construct began, one more or one less, or none. But the first n
// lines of the file fail with the very same error as soon as the culprit is among
// them, so it is found by bisection.
func locate(data []byte, err error) int {
	line := 1
	if m := yamlLine.FindStringSubmatch(err.Error()); m != nil {
		line, _ = strconv.Atoi(m[1])
	}
	if len(data) > mostLocated {
		return max(line, 1)
	}
	ends := lineEnds(data)
	low, high := 0, len(ends) // the first low lines do not fail with err, the first high lines do
	for high-low > 1 {
		mid := (low + high) / 2
		if e := parseOnly(data[:ends[mid-1]]); e != nil && e.Error() == err.Error() {
			high = mid
		} else {
			low = mid
		}
	}
	return max(high, 1)
}

// parseOnly returns the first error in data, which may be a stream of documents.
// A panic of the parser is returned as an error.
func parseOnly(data []byte) (err error) {
	defer func() {
		if e := recover(); e != nil {
			err = fmt.Errorf("panic: %v", e)
		}
	}()
	dec := yaml.NewDecoder(bytes.NewReader(data))
	for range 2 {
		var n yaml.Node
		if err := dec.Decode(&n); err == io.EOF { //nolint:errorlint // Decode returns io.EOF itself
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// lineEnds returns the offset behind each line.
func lineEnds(data []byte) []int {
	var ends []int
	at := 0
	for line := range bytes.Lines(data) {
		at += len(line)
		ends = append(ends, at)
	}
	return ends
}

// lineAt returns a line, counted from 1, with its line break; nil if there is no
// such line.
func lineAt(data []byte, line int) []byte {
	for l := range bytes.Lines(data) {
		if line--; line == 0 {
			return l
		}
	}
	return nil
}

// tabIndent returns the number of the line that has a tab in its indentation: the
// line of the error, or the one after or before it. It returns false if there is
// none.
func tabIndent(data []byte, line int) (int, bool) {
	for _, at := range []int{line, line + 1, line - 1} {
		l := lineAt(data, at)
		indent := l[:len(l)-len(bytes.TrimLeft(l, " \t"))]
		if bytes.Contains(indent, []byte("\t")) {
			return at, true
		}
	}
	return 0, false
}
