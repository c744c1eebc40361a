package proxy

import (
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"gatehouse/auth"
	"gatehouse/internal/web"
)

// A claim is a fact about an identity that a header can carry, in the spelling of
// the configuration.
type claim string

const (
	username    claim = "username"
	email       claim = "email"
	displayName claim = "display_name"
	groups      claim = "groups"
	sessionID   claim = "session_id"
	authTime    claim = "auth_time"
)

// identityClaims are all claims, in the order in which messages list them.
var identityClaims = []claim{username, email, displayName, groups, sessionID, authTime}

// of returns the value of the claim for id; "" if it has none. It returns an error
// if an application could not parse the value unambiguously.
func (f claim) of(id *auth.Identity) (string, error) {
	switch f {
	case username:
		return id.Name, nil
	case email:
		return id.Email, nil
	case displayName:
		return id.DisplayName, nil
	case groups:
		if i := slices.IndexFunc(id.Groups, func(g string) bool {
			return g == "" || strings.ContainsRune(g, ',') || strings.TrimSpace(g) != g
		}); i >= 0 {
			return "", fmt.Errorf("group %q cannot be told from others in a list with commas", id.Groups[i])
		}
		return strings.Join(id.Groups, ","), nil
	case sessionID:
		return id.Session.Handle, nil
	case authTime:
		if id.Session.Login.IsZero() {
			return "", nil
		}
		return id.Session.Login.UTC().Format(time.RFC3339), nil
	default:
		return "", fmt.Errorf("%q is no fact about an identity", string(f))
	}
}

// An identityHeader is a header that tells the upstream who makes the request.
type identityHeader struct {
	name  string // canonical, as it is sent
	claim claim
}

// identityHeaders returns the identity headers of a section, sorted by name.
func identityHeaders(c IdentityConfig) []identityHeader {
	list := make([]identityHeader, 0, len(c.Headers))
	for name, f := range c.Headers {
		list = append(list, identityHeader{textproto.CanonicalMIMEHeaderKey(name), claim(f)})
	}
	slices.SortFunc(list, func(a, b identityHeader) int { return strings.Compare(a.name, b.name) })
	return list
}

// addIdentity is the request filter that tells the upstream who makes the request.
// out has no field of these names yet: copyHeader never copies a client's. A value
// that would not arrive unchanged, such as one with a line break, is an error
// (500), because the upstream must not see another name than the one that was
// checked.
func addIdentity(s *exchange, out *outgoing) error {
	if s.id == nil {
		return nil
	}
	for _, h := range s.route.identity {
		v, err := h.claim.of(s.id)
		if err == nil && v != "" && !survives(v) {
			err = fmt.Errorf("%q cannot be sent in a header", v)
		}
		if err != nil {
			return web.Fail(http.StatusInternalServerError, "", fmt.Errorf("identity header %s: %w", h.name, err))
		}
		if v != "" {
			out.set(h.name, v)
		}
	}
	return nil
}

// survives reports whether a header value arrives unchanged: it is UTF-8, has no
// control characters, and no spaces at its ends, which parsers remove. v must not
// be empty.
func survives(v string) bool {
	if v[0] == ' ' || v[len(v)-1] == ' ' || !utf8.ValidString(v) {
		return false
	}
	for i := range len(v) {
		if v[i] < ' ' || v[i] == 0x7f {
			return false
		}
	}
	return true
}
