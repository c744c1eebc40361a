package portal

import (
	"net/http"
	"net/url"
	"strings"

	"gatehouse/internal/httpfield"
	"gatehouse/internal/urlpath"
)

// maxNext is the longest return-to address in bytes, as sent in a header.
const maxNext = 16 << 10

// SafeNext reports whether visitors may be redirected to next after login or
// logout. If so, it returns next as it can be written into a Location header:
// unchanged, except that bytes which a header cannot carry (spaces and anything
// beyond ASCII) are percent-encoded. If not, it returns "/" and false.
//
// Only paths of this origin are safe. The path must begin with exactly one slash
// and must not contain backslashes, control characters or dot segments, encoded or
// not. It must be well-formed for the proxy, and must not point below auth.Prefix
// in any interpretation (see urlpath.Interpret), where it could loop or sign out.
// Everything after a ? or # is free, except for control characters and
// backslashes. The limit is 16 KiB. Two parsers of URLs thus cannot read a safe
// address differently. Django's url_has_allowed_host_and_scheme allows more: other
// hosts and relative paths.
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

// maybeOurs reports whether any interpretation of the path is one of our own
// pages, or there are too many interpretations to tell.
func maybeOurs(p string) bool {
	r, ok := urlpath.Interpret(p)
	return !ok || r.MayBeBelow(strings.TrimSuffix(prefix, "/"))
}

// carried percent-encodes the bytes that a header cannot carry.
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

// target returns the path and query of the request as the client sent them, also
// if it sent an absolute URL.
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

// cameFrom returns the path and query of the page that the request was made from,
// taken from Referer, if it is of this origin and safe to return to; otherwise
// "/". If only the host matches, because a proxy in front changes scheme or port,
// the browser's Sec-Fetch-Site decides.
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

// loginURL returns the address of the login page with the return-to address in its
// query.
func loginURL(next string) string { return prefix + "login?next=" + quote(next) }

// quote percent-encodes a return-to address for a query. As in Django, slashes
// stay readable.
func quote(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(s), "%2F", "/"), "+", "%20")
}
