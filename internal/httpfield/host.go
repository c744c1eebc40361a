package httpfield

import (
	"errors"
	"strings"
	"unicode/utf8"

	"golang.org/x/net/idna"
)

// ASCIIHost returns host[:port] as browsers send it in Host and Origin: labels
// that are not ASCII as A-labels (bücher.example is xn--bcher-kva.example; RFC
// 5891, and UTS 46 for upper case and the like), the rest as it is. An error:
// it is no name of a host. What is ASCII comes back unchanged, and unchecked.
func ASCIIHost(host string) (string, error) {
	if isASCII(host) {
		return host, nil
	}
	rest, wildcard := strings.CutPrefix(host, "*.")
	name, port, hasPort := strings.Cut(rest, ":")
	if !utf8.ValidString(host) { // which idna would take for a letter
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

// ASCIIOrigin does so for the host of an origin, such as https://bücher.example.
func ASCIIOrigin(origin string) (string, error) {
	scheme, host, ok := strings.Cut(origin, "://")
	if !ok {
		return origin, nil
	}
	host, err := ASCIIHost(host)
	return scheme + "://" + host, err
}
