package proxy

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"gatehouse/internal/httpfield"
	"gatehouse/internal/problem"
)

// A headerSide holds the headers that a route may not set or remove in one
// direction: in requests or in answers. Names are folded (httpfield.FoldName). A
// reason is the rest of a sentence that begins with the name, and ends with the
// remedy.
type headerSide struct {
	section string                             // the key of its section in a route
	never   map[string]string                  // by name: why it may be neither set nor removed
	notSet  map[string]string                  // by name: why it may be removed, but not set
	also    func(name string, set bool) string // returns why any other name is refused; "": it is not
}

// Reasons that several names share.
const (
	ofConnection = "belongs to one connection and is made anew for the next; leave it out"
	ofBody       = "says how the body is to be read, which only its sender knows; leave it out"
	ofHandshake  = "belongs to the handshake of WebSockets; leave it out, see upgrade and origins"
	ofCount      = "is counted from the body; leave it out"
	ofVisitor    = "is made from what is known of the visitor; leave it out"
	ofData       = "carries what an application keeps in the session; leave it out, see session_data"
	ofIdentity   = "says who asks, which nobody else may; write it in identity.headers"
	ofRules      = "makes applications take another request than the one that the rules allowed; leave it out"
	ofRedirects  = "would lead every visitor away; let the application send it"
)

// requestSide holds what request_headers may not contain.
var requestSide = headerSide{
	section: "request_headers",
	never: map[string]string{
		"Host":              "is not one of these; write host_header",
		"Content-Length":    ofCount,
		"Cookie":            "carries the visitor's cookies and must not be one for all; leave it out",
		"Content-Encoding":  ofBody,
		"Content-Range":     ofBody,
		"Content-Type":      ofBody,
		"Sec-Websocket-Key": ofHandshake, "Sec-Websocket-Version": ofHandshake,
	},
	notSet: map[string]string{
		"Via":                      "is made anew, so that a request which comes back is known; leave it out, or remove it",
		"Expect":                   "asks for an answer that only the visitor's program waits for; leave it out, or remove it",
		"Sec-Websocket-Extensions": ofHandshake, "Sec-Websocket-Protocol": ofHandshake, "Sec-Websocket-Accept": ofHandshake,
	},
	also: func(name string, set bool) string {
		switch {
		case slices.Contains(rebuilt, name):
			return ofVisitor
		case set && (slices.Contains(overrides, name) || slices.Contains(methodOverrides, name)):
			return ofRules
		}
		return ""
	},
}

// responseSide holds what response_headers may not contain.
var responseSide = headerSide{
	section: "response_headers",
	never: map[string]string{
		"Content-Length":   ofCount,
		"Content-Encoding": ofBody, "Content-Range": ofBody, "Content-Type": ofBody,
	},
	notSet: map[string]string{
		"Set-Cookie":             "would give all visitors the same cookie; let the application set it, see cookies for its attributes",
		"Set-Cookie2":            "would give all visitors the same cookie; let the application set it",
		"Clear-Site-Data":        "would sign visitors out at every answer; let the application send it, and write clear_site_data: pass",
		"Service-Worker-Allowed": "gives scripts power over more than their folder; let the application send it",
		"Location":               ofRedirects, "Content-Location": ofRedirects, "Refresh": ofRedirects,
	},
	also: func(name string, _ bool) string {
		if strings.HasPrefix(name, "Sec-Websocket-") {
			return ofHandshake
		}
		return ""
	},
}

// refuses returns why a route may not set (or, unless set, remove) a header of this
// name; "" if it may. own is the policy table with the identity headers of the
// route.
func (s *headerSide) refuses(name string, set bool, own *policyTable) string {
	folded := httpfield.FoldName(name)
	// The reason for a single name is more helpful than that of a group, so it
	// comes first.
	if why := s.never[folded]; why != "" {
		return why
	}
	switch {
	case slices.Contains(sessionData, folded):
		return ofData
	case own.of(folded) == identity:
		return ofIdentity
	case slices.Contains(hopFields, folded):
		return ofConnection
	}
	if why := s.also(folded, set); why != "" {
		return why
	}
	if set {
		return s.notSet[folded]
	}
	return ""
}

