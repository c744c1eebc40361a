package logqueue_test

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"gatehouse/internal/logqueue"
)

func escaped(t *testing.T, s string) string {
	t.Helper()
	var line, out bytes.Buffer
	enc := json.NewEncoder(&line)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(s); err != nil {
		t.Fatal(err)
	}
	if n, err := logqueue.EscapeJSON(&out).Write(line.Bytes()); n != line.Len() || err != nil {
		t.Fatalf("Write: %d, %v; want %d", n, err, line.Len())
	}
	return out.String()
}

// A line of the log that is shown on a terminal must not move its cursor, or
// show a name that is another one.
func TestControlAndFormatCharactersAreEscaped(t *testing.T) {
	for in, want := range map[string]string{
		"plain":                    `"plain"`,
		"Zoë 日本 🙂":                 `"Zoë 日本 🙂"`,
		"\x1b[31m":                 `"\u001b[31m"`,
		"del\x7f":                  `"del\u007f"`,
		"\u009b31m":                `"\u009b31m"`, // CSI in one character
		"\u202egpj.exe":            `"\u202egpj.exe"`,
		"a\u200bb\ufeff\u2066":     `"a\u200bb\ufeff\u2066"`,
		"tag \U000e0041":           `"tag \udb40\udc41"`,
		"filler \u3164 and \u00a0": `"filler \u3164 and \u00a0"`,
	} {
		if got := strings.TrimSuffix(escaped(t, in), "\n"); got != want {
			t.Errorf("%+q: %+q, want %+q", in, got, want)
		}
	}
}

func FuzzEscapeJSON(f *testing.F) {
	f.Add("plain")
	f.Add("\u009b\u202e\U000e0041\xff\x80 日本")
	f.Fuzz(func(t *testing.T, s string) {
		line := escaped(t, s)
		var got string
		if err := json.Unmarshal([]byte(line), &got); err != nil || got != strings.ToValidUTF8(s, "\ufffd") && utf8.ValidString(s) {
			t.Errorf("%q became %q (%v)", s, got, err)
		}
		for _, r := range strings.TrimSuffix(line, "\n") {
			if !unicode.IsPrint(r) {
				t.Errorf("%q is in %q", r, line)
			}
		}
	})
}
