// Package secret holds text that must never be printed, and reads the file with the
// keys of the gate.
package secret

// Text is a password, a key, or a URL with a password in it. No verb of fmt and no
// encoder prints it. That holds for unexported fields of structs as well, where fmt
// calls no methods: the text lies behind a pointer, which fmt does not follow there.
// The zero value is the empty text. Two Texts must not be compared by ==.
type Text struct{ s *string }

// New returns s as a Text.
func New(s string) Text { return Text{s: &s} }

// Reveal returns the text itself.
func (t Text) Reveal() string {
	if t.s == nil {
		return ""
	}
	return *t.s
}

// IsZero reports whether the text is empty.
func (t Text) IsZero() bool { return t.Reveal() == "" }

const hidden = "[redacted]"

// String hides the text from fmt.
func (Text) String() string { return hidden }

// GoString hides the text from %#v.
func (Text) GoString() string { return hidden }

// MarshalText hides the text from every encoder (JSON, YAML, slog).
func (Text) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// UnmarshalText sets the text to b.
func (t *Text) UnmarshalText(b []byte) error {
	*t = New(string(b))
	return nil
}
