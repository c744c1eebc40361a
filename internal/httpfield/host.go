package httpfield

import (
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// ASCIIHost returns host[:port], or *.host[:port], as browsers send it in Host and Origin:
// labels that are not ASCII become A-labels (bücher.example is xn--bcher-kva.example;
// RFC 5891, with the mapping of UTS 46), the rest stays as it is. It returns an error if
// a host that is not ASCII is no name. A host in ASCII is returned unchanged and
// unchecked; see ParseHost.
func ASCIIHost(host string) (string, error) {
	if isASCII(host) {
		return host, nil
	}
	rest, wildcard := strings.CutPrefix(host, "*.")
	name, port, hasPort := strings.Cut(rest, ":")
	if !utf8.ValidString(host) { // idna would take it for a letter
		return "", errors.New("invalid UTF-8")
	}
	if !isASCII(port) {
		return "", errors.New("a port is a number")
	}
	name, err := idna.Lookup.ToASCII(name)
	if err != nil {
		return "", err
	}
	if wildcard {
		name = "*." + name
	}
	if hasPort {
		name += ":" + port
	}
	return name, nil
}

func isASCII(s string) bool {
	return strings.IndexFunc(s, func(c rune) bool { return c >= utf8.RuneSelf }) < 0
}

// ASCIIOrigin returns an origin, such as https://bücher.example, with its host as
// ASCIIHost returns it. Text without :// is returned unchanged.
func ASCIIOrigin(origin string) (string, error) {
	scheme, host, ok := strings.Cut(origin, "://")
	if !ok {
		return origin, nil
	}
	host, err := ASCIIHost(host)
	return scheme + "://" + host, err
}
