package suggest

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	known := []string{"upstream", "path", "host", "access", "max_body"}
	for word, want := range map[string]string{
		"upstraem": "upstream", "Upstream": "upstream", "upstreams": "upstream", "hots": "host", "acess": "access", "maxBody": "max_body", "max-body": "max_body",
		"x": "", "backend": "", "pass": "", "": "", strings.Repeat("upstream", 10): "",
	} {
		if got := Nearest(word, known); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
