package httpfield

import "strings"

// CutAuthority reduces a request target in absolute-form (RFC 9112, 3.2.2), such
// as http://host/path?query, to origin-form: target is its path and query, byte
// for byte, with a slash in front where the path is empty. authority is
// host[:port], not checked. ok is false for every other form, and for schemes
// other than http and https.
func CutAuthority(uri string) (target, authority string, ok bool) {
	for _, scheme := range []string{"http://", "https://"} {
		if len(uri) < len(scheme) || !strings.EqualFold(uri[:len(scheme)], scheme) {
			continue
		}
		authority = uri[len(scheme):]
		if i := strings.IndexAny(authority, "/?"); i >= 0 {
			authority, target = authority[:i], authority[i:]
		}
		if authority == "" {
			break
		}
		if !strings.HasPrefix(target, "/") {
			target = "/" + target
		}
		return target, authority, true
	}
	return "", "", false
}
