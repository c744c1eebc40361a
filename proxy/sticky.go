package proxy

import (
	"fmt"
	"net/http"
)

// A sticky cookie keeps a visitor with one of several upstreams. It belongs to
// the gate: no upstream gets it, and none can set it. All that it holds is a
// hash of an address; who changes it asks another upstream of the same route.

// addSticky adds the sticky cookies of all routes to those that are ours.
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

// chosen is told which of the upstreams is asked.
func (s *exchange) chosen(id string) { s.member = id }

// wantedMember gives the upstream that the visitor was at; "": none, or there
// are several answers.
func (s *exchange) wantedMember() string {
	if s.route.conf.Sticky == "" {
		return ""
	}
	found := s.in.CookiesNamed(s.route.conf.Sticky)
	if len(found) != 1 {
		return ""
	}
	return found[0].Value
}

// stick sets the cookie where the visitor has not got it, or was sent
// elsewhere. It reports whether it did.
func (s *exchange) stick(status int, h http.Header) bool {
	name := s.route.conf.Sticky
	final := status >= http.StatusOK || status == http.StatusSwitchingProtocols
	if name == "" || s.member == "" || !final || s.out.Member == s.member {
		return false
	}
	cookie := http.Cookie{Name: name, Value: s.member, Path: "/", HttpOnly: true, SameSite: http.SameSiteLaxMode, Secure: s.info.Secure()} //nolint:gosec // Secure follows the visitor's connection
	h["Set-Cookie"] = append(h["Set-Cookie"], cookie.String())
	return true
}
