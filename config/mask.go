package config

import (
	"regexp"
	"strconv"
	"strings"
)

// A variableValue is the value of an environment variable.
type variableValue struct{ name, value string }

// An expandedValue is a value of the file in which environment variables were
// expanded.
type expandedValue struct {
	key            string
	written, value string // as in the file, and with variables expanded
}

// mask returns the message without what came from the environment, which may be
// secret: each value, and each long part of one, is replaced by ${NAME}. In
// messages about the key in which it was used, every quoted part of it is
// replaced, however short.
func (r *reporter) mask(key, message string) string {
	for _, e := range r.expanded {
		message = e.mask(key, message)
	}
	for _, v := range r.env {
		message = v.mask(message)
	}
	return message
}

// maskedValue is the length in bytes of the shortest value that is masked
// wherever it appears, and maskedPart that of the shortest part of a longer one.
// Shorter ones would match ordinary words.
const (
	maskedValue = 3
	maskedPart  = 12
)

// quoted matches text as strconv.Quote writes it.
var quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

// mask replaces the value by the text of the file. Quoted parts of it are
// replaced only in messages about its own key or a section around it.
func (e expandedValue) mask(key, message string) string {
	written := strconv.Quote(e.written)
	message = strings.ReplaceAll(message, strconv.Quote(e.value), written)
	if !within(e.key, key) {
		return message
	}
	return quoted.ReplaceAllStringFunc(message, func(q string) string {
		part, err := strconv.Unquote(q)
		if err != nil || part == "" || !strings.Contains(e.value, part) || strings.Contains(e.written, part) {
			return q
		}
		return written
	})
}

// within reports whether key is the section itself or is inside of it.
func within(key, section string) bool {
	rest, ok := strings.CutPrefix(key, section)
	return ok && (section == "" || rest == "" || rest[0] == '.' || rest[0] == '[')
}

// mask replaces the value, and each part of it that is at least maskedPart long,
// by the name of the variable.
func (v variableValue) mask(message string) string {
	name := "${" + v.name + "}"
	if v.value == "" {
		return message
	}
	message = strings.ReplaceAll(message, strconv.Quote(v.value), strconv.Quote(name))
	if len(v.value) < maskedValue {
		return message
	}
	message = strings.ReplaceAll(message, v.value, name)
	quoted := strconv.Quote(v.value)
	// Replace the longest part of the value at each position.
	var b strings.Builder
	for i := 0; i < len(message); {
		n := 0
		for end := i + maskedPart; end <= len(message) && (strings.Contains(v.value, message[i:end]) || strings.Contains(quoted, message[i:end])); end++ {
			n = end - i
		}
		if n == 0 {
			b.WriteByte(message[i])
			i++
			continue
		}
		b.WriteString(name)
		i += n
	}
	return b.String()
}
