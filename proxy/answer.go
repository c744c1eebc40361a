package proxy

import (
	"fmt"
	"net/http"
	"strings"

	"gatehouse/internal/httpfield"
)

// dropForged is the answer filter that drops fields that only the gate may send,
// such as an identity header that the upstream echoes. It refuses an answer that
// has a line break or NUL in a value, because some clients would end the header
// there.
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

// trailer filters the trailers of an answer. It drops what may not be in the
// header, and fields that have no effect or no business in a trailer, such as
// cookies.
func (s *exchange) trailer(h http.Header) {
	for name, values := range h {
		switch f := s.p.names.of(name); {
		case f == identity, f == drop, f == answers, s.route.responseHeaders.takes(name), name == "Set-Cookie", name == "Clear-Site-Data", name == "Service-Worker-Allowed",
			!httpfield.IsOneLine(strings.Join(values, "")):
			delete(h, name)
		}
	}
}

// dropClearSiteData is the answer filter that drops Clear-Site-Data if it clears
// cookies: one application must not sign people out of all others. A route with
// clear_site_data: pass does not use it.
func dropClearSiteData(_ *exchange, _ int, h http.Header) error {
	for _, line := range h["Clear-Site-Data"] {
		if low := strings.ToLower(line); strings.Contains(low, "cookies") || strings.Contains(low, "*") {
			delete(h, "Clear-Site-Data")
			break
		}
	}
	return nil
}
