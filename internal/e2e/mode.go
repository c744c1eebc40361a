package e2e

import "testing"

// A Mode is the protocol in which clients speak to the gate.
type Mode struct {
	Name   string
	TLS    bool
	HTTP2  bool
	Cookie string // name of the session's cookie
}

// The modes. A test whose requests can be made in all of them runs in each; see
// EachMode.
var (
	HTTP1  = Mode{"http1", false, false, "gatehouse"}
	HTTPS1 = Mode{"https1", true, false, "__Host-gatehouse"}
	HTTP2  = Mode{"http2", true, true, "__Host-gatehouse"}
	Modes  = []Mode{HTTP1, HTTPS1, HTTP2}
)

// Scheme returns http or https.
func (m Mode) Scheme() string {
	if m.TLS {
		return "https"
	}
	return "http"
}

// EachMode runs f as a parallel subtest in each of Modes.
func EachMode(t *testing.T, f func(t *testing.T, m Mode)) {
	t.Helper()
	t.Parallel()
	for _, m := range Modes {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			f(t, m)
		})
	}
}
