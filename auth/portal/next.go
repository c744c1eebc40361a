package portal

import (
	"net/http"
	"net/url"
	"strings"

	"gatehouse/internal/httpfield"
	"gatehouse/internal/urlpath"
)

// maxNext is how long a return-to address may be, in bytes as it is sent.
const maxNext = 16 << 10

// SafeNext reports whether a visitor may be sent to next after login or logout,
// and returns it as it can stand in a Location: byte-equal, but for bytes that
// a header cannot carry (spaces, anything but ASCII), which are
// percent-encoded. When it is not safe, it returns "/" and false.
//
// Safe is a path of this origin alone: it begins with one slash; it holds no
// backslash and no control character; its path has no dot segment, encoded or
// not; it has at most 16 KiB; the proxy would not refuse it as malformed; and in
// no interpretation (urlpath.Interpret) does it point below prefix, where it could loop or
// sign out. What comes after a ? or # is free. So there is nothing in it that
// two readers of URLs could read differently (Django's
// url_has_allowed_host_and_scheme allows more: other hosts, relative paths).
func SafeNext(next string) (string, bool) {
	if next == "" || next[0] != '/' || len(next) > maxNext {
		return "/", false
	}
	for i := range len(next) {
		if c := next[i]; c < ' ' || c == 0x7f || c == '\\' {
			return "/", false
		}
	}
	out := carried(next)
	p := out
	if i := strings.IndexAny(out, "?#"); i >= 0 {
		p = out[:i]
	}
	if len(out) > maxNext || !urlpath.WellFormed(p) || urlpath.MayBeginWithHost(p) || urlpath.MayHaveDotSegments(p) || maybeOurs(p) {
		return "/", false
	}
	return out, true
}

// maybeOurs reports whether somebody could take the path for one of our own
// pages, or whether it has too many readings to know.
func maybeOurs(p string) bool {
	r, ok := urlpath.Interpret(p)
	return !ok || r.MayBeBelow(strings.TrimSuffix(prefix, "/"))
}

// carried percent-encodes what a header line cannot carry.
func carried(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= 0x7f {
			b.WriteByte('%')
			b.WriteByte(digits[c>>4])
			b.WriteByte(digits[c&15])
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

// target gives the path and query that the request came for, as sent.
func target(r *http.Request) string {
	t := r.RequestURI
	if t != "" && t[0] != '/' {
		t, _, _ = httpfield.CutAuthority(t)
	}
	if t == "" {
		t = r.URL.RequestURI()
	}
	return t
}

// cameFrom gives the path and query of the page that the request was made
// on, if it is one of this origin and safe to go back to; else "/". Browsers
// know better than Host whether it is, where a proxy in front changes that.
func cameFrom(r *http.Request) string {
	u, err := url.Parse(r.Header.Get("Referer"))
	if err != nil {
		return "/"
	}
	if o := site(r); !o.Is(u) && (!o.IsHost(u) || r.Header.Get("Sec-Fetch-Site") != "same-origin") {
		return "/"
	}
	next, _ := SafeNext(u.RequestURI())
	return next
}

// loginURL is the login page's address with the way back in it, which is
// percent-encoded but for the slash, as Django does.
func loginURL(next string) string { return prefix + "login?next=" + quote(next) }

func quote(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(s), "%2F", "/"), "+", "%20")
}
