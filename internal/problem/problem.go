// Package problem collects what is wrong with a section of the configuration.
package problem

import (
	"errors"
	"fmt"
)

// A Problem is one thing that is wrong with a section.
type Problem struct {
	Key     string // seen from the section, such as health.path or methods[0]; "": the section itself
	Message string // the value that was found and what is wrong with it, then the remedy behind a semicolon
}

// A List collects the problems of a section: errors, for which the configuration is
// refused, and warnings, with which it is used all the same. The zero value is an empty
// list. It is not safe for concurrent use.
type List struct {
	Errors   []Problem
	Warnings []Problem

	parent  *List  // where everything is added in place of this list; nil: here
	section string // the key in parent of what this list is for
}

// Errorf adds an error for the key, with a message in the format of fmt.
func (l *List) Errorf(key, format string, args ...any) {
	if l.parent != nil {
		l.parent.Errorf(Join(l.section, key), format, args...)
		return
	}
	l.Errors = append(l.Errors, Problem{key, fmt.Sprintf(format, args...)})
}

// Warnf adds a warning for the key, with a message in the format of fmt.
func (l *List) Warnf(key, format string, args ...any) {
	if l.parent != nil {
		l.parent.Warnf(Join(l.section, key), format, args...)
		return
	}
	l.Warnings = append(l.Warnings, Problem{key, fmt.Sprintf(format, args...)})
}

// In returns a list for a section within that of l, such as health. What is added to it
// is added to l, with the key of the section in front; its own fields stay empty.
func (l *List) In(section string) *List { return &List{parent: l, section: section} }

// Join returns the full key of a key within a section: health and path make health.path,
// access and [0] make access[0]. "" stands for the section itself.
func Join(section, key string) string {
	if section == "" || key == "" || key[0] == '[' {
		return section + key
	}
	return section + "." + key
}

// Err returns all errors as one, with a line for each; nil if there is none. Warnings are
// left out.
func (l *List) Err() error {
	list := make([]error, len(l.Errors))
	for i, p := range l.Errors {
		list[i] = errors.New(p.String())
	}
	return errors.Join(list...)
}

// String returns KEY: MESSAGE, or the message alone if the key is "".
func (p Problem) String() string {
	if p.Key == "" {
		return p.Message
	}
	return p.Key + ": " + p.Message
}
