package httpfield_test

import (
	"net/url"
	"strings"
	"testing"

	"gatehouse/internal/httpfield"
)

func TestParseHost(t *testing.T) {
	t.Parallel()
	for s, want := range map[string]httpfield.Host{
		"Wiki.Example.COM.": {Text: "Wiki.Example.COM.", Name: "wiki.example.com"},
		"a:443":             {Text: "a:443", Name: "a"},
		"a:":                {Text: "a", Name: "a"},
		"a:08443":           {Text: "a:08443", Name: "a", Port: "8443"},
		"[0::1]:8443":       {Text: "[0::1]:8443", Name: "[::1]", Port: "8443"},
		"127.0.0.1":         {Text: "127.0.0.1", Name: "127.0.0.1"},
		"my_host":           {Text: "my_host", Name: "my_host"},
	} {
		if got, err := httpfield.ParseHost(s, "https"); err != nil || got != want {
			t.Errorf("%q is %+v, %v; want %+v", s, got, err, want)
		}
	}
	for _, s := range []string{"", ".", "a..b", "a:0", "a:65536", "a:evil", "a:+1", "u@a", "a/b", "a,b", "a b", "[::1", "[::1]x", "[fe80::1%25eth0]", "[127.0.0.1]", "b\u00fccher", strings.Repeat("a", 64)} {
		if got, err := httpfield.ParseHost(s, "https"); err == nil {
			t.Errorf("%q is %+v; want an error", s, got)
		}
	}
	h := httpfield.Host{Name: "a"}
	if o, p := h.Origin("https"), h.EffectivePort("https"); o != "https://a" || p != "443" {
		t.Errorf("origin %q, port %q", o, p)
	}
	h.Port = "8443"
	if o, p := h.Origin("https"), h.EffectivePort("https"); o != "https://a:8443" || p != "8443" {
		t.Errorf("origin %q, port %q", o, p)
	}
}

func FuzzParseHost(f *testing.F) {
	for _, s := range []string{"wiki.example.com", "wiki.example.com:", "[::1]:", "[::1]:80", "a:evil", "a.", "A.B:443", "a/b", "a@b", "[::1%25x]", "a,b", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		h, err := httpfield.ParseHost(s, "https")
		if err != nil {
			return
		}
		again, err := httpfield.ParseHost(h.Name, "https")
		if err != nil || again.Name != h.Name || again.Port != "" {
			t.Errorf("%q gives %q, which gives %q, %v", s, h.Name, again.Name, err)
		}
		if u, err := url.Parse("https://" + s + "/"); err != nil || !strings.EqualFold(u.Host, s) || u.Path != "/" || u.User != nil {
			t.Errorf("%q is a host to us, but not to net/url: %v, %v", s, u, err)
		}
	})
}
