package proxy

import (
	"net/http"
	"strings"

	"gatehouse/auth"
	"gatehouse/internal/httpfield"
	"gatehouse/internal/urlpath"
	"gatehouse/internal/web"
)

// A target is the request target of a request line, byte for byte.
type target struct {
	path  string // as it was sent, not decoded
	query string // with its question mark; "" when there is none
	// authority is the host of an absolute-form target (RFC 9112, 3.2.2); ""
	// for the usual origin-form.
	authority string
}

// readTarget returns the target of a request. Nothing is decoded, cleaned or
// normalized: what is found here is what is sent, and interpretations of the
// path are made apart from it. A malformed target is an error (400).
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

// isOwn reports whether the target is one of the gate's own pages, in a
// spelling that nobody can misread.
func (t *target) isOwn() bool { return ownPath(t.path) && urlpath.Plain(t.path) }

// ownPrefix is auth.Prefix without the slash at its end.
var ownPrefix = strings.TrimSuffix(auth.Prefix, "/")

// ownPath reports whether a path in exactly this spelling is below auth.Prefix.
func ownPath(path string) bool {
	return strings.HasPrefix(path, auth.Prefix) || path == ownPrefix
}

// ownLike reports whether a path is below auth.Prefix for a reader that ignores
// letter case.
func ownLike(path string) bool { return urlpath.Below(path, ownPrefix) }