// checkHeaders checks request_headers and response_headers against the identity
// headers of this route. CheckIdentity does so against those of all routes.
func (c *RouteConfig) checkHeaders(report *problem.List) {
	own := newPolicyTable(c.Identity.names())
	for _, s := range []struct {
		side *headerSide
		conf *HeaderConfig
	}{{&requestSide, &c.RequestHeaders}, {&responseSide, &c.ResponseHeaders}} {
		s.conf.check(s.side, own, report.In(s.side.section))
	}
}

// check reports what is wrong with the section, under its keys. own is the policy
// table with the identity headers of the route.
func (c *HeaderConfig) check(side *headerSide, own *policyTable, report *problem.List) {
	first := map[string]string{}
	c.each(func(key, name, value string, set bool) {
		switch why := side.refuses(name, set, own); {
		case !httpfield.IsToken(name):
			report.Errorf(key, "%q is not a header's name; use letters, digits and -, as in X-Script-Name", name)
			return
		case why != "":
			report.Errorf(key, "%q %s", name, why)
			return
		case first[httpfield.FoldName(name)] != "":
			report.Errorf(key, "%q is there as %q already; remove one, set alone replaces what was there", name, first[httpfield.FoldName(name)])
			return
		}
		first[httpfield.FoldName(name)] = name
		switch {
		case set && value == "":
			report.Errorf(key, "is empty; write a value, or the name in %s.remove", side.section)
		case set && !survives(value): // the value stays out of the message: it may be a secret
			report.Errorf(key, "the value cannot be sent in a header; write UTF-8 on one line, without spaces at its ends")
		}
		warnHeader(side, key, name, value, report)
	})
}

// CheckIdentity reports headers that the route sets or removes although an
// application may take them for the identity of the person. names are the identity
// headers of all routes and of the general section. Problems are reported under the
// keys of the route.
func (c *RouteConfig) CheckIdentity(names []string, report *problem.List) {
	all := newPolicyTable(names)
	for _, s := range []struct {
		section string
		conf    *HeaderConfig
	}{{requestSide.section, &c.RequestHeaders}, {responseSide.section, &c.ResponseHeaders}} {
		s.conf.each(func(key, name, _ string, _ bool) {
			if all.of(name) == identity {
				report.Errorf(s.section+"."+key, "%q %s", name, ofIdentity)
			}
		})
	}
}

// each calls f for each header that is set, sorted by name, then for each that is
// removed. key is the key of the header in the section, such as set.X-Name or
// remove[0].
func (c *HeaderConfig) each(f func(key, name, value string, set bool)) {
	for _, name := range slices.Sorted(maps.Keys(c.Set)) {
		f("set."+name, name, c.Set[name], true)
	}
	for i, name := range c.Remove {
		f(fmt.Sprintf("remove[%d]", i), name, "", false)
	}
}

// warnHeader warns about a header that may be set or removed, but is dangerous.
func warnHeader(side *headerSide, key, name, value string, report *problem.List) {
	name, value = httpfield.FoldName(name), strings.ToLower(value)
	switch {
	case side == &requestSide && name == "Via":
		report.Warnf(key, "a request that comes back to the gate is not known without it, and goes round until nothing is left; leave it out, unless the application needs that")
	case side == &requestSide && (name == "Origin" || name == "Referer" || strings.HasPrefix(name, "Sec-Fetch-")):
		report.Warnf(key, "applications tell by %s whether a request comes from their own pages; without the true one, other sites may act in your visitors' names", name)
	case side == &responseSide && name == "Cache-Control" && (strings.Contains(value, "public") || strings.Contains(value, "s-maxage")):
		report.Warnf(key, "counts where nobody is signed in: else it becomes private; write private, or see authenticated_cache")
	}
}
