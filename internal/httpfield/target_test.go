package httpfield_test

import (
	"testing"

	"gatehouse/internal/httpfield"
)

func TestCutAuthority(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		uri, target, authority string
		ok                     bool
	}{
		{"http://a/b?c", "/b?c", "a", true},
		{"HTTPS://a:8443", "/", "a:8443", true},
		{"http://a?c=/", "/?c=/", "a", true},
		{"http://a//b", "//b", "a", true},
		{"http:///b", "", "", false},
		{"http://", "", "", false},
		{"ftp://a/b", "", "", false},
		{"/b", "", "", false},
		{"*", "", "", false},
		{"a:443", "", "", false},
		{"", "", "", false},
	} {
		target, authority, ok := httpfield.CutAuthority(c.uri)
		if target != c.target || authority != c.authority || ok != c.ok {
			t.Errorf("%q: %q, %q, %t", c.uri, target, authority, ok)
		}
	}
}
