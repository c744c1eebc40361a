package config

import (
	"errors"
	"fmt"
	"strings"
)

// expand replaces each ${NAME} by the value of the environment variable. $${
// stands for ${, and any other $ for itself, because password hashes have many.
// It runs after YAML has been parsed and does not expand values again, so the
// value of a variable is never more than text. The error is about a variable that
// is not set, ${ without a name, or a result that is longer than MaxScalar.
func expand(s string, env func(string) (string, bool)) (string, error) {
	if !strings.Contains(s, "${") {
		return s, nil
	}
	var b strings.Builder
	for s != "" {
		switch {
		case strings.HasPrefix(s, "$${"):
			b.WriteString("${")
			s = s[len("$${"):]
		case strings.HasPrefix(s, "${"):
			name, rest, ok := variable(s[len("${"):])
			if !ok {
				return "", errors.New("${ begins an environment variable, but no name and } follow; write ${NAME}, or $${ for ${ itself")
			}
			value, ok := env(name)
			if !ok {
				return "", fmt.Errorf("the environment variable %s is not set; set it, or write $${ for ${ itself", name)
			}
			b.WriteString(value)
			s = rest
		default:
			b.WriteByte(s[0])
			s = s[1:]
		}
		if b.Len() > int(MaxScalar) {
			return "", fmt.Errorf("the value is longer than %v after environment variables are put in; shorten it", MaxScalar)
		}
	}
	return b.String(), nil
}

// variable splits NAME}rest. It returns false if there is no valid name before a
// brace.
func variable(s string) (name, rest string, ok bool) {
	name, rest, ok = strings.Cut(s, "}")
	if !ok || name == "" || '0' <= name[0] && name[0] <= '9' {
		return "", "", false
	}
	for _, c := range []byte(name) {
		if c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return "", "", false
		}
	}
	return name, rest, true
}
