package proxy

import (
	"fmt"
	"net/http"
)

// A sticky cookie keeps a visitor with one member of a balanced upstream. It is a
// cookie of the gate: no upstream gets it, and none can set it. It holds a hash
// of an address, so tampering can only select another member of the same route.

// addSticky adds the names of the sticky cookies of all routes. A name that could
// be taken for another cookie of the gate is an error.
func (c *cookies) addSticky(routes []RouteConfig) error {
	own := cookies{names: c.names}
	for i := range routes {
		name := routes[i].Sticky
		if name == "" {
			continue
		}
		if own.mentions(name + "=") {
			return fmt.Errorf("routes[%d]: sticky: %q is the name of a cookie of ours; choose another", i, name)
		}
		c.names = append(c.names, name)
	}
	return nil
}

// wantMember is the request filter that selects the upstream which the visitor's
// sticky cookie names. Without the cookie, or with several, any upstream will do.
func wantMember(s *exchange, out *outgoing) error {
	if found := s.in.CookiesNamed(s.route.conf.Sticky); len(found) == 1 {
		out.Member = found[0].Value
	}
	return nil
}

// setSticky is the answer filter that sets the sticky cookie if the visitor has
// none or was sent to another upstream than the one that it names.
func setSticky(s *exchange, status int, h http.Header) error {
	final := status >= http.StatusOK || status == http.StatusSwitchingProtocols
	if s.member == "" || !final || s.out.Member == s.member {
		return nil
	}
	cookie := http.Cookie{Name: s.route.conf.Sticky, Value: s.member, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: s.info.Secure()} //nolint:gosec // Secure follows the visitor's connection
	h["Set-Cookie"] = append(h["Set-Cookie"], cookie.String())
	s.setsOwnCookie = true
	return nil
}
