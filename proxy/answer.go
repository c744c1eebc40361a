package proxy

import (
	"fmt"
	"net/http"
	"strings"

	"gatehouse/internal/httpfield"
)

// dropForged drops from an answer what speaks in the gate's name, such as an
// identity header that the upstream echoes. It refuses an answer with a line
// break or NUL in a value, which some readers take for the end of the head.
func dropForged(s *exchange, _ int, h http.Header) error {
	for name, values := range h {
		if f := s.p.names.of(name); f == identity || f == answers {
			delete(h, name)
			continue
		}
		for _, v := range values {
			if !httpfield.IsOneLine(v) {
				return fmt.Errorf("answer header %s holds a line break or NUL", name)
			}
		}
	}
	return nil
}

// trailer drops from the fields behind an answer's body whatever must not
// stand in its head, and what has no business behind a body, such as cookies.
func (s *exchange) trailer(h http.Header) {
	for name, values := range h {
		switch f := s.p.names.of(name); {
		case f == identity, f == drop, f == answers, s.route.responseHeaders.takes(name), name == "Set-Cookie", name == "Clear-Site-Data", name == "Service-Worker-Allowed",
			!httpfield.IsOneLine(strings.Join(values, "")):
			delete(h, name)
		}
	}
}

// dropClearSiteData drops Clear-Site-Data where it names cookies, or
// everything: one application must not sign people out of all of them. A route
// with clear_site_data: pass lets it through.
func dropClearSiteData(_ *exchange, _ int, h http.Header) error {
	for _, line := range h["Clear-Site-Data"] {
		if low := strings.ToLower(line); strings.Contains(low, "cookies") || strings.Contains(low, "*") {
			delete(h, "Clear-Site-Data")
			break
		}
	}
	return nil
}
