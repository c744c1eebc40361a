package httpfield_test

import (
	"slices"
	"strings"
	"testing"

	"gatehouse/internal/httpfield"
)

func TestLists(t *testing.T) {
	t.Parallel()
	lines := []string{" keep-alive ,\tUpgrade,", "", ",X-A;q=1"}
	want := []string{"keep-alive", "Upgrade", "X-A;q=1"}
	if got := slices.Collect(httpfield.Elements(lines)); !slices.Equal(got, want) {
		t.Errorf("the elements are %q, want %q", got, want)
	}
	for token, want := range map[string]bool{"upgrade": true, "KEEP-ALIVE": true, "x-a": true, "keep": false, "close": false} {
		if httpfield.HasToken(lines, token) != want {
			t.Errorf("%q is there: %t", token, !want)
		}
		if bare := want && token != "x-a"; httpfield.HasBareToken(lines, token) != bare {
			t.Errorf("%q is there without a parameter: %t", token, !bare)
		}
	}
}

func TestValues(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		s              string
		oneLine, value bool
	}{
		{"", true, true},
		{"a\tb \u00fc\xff", true, true},
		{"a\x01", true, false},
		{"a\x7f", true, false},
		{"a\nb", false, false},
		{"a\rb", false, false},
		{"a\x00b", false, false},
	} {
		if httpfield.IsOneLine(c.s) != c.oneLine || httpfield.IsValue(c.s) != c.value {
			t.Errorf("%q: one line %t, value %t", c.s, !c.oneLine, !c.value)
		}
	}
	for _, s := range []string{"", " ", "\t \t", " a ", "a\t", "\na ", "a b"} {
		if got, want := httpfield.TrimOWS(s), strings.Trim(s, " \t"); got != want {
			t.Errorf("%q is %q, want %q", s, got, want)
		}
	}
}
