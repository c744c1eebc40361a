package proxy

import (
	"net/http"
	"strings"

	"gatehouse/auth"
	"gatehouse/internal/httpfield"
	"gatehouse/internal/urlpath"
	"gatehouse/internal/web"
)

// A target is what a request line asks for, byte for byte.
type target struct {
	path  string // as it was sent, not decoded
	query string // with its question mark; "" when there is none
	// authority is the host of an absolute-form target (RFC 9112, 3.2.2); ""
	// for the usual origin-form.
	authority string
}

// readTarget takes the request line apart. Nothing is decoded, cleaned or
// normalized here: what is found is what will be sent, and the readings of
// the path are judged apart from it.
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

// ownPrefix is the path of our own pages, without a slash at its end.
var ownPrefix = strings.TrimSuffix(auth.Prefix, "/")

// ownPath reports whether a path, in this very spelling, is our own.
func ownPath(path string) bool {
	return strings.HasPrefix(path, auth.Prefix) || path == ownPrefix
}

// ownLike reports whether a path would be our own for a reader who does not
// care for letter case.
func ownLike(path string) bool { return urlpath.Below(path, ownPrefix) }
