package proxy

import (
	"crypto/rand"
	"errors"
	"net/http"
	"strings"

	"gatehouse/internal/httpfield"
	"gatehouse/internal/web"
)

// A via is the name of this gate in Via (RFC 9110, 7.6.3): a pseudonym that no
// other gate has, so that the gate recognizes requests that it forwarded itself.
type via struct {
	name                  string
	http10, http11, http2 []string // the whole field of a request that has no Via yet; shared by all
}

// newVia returns the via for a pseudonym; "": a random one.
func newVia(name string) via {
	if name == "" {
		name = NewPseudonym()
	}
	return via{name, []string{"1.0 " + name}, []string{"1.1 " + name}, []string{"2 " + name}}
}

// NewPseudonym returns a random name for Options.Pseudonym. It reveals nothing
// about the host.
func NewPseudonym() string { return "gate-" + strings.ToLower(rand.Text()[:16]) }

// names reports whether an element of the Via lines names this gate.
func (v *via) names(lines []string) bool {
	for _, line := range lines {
		for element := range strings.SplitSeq(line, ",") {
			_, by, _ := strings.Cut(httpfield.TrimOWS(element), " ")
			by = strings.TrimLeft(by, " \t")
			if len(by) >= len(v.name) && strings.EqualFold(by[:len(v.name)], v.name) {
				return true
			}
		}
	}
	return false
}

// errLoop is logged for a request that this gate has forwarded before.
var errLoop = errors.New("the request has come through this gate before: an upstream, or a proxy behind it, leads back here")

// checkLoop refuses (508) a request that this gate has forwarded before.
func (v *via) checkLoop(r *http.Request) error {
	if lines := r.Header["Via"]; len(lines) > 0 && v.names(lines) {
		return web.Fail(http.StatusLoopDetected, "Something went wrong on our side.", errLoop)
	}
	return nil
}

// addVia is the request filter that appends this gate to Via.
func addVia(s *exchange, out *outgoing) error {
	own := s.p.via.http11
	switch {
	case s.in.ProtoMajor == 2:
		own = s.p.via.http2
	case s.in.ProtoMajor == 1 && s.in.ProtoMinor == 0:
		own = s.p.via.http10
	}
	before := s.in.Header["Via"]
	if len(before) == 0 || httpfield.HasToken(s.in.Header["Connection"], "Via") {
		out.Header.Set("Via", own...)
	} else {
		out.set("Via", strings.Join(before, ", ")+", "+own[0])
	}
	return nil
}
