package proxy

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// A hostPort is a Host header that was found to be well formed.
type hostPort struct {
	text string // as it was sent, without an empty port
	name string // in lower case, without the dot at the end; an IPv6 address in brackets
	port string // "" when none was sent, or the scheme's own
}

var errHost = errors.New("malformed host")

// parseHost reads host[:port]. Everything that some reader might take for
// something else is refused: user information, a path, a list, spaces, a port
// that is no number, a zone, an empty label, and names that are not ASCII.
func parseHost(s, scheme string) (hostPort, error) {
	h := hostPort{text: s}
	var name, port string
	var hasPort bool
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return hostPort{}, errHost
		}
		a, err := netip.ParseAddr(s[1:end])
		if err != nil || !a.Is6() || a.Zone() != "" {
			return hostPort{}, errHost
		}
		name = "[" + a.String() + "]"
		if rest := s[end+1:]; rest != "" {
			if rest[0] != ':' {
				return hostPort{}, errHost
			}
			port, hasPort = rest[1:], true
		}
	} else {
		name, port, hasPort = strings.Cut(s, ":")
		name = strings.TrimSuffix(strings.ToLower(name), ".")
		if !validHostName(name) {
			return hostPort{}, errHost
		}
	}
	if hasPort && port == "" { // allowed, and as good as none (RFC 3986, 3.2.3)
		h.text, hasPort = s[:len(s)-1], false
	}
	if hasPort {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return hostPort{}, errHost
		}
		if port = strconv.FormatUint(n, 10); port == defaultPort(scheme) {
			port = ""
		}
	}
	h.name, h.port = name, port
	return h, nil
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// validHostName takes lower-case names and IPv4 addresses. An underscore is
// no letter of host names, but it is found in them.
func validHostName(s string) bool {
	if s == "" || len(s) > 253 {
		return false
	}
	label := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			if label == 0 {
				return false
			}
			label = 0
			continue
		case 'a' <= c && c <= 'z', '0' <= c && c <= '9', c == '-', c == '_':
		default:
			return false
		}
		if label++; label > 63 {
			return false
		}
	}
	return label > 0
}

// origin gives scheme://host[:port] as browsers write it in Origin.
func (h hostPort) origin(scheme string) string {
	if h.port == "" {
		return scheme + "://" + h.name
	}
	return scheme + "://" + h.name + ":" + h.port
}

// visiblePort is the port that the visitor's browser connects to.
func (h hostPort) visiblePort(scheme string) string {
	if h.port == "" {
		return defaultPort(scheme)
	}
	return h.port
}
