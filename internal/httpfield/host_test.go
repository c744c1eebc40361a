package httpfield_test

import (
	"testing"

	"gatehouse/internal/httpfield"
)

func TestASCIIHost(t *testing.T) {
	t.Parallel()
	for host, want := range map[string]string{
		"":                         "",
		"wiki.example.com:8443":    "wiki.example.com:8443",
		"My_Host":                  "My_Host",
		"bücher.example":           "xn--bcher-kva.example",
		"BÜCHER.example.":          "xn--bcher-kva.example.",
		"*.bücher.example:8443":    "*.xn--bcher-kva.example:8443",
		"bu\u0308cher.example":     "xn--bcher-kva.example",  // decomposed, as macOS writes it
		"straße.example":           "xn--strae-oqa.example",  // as browsers do, not strasse
		"例え。テスト":                   "xn--r8jz45g.xn--zckzah", // the dot of Japanese keyboards
		"xn--bcher-kva.bücher.com": "xn--bcher-kva.xn--bcher-kva.com",
	} {
		if got, err := httpfield.ASCIIHost(host); err != nil || got != want {
			t.Errorf("%q is %q, %v; want %q", host, got, err, want)
		}
	}
	for _, host := range []string{"bü cher.example", "bü/cher.example", "bücher_1.example", "-bücher.example", "\u0301a.example", "אa.example", "*.*.bücher.example", "b\xffcher.example"} {
		if got, err := httpfield.ASCIIHost(host); err == nil {
			t.Errorf("%q is %q; want an error", host, got)
		}
	}
	if got, err := httpfield.ASCIIOrigin("https://bücher.example:8443"); err != nil || got != "https://xn--bcher-kva.example:8443" {
		t.Errorf("the origin is %q, %v", got, err)
	}
}

// What comes out is ASCII, has no part more than what went in, and comes out
// of itself again.
func FuzzASCIIHost(f *testing.F) {
	for _, s := range []string{"bücher.example", "*.bücher.example:8443", "例え。テスト", "xn--bcher-kva.ü", "１.2.3.4", "ü:1:2", "ü:\xd2", "ü:１", "\xff", "［::1］"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, host string) {
		got, err := httpfield.ASCIIHost(host)
		if err != nil {
			return
		}
		for _, c := range got {
			if c >= 0x80 && got != host {
				t.Fatalf("%q is %q", host, got)
			}
		}
		if again, err := httpfield.ASCIIHost(got); err != nil || again != got {
			t.Fatalf("%q is %q, which is %q, %v", host, got, again, err)
		}
	})
}
