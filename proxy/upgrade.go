package proxy

import (
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/web"
	"gatehouse/proxy/engine"
)

// upgrade asks the upstream to switch protocols, if the visitor does so in
// the one way that nobody can misunderstand and the route allows it. Any other
// Upgrade is left out, and the request goes on as an ordinary one: that is
// what Upgrade means (RFC 9110, 7.8).
//
// A WebSocket that a browser opens for another site's page is refused: it
// would carry this site's cookies.
func (s *passage) upgrade(r *engine.Request) error {
	protocol := s.wanted()
	if protocol == "" || !s.route.hasUpgrade(protocol) {
		dropWebSocket(&r.Header)
		return nil
	}
	if strings.EqualFold(protocol, webSocket) {
		if !handshake(s.in.Header) {
			dropWebSocket(&r.Header)
			return nil
		}
		if origins := s.in.Header["Origin"]; len(origins) > 0 && !s.sameOrigin(origins) {
			return web.Refuse(http.StatusForbidden, "This page may not open a connection here.")
		}
	}
	r.Upgrade = protocol
	return nil
}

// wanted gives the protocol that the visitor asks for; "": none, or not so
// that it could be granted.
func (s *passage) wanted() string {
	in := s.in
	values := in.Header["Upgrade"]
	switch {
	case len(values) != 1 || !isToken(values[0]) || !tokenIn(in.Header["Connection"], "upgrade"):
		return ""
	case in.Method != http.MethodGet || in.ProtoMajor != 1 || in.ProtoMinor != 1:
		return ""
	case in.ContentLength != 0 || len(in.TransferEncoding) > 0:
		return ""
	case strings.EqualFold(values[0], "h2c"), len(values[0]) >= 3 && strings.EqualFold(values[0][:3], "tls"):
		return ""
	}
	return values[0]
}

// handshake says whether a server that keeps RFC 6455, 4.2.1 would switch. A
// server that does not is not given the chance: it might answer a refusal that
// somebody else takes for an open tunnel.
func handshake(h http.Header) bool {
	version, key := h["Sec-Websocket-Version"], h["Sec-Websocket-Key"]
	return len(version) == 1 && version[0] == "13" && len(key) == 1 && key[0] != ""
}

// dropWebSocket takes away what belongs to an upgrade that is not asked for.
func dropWebSocket(h *engine.Header) {
	*h = slices.DeleteFunc(*h, func(f engine.Field) bool { return strings.HasPrefix(f.Name, "Sec-Websocket-") })
}

func (s *passage) sameOrigin(origins []string) bool {
	if len(origins) != 1 {
		return false
	}
	origin := strings.ToLower(origins[0])
	return origin == s.host.origin(s.info.Scheme) || slices.Contains(s.route.origins, origin)
}

// isToken knows the protocol names that Upgrade may hold: a token, perhaps
// with a version behind a slash.
func isToken(s string) bool {
	for i := range len(s) {
		if !isAlnum(s[i]) && strings.IndexByte("!#$%&'*+-.^_`|~/", s[i]) < 0 {
			return false
		}
	}
	return s != "" && s[0] != '/'
}
