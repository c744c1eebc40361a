// Package secret holds what must never be printed, and the files that secrets
// are kept in.
package secret

// Text is a password, a key, or an address with a password in it. No verb of
// fmt and no encoder prints it: the text lies behind a pointer, and fmt stops
// at a pointer even in a struct's unexported field. The zero value is empty.
type Text struct{ s *string }

// New keeps s.
func New(s string) Text { return Text{s: &s} }

// Reveal gives the text itself.
func (t Text) Reveal() string {
	if t.s == nil {
		return ""
	}
	return *t.s
}

// IsZero says whether there is no text, or an empty one.
func (t Text) IsZero() bool { return t.Reveal() == "" }

const hidden = "[redacted]"

func (Text) String() string { return hidden }

// GoString hides the text from %#v.
func (Text) GoString() string { return hidden }

// MarshalText hides the text from every encoder (JSON, YAML, slog).
func (Text) MarshalText() ([]byte, error) { return []byte(hidden), nil }

// UnmarshalText takes b as it is.
func (t *Text) UnmarshalText(b []byte) error {
	*t = New(string(b))
	return nil
}
