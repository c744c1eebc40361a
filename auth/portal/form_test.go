package portal_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"

	"gatehouse/auth/portal"
	"gatehouse/internal/web"
)

func TestParseForm(t *testing.T) {
	for _, c := range []struct {
		body string
		want map[string]string
	}{
		{"", map[string]string{}},
		{"a=1&b=2", map[string]string{"a": "1", "b": "2"}},
		{"a=1&&b=", map[string]string{"a": "1", "b": ""}},
		{"a", map[string]string{"a": ""}},
		{"a=1+2%2B%C3%A9", map[string]string{"a": "1 2+é"}},
		{"a=b=c", map[string]string{"a": "b=c"}},
		{"a=1&a=2", nil},
		{"a=1&%61=2", nil},
		{"a=1;b=2", nil},
		{"a=%zz", nil},
		{"a=%", nil},
		{"%u0061=1", nil},
	} {
		got, err := portal.ParseForm(c.body)
		if (err == nil) != (c.want != nil) || len(got) != len(c.want) {
			t.Errorf("%q: %v, %v; want %v", c.body, got, err, c.want)
		}
		for k, v := range c.want {
			if got[k] != v {
				t.Errorf("%q: %s is %q, want %q", c.body, k, got[k], v)
			}
		}
	}
}

func FuzzParseForm(f *testing.F) {
	for _, s := range []string{"a=1&b=2", "a=1;b", "a=%zz", "%61=1&a=2", "=&=", "a=+%2b"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		got, err := portal.ParseForm(body)
		std, serr := url.ParseQuery(body)
		if err != nil {
			var e *web.Error
			if got != nil || !errors.As(err, &e) || e.Code != http.StatusBadRequest {
				t.Errorf("%q: %v, %v", body, got, err)
			}
			return
		}
		// What is taken is read as the standard library reads it.
		if serr != nil || len(std) != len(got) {
			t.Fatalf("%q: %v, net/url says %v, %v", body, got, std, serr)
		}
		for k, v := range got {
			if len(std[k]) != 1 || std[k][0] != v {
				t.Errorf("%q: %s is %q, net/url says %q", body, k, v, std[k])
			}
		}
	})
}
