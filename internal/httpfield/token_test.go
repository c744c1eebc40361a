package httpfield_test

import (
	"net/textproto"
	"strings"
	"testing"

	"gatehouse/internal/httpfield"
)

func TestTokens(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s                      string
		token, plain, protocol bool
		folded                 string
	}{
		{"X-Forwarded-User", true, true, true, "X-Forwarded-User"},
		{"x_forwarded.USER", true, false, true, "X-Forwarded-User"},
		{"x\u00e9", false, false, false, "X--"},
		{"a b", false, false, false, "A-B"},
		{"a:", false, false, false, "A-"},
		{"HTTP/2.0", false, false, true, "Http-2-0"},
		{"/x", false, false, false, "-X"},
		{"", false, true, false, ""},
	} {
		if httpfield.IsToken(c.s) != c.token || httpfield.IsPlainName(c.s) != c.plain || httpfield.IsProtocol(c.s) != c.protocol {
			t.Errorf("%q: token %t, plain name %t, protocol %t", c.s, !c.token, !c.plain, !c.protocol)
		}
		if got := httpfield.FoldName(c.s); got != c.folded {
			t.Errorf("%q folds to %q, want %q", c.s, got, c.folded)
		}
	}
}

func TestIsMethod(t *testing.T) {
	t.Parallel()
	for _, m := range []string{"GET", "M-SEARCH", "BASELINE-CONTROL", "X1", "A_B", strings.Repeat("A", 32)} {
		if !httpfield.IsMethod(m) {
			t.Errorf("%q is no method", m)
		}
	}
	for _, m := range []string{"", "get", "Get", "-GET", "1", "_A", "GE T", "GET\n", "\u00c4", strings.Repeat("A", 33)} {
		if httpfield.IsMethod(m) {
			t.Errorf("%q is a method", m)
		}
	}
}

// A name is canonical exactly as net/textproto spells it, and folds to the same
// when it is folded again.
func FuzzNames(f *testing.F) {
	for _, s := range []string{"content-type", "ETag", "x_User", "X-", "-x-y", "a\x80", "", "WWW-Authenticate"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, ok := httpfield.CanonicalName(s)
		if ok != httpfield.IsToken(s) {
			t.Errorf("%q: canonical %t, token %t", s, ok, !ok)
		}
		if want := textproto.CanonicalMIMEHeaderKey(s); ok && got != want {
			t.Errorf("%q is %q, want %q", s, got, want)
		}
		folded := httpfield.FoldName(s)
		if !httpfield.IsPlainName(folded) || httpfield.FoldName(folded) != folded || len(folded) != len(s) {
			t.Errorf("%q folds to %q", s, folded)
		}
	})
}
