package httpfield_test

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"gatehouse/internal/httpfield"
)

func header(lines ...string) http.Header {
	h := http.Header{}
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		h.Add(name, value)
	}
	return h
}

func TestCheck(t *testing.T) {
	https := httpfield.Origin{Scheme: "https", Host: "app.test"}
	behind := httpfield.Origin{Scheme: "https", Host: "app.test", Port: "8443"}
	for _, c := range []struct {
		name   string
		origin httpfield.Origin
		header http.Header
		want   error
	}{
		{"a client that tells nothing", https, header(), nil},
		{"its own page", https, header("Sec-Fetch-Site: same-origin", "Origin: https://app.test"), nil},
		{"the address bar", https, header("Sec-Fetch-Site: none"), nil},
		{"another site", https, header("Sec-Fetch-Site: cross-site"), httpfield.ErrCrossSite},
		{"a sibling host", https, header("Sec-Fetch-Site: same-site", "Origin: https://app.test"), httpfield.ErrCrossSite},
		{"two that differ", https, header("Sec-Fetch-Site: same-origin", "Sec-Fetch-Site: cross-site"), httpfield.ErrCrossSite},
		{"a list in one line", https, header("Sec-Fetch-Site: same-origin, cross-site"), httpfield.ErrCrossSite},
		{"a front that drops the port", https, header("Sec-Fetch-Site: same-origin", "Origin: https://app.test:8443"), nil},
		{"a front that adds no-referrer", https, header("Sec-Fetch-Site: same-origin", "Origin: null"), nil},
		{"an old browser", https, header("Origin: https://app.test"), nil},
		{"an old browser, the port said", https, header("Origin: https://APP.test:443"), nil},
		{"an old browser, a front that drops the port", https, header("Origin: https://app.test:8443"), httpfield.ErrOtherOrigin},
		{"an old browser, a front that tells the port", behind, header("Origin: https://app.test:8443"), nil},
		{"another port than the front's", behind, header("Origin: https://app.test:9443"), httpfield.ErrOtherOrigin},
		{"an old browser, another scheme", https, header("Origin: http://app.test"), httpfield.ErrOtherOrigin},
		{"an old browser, another site", https, header("Origin: https://app.test.evil.test"), httpfield.ErrOtherOrigin},
		{"a sandboxed frame", https, header("Origin: null"), httpfield.ErrOtherOrigin},
		{"a user in the origin", https, header("Origin: https://x@app.test"), httpfield.ErrOtherOrigin},
		{"two origins", https, header("Origin: https://app.test", "Origin: https://evil.test"), httpfield.ErrOtherOrigin},
		{"no origin", https, header("Origin: "), httpfield.ErrOtherOrigin},
		{"a referer", https, header("Referer: https://app.test/page?a=b"), nil},
		{"another site's referer", https, header("Referer: https://evil.test/page?secret"), httpfield.ErrOtherOrigin},
		{"the origin before the referer", https, header("Origin: https://evil.test", "Referer: https://app.test/"), httpfield.ErrOtherOrigin},
		{"an allowed site", https, header("Sec-Fetch-Site: cross-site", "Origin: https://Friend.test"), nil},
		{"an allowed site and another", https, header("Origin: https://friend.test", "Origin: https://evil.test"), httpfield.ErrOtherOrigin},
	} {
		err := c.origin.Check(c.header, "https://friend.test")
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: Check(%v) = %v, want %v", c.name, c.header, err, c.want)
		}
		if err != nil && strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: the query is in the log: %v", c.name, err)
		}
	}
}

// TestCheckNamesTheRemedy: the log of who cannot sign in says what is wrong with
// the proxy in front.
func TestCheckNamesTheRemedy(t *testing.T) {
	o := httpfield.Origin{Scheme: "http", Host: "app.test"}
	for claim, want := range map[string]string{
		"null":                  "Referrer-Policy",
		"https://app.test:8443": "X-Forwarded-Proto",
		"https://evil.test":     "sent from another origin",
	} {
		if err := o.Check(header("Origin: " + claim)); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), claim) {
			t.Errorf("Origin: %s: %v, want %q in it", claim, err, want)
		}
	}
}

// FuzzOrigin: whatever is claimed, what is accepted is the origin for a reader
// who only compares text.
func FuzzOrigin(f *testing.F) {
	for _, s := range []string{"https://app.test", "https://app.test:443", "https://app.test:", "https://app.test:8443", "null", "https://app.test@evil.test", "HTTPS://APP.TEST", "//app.test", "https:app.test"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, claim string) {
		u, err := url.Parse(claim)
		if err != nil {
			return
		}
		o := httpfield.Origin{Scheme: "https", Host: "app.test", Port: "8443"}
		if !o.Is(u) {
			return
		}
		low := strings.ToLower(claim)
		for _, want := range []string{"https://app.test:8443", "https://app.test:443", "https://app.test:", "https://app.test"} {
			if rest, ok := strings.CutPrefix(low, want); ok && (rest == "" || strings.IndexByte("/?#", rest[0]) >= 0) {
				return
			}
		}
		t.Errorf("Is(%q)", claim)
	})
}
