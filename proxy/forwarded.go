package proxy

import (
	"net/netip"
	"strings"
)

// addForwarded is the request filter that tells the upstream the client's address,
// scheme and host: X-Forwarded-*, X-Real-Ip, Forwarded and X-Request-Id. From a
// trusted proxy X-Forwarded-For is extended. Forwarded is always made anew, because
// the gate does not parse the one that came.
func addForwarded(s *exchange, out *outgoing) error {
	line, client := forwarded(s.info.Client, s.host.Text, s.info.Scheme)
	// peer is what X-Forwarded-For gets: the address of the connection, which is a
	// trusted proxy's where it is not the client's.
	peer := ""
	switch {
	case s.info.Peer == s.info.Client:
		peer = client
	case s.info.Peer.IsValid():
		peer = s.info.Peer.String()
	}
	if before := s.in.Header["X-Forwarded-For"]; s.info.Trusted && len(before) > 0 {
		list := strings.Join(before, ", ")
		if peer != "" { // a unix socket has no address to add
			list += ", " + peer
		}
		out.set("X-Forwarded-For", list)
	} else if peer != "" {
		out.set("X-Forwarded-For", peer)
	}
	if client != "" {
		out.set("X-Real-Ip", client)
	}
	out.set("X-Forwarded-Host", s.host.Text)
	out.set("X-Forwarded-Proto", s.info.Scheme)
	out.set("X-Forwarded-Port", s.host.EffectivePort(s.info.Scheme))
	out.set("Forwarded", line)
	out.set("X-Request-Id", s.info.ID)
	return nil
}

// forwarded returns one element of Forwarded (RFC 7239) and the client's address as
// a string; addr is "" if the address is unknown. Hosts with a colon are quoted.
// Both strings share one allocation.
func forwarded(client netip.Addr, host, proto string) (line, addr string) {
	b := make([]byte, 0, 96)
	b = append(b, "for="...)
	// The client's address is line[begin:end].
	begin, end := 0, 0
	switch {
	case !client.IsValid():
		b = append(b, "unknown"...)
	case client.Is4():
		begin = len(b)
		b = client.AppendTo(b)
		end = len(b)
	default:
		b = append(b, `"[`...)
		begin = len(b)
		b = client.AppendTo(b)
		end = len(b)
		b = append(b, `]"`...)
	}
	b = append(b, ";host="...)
	if strings.ContainsAny(host, ":[]") {
		b = append(append(append(b, '"'), host...), '"')
	} else {
		b = append(b, host...)
	}
	b = append(append(b, ";proto="...), proto...)
	line = string(b)
	return line, line[begin:end]
}
