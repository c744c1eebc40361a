package proxy

import (
	"net/http"
	"net/netip"
	"net/textproto"
	"strings"

	"gatehouse/auth"
	"gatehouse/internal/web"
	"gatehouse/proxy/engine"
)

// A passage is one request on its way through the proxy, with what has been
// found out about it.
type passage struct {
	p    *Proxy
	in   *http.Request
	info *web.Info
	host hostPort
	t    target

	route *route
	id    *auth.Identity // nil: public, nobody was looked up
}

// request makes what goes upstream. The header is made from nothing, so that
// whatever is not known to be harmless has to be put in by somebody.
func (s *passage) request() (*engine.Request, error) {
	h := make(http.Header, len(s.in.Header)+12)
	s.copyHeader(h)
	s.forwardedHeader(h)
	if s.id != nil {
		if err := setIdentity(h, s.route.identity, s.id); err != nil {
			return nil, web.Fail(http.StatusInternalServerError, "", err)
		}
	}
	s.route.requestHeaders.put(h)
	path := s.t.path
	if s.route.conf.StripPrefix {
		var ok bool
		if path, ok = s.route.strip(path); !ok {
			return nil, web.Refuse(http.StatusBadRequest, "")
		}
	}
	r := &engine.Request{
		In: s.in, Method: s.in.Method, Target: path + s.t.query, Host: s.route.host, Header: h,
		Trailers: tokenIn(s.in.Header["Te"], "trailers"), MaxBody: int64(s.route.conf.MaxBody),
		Answer: s.answer, Trailer: s.trailer, Switched: s.switched,
	}
	if r.Host == "" {
		r.Host = s.host.text
	}
	s.rewriteDestination(r)
	s.dropTrailers()
	return r, s.upgrade(r)
}

// copyHeader copies what a client may say.
func (s *passage) copyHeader(h http.Header) {
	nominated := s.in.Header["Connection"]
	for name, values := range s.in.Header {
		if s.mayPass(name) && !tokenIn(nominated, name) {
			h[textproto.CanonicalMIMEHeaderKey(name)] = values
		}
	}
	if line := s.p.cookies.without(s.in.Header["Cookie"]); line != "" && !tokenIn(nominated, "Cookie") {
		h["Cookie"] = []string{line}
	}
}

// mayPass judges a field by its name.
func (s *passage) mayPass(name string) bool {
	if s.route.conf.HeaderNames != anyNames && !strictName(name) || s.route.requestHeaders.takes(name) {
		return false
	}
	switch s.p.names.of(name) {
	case pass:
		return true
	case claim:
		return s.info.Trusted
	case override:
		return !s.route.rules.ByMethod()
	default:
		return false
	}
}

// dropTrailers takes the announced trailers away that could not pass as a
// header either. Those that are not announced are not sent on at all.
func (s *passage) dropTrailers() {
	for name := range s.in.Trailer {
		if !strictName(name) || s.p.names.of(name) != pass || s.route.requestHeaders.takes(name) {
			delete(s.in.Trailer, name)
		}
	}
}

// forwardedHeader says who the visitor is, as far as it is known. What a
// trusted proxy said of those before it stays in front in X-Forwarded-For.
// Forwarded is made anew even then: its value was not looked at by anybody.
func (s *passage) forwardedHeader(h http.Header) {
	if s.info.Peer.IsValid() {
		list := s.info.Peer.String()
		if before := s.in.Header["X-Forwarded-For"]; s.info.Trusted && len(before) > 0 {
			list = strings.Join(before, ", ") + ", " + list
		}
		h["X-Forwarded-For"] = []string{list}
	} else if before := s.in.Header["X-Forwarded-For"]; s.info.Trusted && len(before) > 0 {
		h["X-Forwarded-For"] = []string{strings.Join(before, ", ")} // a unix socket has no address to add
	}
	if s.info.Client.IsValid() {
		h["X-Real-Ip"] = []string{s.info.Client.String()}
	}
	h["X-Forwarded-Host"] = []string{s.host.text}
	h["X-Forwarded-Proto"] = []string{s.info.Scheme}
	h["X-Forwarded-Port"] = []string{s.host.visiblePort(s.info.Scheme)}
	h["Forwarded"] = []string{forwarded(s.info.Client, s.host.text, s.info.Scheme)}
	h["X-Request-Id"] = []string{s.info.ID}
}

// forwarded writes one element of RFC 7239.
func forwarded(client netip.Addr, host, proto string) string {
	node := "unknown"
	switch {
	case client.Is6():
		node = `"[` + client.String() + `]"`
	case client.IsValid():
		node = client.String()
	}
	if strings.ContainsAny(host, ":[]") {
		host = `"` + host + `"`
	}
	return "for=" + node + ";host=" + host + ";proto=" + proto
}

// tokenIn says whether a list of tokens, in one line or several, holds token.
func tokenIn(lines []string, token string) bool {
	for _, line := range lines {
		for part := range strings.SplitSeq(line, ",") {
			part, _, _ = strings.Cut(part, ";")
			if strings.EqualFold(strings.Trim(part, " \t"), token) {
				return true
			}
		}
	}
	return false
}
