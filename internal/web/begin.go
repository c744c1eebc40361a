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

// Networks is a list of networks whose word is believed; nil: nobody's.
type Networks []netip.Prefix

// Contains says whether a lies in one of the networks. An IPv4 address
// mapped into IPv6 counts as IPv4, and a zone is ignored.
func (n Networks) Contains(a netip.Addr) bool {
	a = a.Unmap().WithZone("")
	for _, p := range n {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

// RequestInfo is the outermost link of the chain: it makes the request's Info and
// sends its id back as X-Request-Id.
//
// What an untrusted peer says of itself (X-Forwarded-*, Forwarded, X-Real-IP,
// X-Request-Id) is not looked at. A peer of trusted is believed:
// X-Forwarded-For is walked from the right, past trusted addresses only, so
// that an address that a client put there never counts.
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

func newInfo(r *http.Request, trusted Networks) *Info {
	info := &Info{Peer: peerAddr(r), Scheme: "http", Host: r.Host}
	if r.TLS != nil {
		info.Scheme = "https"
	}
	info.Client = info.Peer
	// A unix socket has no address; whoever may open it is the proxy that the
	// operator put in front, when there are trusted proxies at all.
	info.Trusted = trusted.Contains(info.Peer) || !info.Peer.IsValid() && len(trusted) > 0
	if info.Trusted {
		info.believe(r.Header, trusted)
	}
	if info.ID == "" {
		info.ID = newID()
	}
	return info
}

// newID makes up an id of 100 bits. It is no secret, so that it need not be as
// random as one.
func newID() string {
	const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
	var id [20]byte
	left, right := rand.Uint64(), rand.Uint64() //nolint:gosec // G404: see above
	for i := range len(id) / 2 {
		id[i], id[len(id)/2+i] = letters[left%32], letters[right%32]
		left, right = left/32, right/32
	}
	return string(id[:])
}

// believe takes over what a trusted proxy says. Where it sends a header
// twice, the last line is the one that it wrote itself.
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

// forwardedFor walks the list from the right while the address that is known
// so far is trusted. A part that is no address ends the walk: what stands to
// the left of it was not written by anybody we trust. Empty parts count for
// nothing, as in every list (RFC 9110, 5.6.1.2).
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

// parseClient reads an address as proxies write it: bare, with a port, or in
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

// last returns the last element of a list; "" when there is none. Empty
// elements at its end are no elements.
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

// validRequestID keeps ids short and printable: they end in logs and pages.
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
