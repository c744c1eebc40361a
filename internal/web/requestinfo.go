package web

import (
	"math/rand/v2"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Networks are the networks of trusted proxies; nil: no proxy is trusted.
type Networks []netip.Prefix

// Contains reports whether a lies in one of the networks. An IPv4 address that is
// mapped into IPv6 counts as IPv4, and the zone of an address is ignored.
func (n Networks) Contains(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range n {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// RequestInfo is the outermost middleware of the chain. It makes the Info of the
// request, which From returns to all handlers behind it, and sends the id of the
// request back as X-Request-Id.
//
// What a peer outside of trusted claims (X-Forwarded-*, Forwarded, X-Real-IP,
// X-Request-Id) is ignored. From a trusted proxy, X-Forwarded-For is read from the
// right, past trusted addresses only, so that an address that the client itself put
// there never counts; X-Forwarded-Proto, -Host and -Port and X-Request-Id are taken
// from their last element. Forwarded and X-Real-IP are never read.
func RequestInfo(trusted Networks) Middleware {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			info := newInfo(r, trusted)
			info.idLine[0] = info.ID
			w.Header()["X-Request-Id"] = info.idLine[:]
			next.ServeHTTP(w, r.WithContext(With(r.Context(), info)))
		})
	}
}

// newInfo returns the Info of r. It has an id, either the proxy's or a new one.
func newInfo(r *http.Request, trusted Networks) *Info {
	info := &Info{Peer: peerAddr(r), Scheme: "http", Host: r.Host}
	if r.TLS != nil {
		info.Scheme = "https"
	}
	info.Client = info.Peer
	// A unix socket has no address. Its peer is trusted when there are trusted
	// proxies at all: nobody but the proxy in front may open the socket.
	info.Trusted = trusted.Contains(info.Peer) || !info.Peer.IsValid() && len(trusted) > 0
	if info.Trusted {
		info.believe(r.Header, trusted)
	}
	if info.ID == "" {
		info.ID = newID()
	}
	return info
}

// newID returns a random id of 100 bits. It is no secret, so the fast generator is
// good enough.
func newID() string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var id [20]byte
	left, right := rand.Uint64(), rand.Uint64() //nolint:gosec // G404: no secret
	for i := range len(id) / 2 {
		id[i], id[len(id)/2+i] = letters[left%32], letters[right%32]
		left, right = left/32, right/32
	}
	return string(id[:])
}

// believe applies what a trusted proxy claims. If a header occurs twice, the last line
// is the one that the proxy itself wrote.
func (i *Info) believe(h http.Header, trusted Networks) {
	i.Client = forwardedFor(h.Values("X-Forwarded-For"), i.Peer, trusted)
	switch strings.ToLower(last(h["X-Forwarded-Proto"])) { // schemes have no letter case (RFC 3986, 3.1)
	case "https", "wss": // Traefik says wss and ws of a WebSocket
		i.Scheme = "https"
	case "http", "ws":
		i.Scheme = "http"
	}
	if port, err := strconv.ParseUint(last(h["X-Forwarded-Port"]), 10, 16); err == nil && port > 0 {
		i.Port = strconv.FormatUint(port, 10)
	}
	if v := last(h["X-Forwarded-Host"]); v != "" {
		i.Host = v
	}
	if id := last(h["X-Request-Id"]); validRequestID(id) {
		i.ID = id
	}
}

// forwardedFor returns the client's address according to X-Forwarded-For. It walks
// the list from the right as long as the address found so far is trusted. An
// element that is no address ends the walk: nobody we trust has written what stands
// to the left of it. Empty elements are ignored (RFC 9110, 5.6.1.2).
func forwardedFor(lines []string, peer netip.Addr, trusted Networks) netip.Addr {
	client := peer
	for _, rest := range slices.Backward(lines) {
		for rest != "" {
			var part string
			if i := strings.LastIndexByte(rest, ','); i >= 0 {
				rest, part = rest[:i], rest[i+1:]
			} else {
				rest, part = "", rest
			}
			if part = strings.TrimSpace(part); part == "" {
				continue
			}
			a, ok := parseClient(part)
			if !ok {
				return client
			}
			client = a
			if !trusted.Contains(a) {
				return client
			}
		}
	}
	return client
}

// parseClient parses an address as proxies write it: bare, with a port, or in
// brackets.
func parseClient(s string) (netip.Addr, bool) {
	if a, err := netip.ParseAddr(strings.Trim(s, "[]")); err == nil {
		return a.Unmap().WithZone(""), true
	}
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap.Addr().Unmap().WithZone(""), true
	}
	return netip.Addr{}, false
}

// peerAddr returns the address of the connection's other end; the zero Addr if it has
// none, as on a unix socket.
func peerAddr(r *http.Request) netip.Addr {
	ap, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		host, _, err := net.SplitHostPort(r.RemoteAddr)
		if err != nil {
			return netip.Addr{}
		}
		a, _ := netip.ParseAddr(host)
		return a.Unmap().WithZone("")
	}
	return ap.Addr().Unmap().WithZone("")
}

// last returns the last element of a list that is not empty; "" if there is none.
func last(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	v := strings.TrimRight(lines[len(lines)-1], " \t,")
	if i := strings.LastIndexByte(v, ','); i >= 0 {
		v = v[i+1:]
	}
	return strings.TrimSpace(v)
}

// validRequestID reports whether an id is short and has harmless characters only: it
// ends up in logs and on pages.
func validRequestID(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if ('a' > c || c > 'z') && ('A' > c || c > 'Z') && ('0' > c || c > '9') && strings.IndexByte("-_.:+/=", c) < 0 {
			return false
		}
	}
	return true
}

func acceptsHTML(h http.Header) bool {
	for _, line := range h["Accept"] {
		if strings.Contains(line, "text/html") {
			return true
		}
	}
	return false
}
