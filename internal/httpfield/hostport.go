package httpfield

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// A Host is a well-formed host[:port], as it stands in Host and in URLs (RFC
// 3986, 3.2.2 and 3.2.3). Two of the same Name and Port are the same host.
type Host struct {
	Text string // as it was sent, without an empty port
	Name string // in lower case, without the dot at the end; an IPv6 address in brackets
	Port string // "": none was sent, or the scheme's own
}

// ErrHost is what ParseHost returns for all that is no host.
var ErrHost = errors.New("malformed host")

// ParseHost reads host[:port] of a URL or request with the scheme, whose own port
// counts as none. Everything that some reader might take for something else is
// refused with ErrHost: user information, a path, a list, spaces, a port that
// is no number, a zone, an empty label, and names that are not ASCII (see
// ASCIIHost).
func ParseHost(s, scheme string) (Host, error) {
	h := Host{Text: s}
	var name, port string
	var hasPort bool
	if strings.HasPrefix(s, "[") {
		end := strings.IndexByte(s, ']')
		if end < 0 {
			return Host{}, ErrHost
		}
		a, err := netip.ParseAddr(s[1:end])
		if err != nil || !a.Is6() || a.Zone() != "" {
			return Host{}, ErrHost
		}
		name = "[" + a.String() + "]"
		if rest := s[end+1:]; rest != "" {
			if rest[0] != ':' {
				return Host{}, ErrHost
			}
			port, hasPort = rest[1:], true
		}
	} else {
		name, port, hasPort = strings.Cut(s, ":")
		name = strings.TrimSuffix(strings.ToLower(name), ".")
		if !validHostName(name) {
			return Host{}, ErrHost
		}
	}
	if hasPort && port == "" { // allowed, and as good as none (RFC 3986, 3.2.3)
		h.Text, hasPort = s[:len(s)-1], false
	}
	if hasPort {
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 {
			return Host{}, ErrHost
		}
		if port = strconv.FormatUint(n, 10); port == defaultPort(scheme) {
			port = ""
		}
	}
	h.Name, h.Port = name, port
	return h, nil
}

func defaultPort(scheme string) string {
	if scheme == "https" {
		return "443"
	}
	return "80"
}

// validHostName reports whether s is a name in lower case, or an IPv4 address, of
// at most 253 bytes with labels of at most 63 (RFC 1035, 2.3.4). An underscore is
// no character of host names, but it is found in them.
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

// IsLocalhost reports whether the name of a host, as Host.Name has it, is localhost or
// below it: this machine without any look-up (RFC 6761, 6.3), for which browsers treat
// plain http as secure.
func IsLocalhost(name string) bool {
	return name == "localhost" || strings.HasSuffix(name, ".localhost")
}

// Origin returns scheme://host[:port] as browsers write it in Origin.
func (h Host) Origin(scheme string) string {
	if h.Port == "" {
		return scheme + "://" + h.Name
	}
	return scheme + "://" + h.Name + ":" + h.Port
}

// EffectivePort returns the port that a client of the scheme connects to.
func (h Host) EffectivePort(scheme string) string {
	if h.Port == "" {
		return defaultPort(scheme)
	}
	return h.Port
}
