package proxy

import (
	"net/http"
	"strings"

	"gatehouse/auth"
	"gatehouse/internal/httpfield"
	"gatehouse/internal/urlpath"
	"gatehouse/internal/web"
)

// A target is the target of a request line, byte for byte.
type target struct {
	path  string // as sent, not decoded
	query string // including the question mark; "" if there is none
	// authority is the host of an absolute-form target (RFC 9112, 3.2.2); ""
	// for the usual origin-form.
	authority string
}

// readTarget returns the target of a request. Nothing is decoded, cleaned or
// normalized: these bytes are forwarded, and interpretations of the path are made
// separately. A malformed target is an error (400).
func readTarget(r *http.Request) (target, error) {
	uri, authority := r.RequestURI, ""
	if r.ProtoMajor == 1 && !strings.HasPrefix(uri, "/") {
		var ok bool
		if uri, authority, ok = httpfield.CutAuthority(uri); !ok {
			return target{}, web.Refuse(http.StatusBadRequest, "")
		}
	}
	t := target{path: uri, authority: authority}
	if i := strings.IndexByte(uri, '?'); i >= 0 {
		t.path, t.query = uri[:i], uri[i:]
	}
	if !urlpath.WellFormed(t.path) {
		return target{}, refusePath(http.StatusBadRequest, errBadPath)
	}
	return t, nil
}

// isOwn reports whether the target is one of the gate's own pages, in a spelling
// with a single interpretation.
func (t *target) isOwn() bool { return ownPath(t.path) && urlpath.Plain(t.path) }

// ownPrefix is auth.Prefix without its trailing slash.
var ownPrefix = strings.TrimSuffix(auth.Prefix, "/")

// ownPath reports whether path, in exactly this spelling, is auth.Prefix or below
// it.
func ownPath(path string) bool {
	return strings.HasPrefix(path, auth.Prefix) || path == ownPrefix
}

// ownLike reports whether path is auth.Prefix or below it if letter case is
// ignored.
func ownLike(path string) bool { return urlpath.Below(path, ownPrefix) }
