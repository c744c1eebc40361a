package engine

import (
	"strings"

	"gatehouse/internal/httpfield"
)

// binds reports whether an Authorization or a challenge in WWW-Authenticate belongs
// to a scheme that signs in the connection, not the request: NTLM and Negotiate
// (RFC 4559, 6). The upstream attributes every later request on such a connection
// to the person who signed in.
func binds(values []string) bool {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") { // several challenges may stand in one line
			if scheme, _ := cutScheme(part); bindingScheme(scheme) {
				return true
			}
		}
	}
	return false
}

// bindsWithToken reports whether a challenge is a step within such a handshake: it carries
// a token. The next step must use the same connection.
func bindsWithToken(values []string) bool {
	for _, v := range values {
		for part := range strings.SplitSeq(v, ",") {
			if scheme, token := cutScheme(part); token != "" && bindingScheme(scheme) {
				return true
			}
		}
	}
	return false
}

func bindingScheme(scheme string) bool {
	return strings.EqualFold(scheme, "NTLM") || strings.EqualFold(scheme, "Negotiate") || strings.EqualFold(scheme, "Nego2")
}

func cutScheme(s string) (scheme, token string) {
	s = httpfield.TrimOWS(s)
	scheme, token, _ = strings.Cut(strings.ReplaceAll(s, "\t", " "), " ")
	return scheme, httpfield.TrimOWS(token)
}
