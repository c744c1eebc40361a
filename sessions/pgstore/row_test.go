package pgstore

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestEscapeText(t *testing.T) {
	for in, want := range map[string]string{
		"":            "",
		"alice":       "alice",
		"Zo\u00eb":    "Zo\u00eb",
		`DOMAIN\user`: `DOMAIN\\user`,
		"a\x00b":      `a\x00b`,
		"cut \xc3":    `cut \xc3`,
		`a\x00b`:      `a\\x00b`,
		"\ufffd":      "\ufffd",
	} {
		if got := escapeText(in); got != want {
			t.Errorf("escapeText(%q) = %q, want %q", in, got, want)
		}
	}
	for _, bad := range []string{`\`, `\x`, `\x0`, `\xzz`, `\y`, `a\`} {
		if got, err := unescapeText(bad); err == nil {
			t.Errorf("unescapeText(%q) = %q", bad, got)
		}
	}
}

func FuzzEscapeText(f *testing.F) {
	for _, s := range []string{"", "alice", "\x00", "\xff\\x", `\\`, "Zo\u00eb\xc3", "\ufffd"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		e := escapeText(s)
		if !utf8.ValidString(e) || strings.Contains(e, "\x00") {
			t.Errorf("%q becomes %q, which is no text", s, e)
		}
		if got, err := unescapeText(e); err != nil || got != s {
			t.Errorf("%q comes back as %q, %v", s, got, err)
		}
		_, _ = unescapeText(s)
	})
}
