// Package problem collects what is wrong with a section of the configuration.
package problem

import (
	"errors"
	"fmt"
)

// A Problem is one thing that is wrong with a section.
type Problem struct {
	Key     string // as seen from the section, such as health.path or methods[0]; "": the section itself
	Message string // the value that was found and the rule, then the remedy after a semicolon
}

// A List collects the problems of a section: errors, with which the
// configuration is refused, and warnings, with which it is not. The zero value
// is an empty list. It is for one goroutine at a time.
type List struct {
	Errors   []Problem
	Warnings []Problem

	parent  *List // that everything goes to, as a part of section; nil: it stays here
	section string
}

// Errorf adds an error.
func (l *List) Errorf(key, format string, args ...any) {
	if l.parent != nil {
		l.parent.Errorf(Join(l.section, key), format, args...)
		return
	}
	l.Errors = append(l.Errors, Problem{key, fmt.Sprintf(format, args...)})
}

// Warnf adds a warning.
func (l *List) Warnf(key, format string, args ...any) {
	if l.parent != nil {
		l.parent.Warnf(Join(l.section, key), format, args...)
		return
	}
	l.Warnings = append(l.Warnings, Problem{key, fmt.Sprintf(format, args...)})
}

// In returns a list for a section within that of l, such as health: what is
// added to it is added to l, under its key there.
func (l *List) In(section string) *List { return &List{parent: l, section: section} }

// Join returns the key of what has the key within the section: health and path
// are health.path, access and [0] access[0], and "" is the section itself.
func Join(section, key string) string {
	if section == "" || key == "" || key[0] == '[' {
		return section + key
	}
	return section + "." + key
}

// Err returns all errors as one, a line each; nil when there is none.
func (l *List) Err() error {
	list := make([]error, len(l.Errors))
	for i, p := range l.Errors {
		list[i] = errors.New(p.String())
	}
	return errors.Join(list...)
}

// String returns KEY: MESSAGE, or the message alone of a section itself.
func (p Problem) String() string {
	if p.Key == "" {
		return p.Message
	}
	return p.Key + ": " + p.Message
}
