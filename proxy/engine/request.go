package engine

import (
	"errors"
	"fmt"
	"net/http"
	"net/textproto"
	"slices"
	"strconv"
	"strings"

	"gatehouse/internal/httpfield"
)

// errInvalid is the cause of every Error of Kind Invalid.
var errInvalid = errors.New("request cannot be written as HTTP/1.1")

// appendHead appends the head of r to b: Host first, then r.Header, then the fields of
// this hop. length is that of the body; 0: there is none, -1: it is chunked. A value
// that could end a line early is an error.
func appendHead(b []byte, r *Request, length int64, trailers []string) ([]byte, error) {
	switch {
	case !httpfield.IsToken(r.Method) || r.Method == http.MethodConnect:
		return b, fmt.Errorf("%w: method %q", errInvalid, r.Method)
	case !validTarget(r.Target):
		return b, fmt.Errorf("%w: target %q", errInvalid, r.Target)
	case r.Host != "" && !validTarget(r.Host):
		return b, fmt.Errorf("%w: host %q", errInvalid, r.Host)
	case r.Upgrade != "" && !httpfield.IsValue(r.Upgrade):
		return b, fmt.Errorf("%w: upgrade %q", errInvalid, r.Upgrade)
	}
	b = append(b, r.Method...)
	b = append(b, ' ')
	b = append(b, r.Target...)
	b = append(b, " HTTP/1.1\r\n"...)
	b = appendField(b, "Host", r.Host)
	for _, f := range r.Header {
		var err error
		if b, err = appendFields(b, f.Name, f.Values); err != nil {
			return b, err
		}
	}
	return appendHop(b, r, length, trailers), nil
}

// appendFields appends one line for each value. Host, Content-Length and hop-by-hop
// fields are left out: only appendHead and appendHop write these.
func appendFields(b []byte, name string, values []string) ([]byte, error) {
	name, ok := httpfield.CanonicalName(name)
	if !ok {
		return b, fmt.Errorf("%w: field name %q", errInvalid, name)
	}
	if name == "Host" || name == "Content-Length" || hopByHop(name) {
		return b, nil
	}
	for _, v := range values {
		if !httpfield.IsOneLine(v) {
			// The error does not contain the value, which may be a secret.
			return b, fmt.Errorf("%w: CR, LF or NUL in the value of %s", errInvalid, name)
		}
		b = appendField(b, name, v)
	}
	return b, nil
}

func appendField(b []byte, name, value string) []byte {
	b = append(b, name...)
	b = append(b, ": "...)
	b = append(b, value...)
	return append(b, "\r\n"...)
}

// appendHop appends the framing, the hop-by-hop fields, and the empty line.
func appendHop(b []byte, r *Request, length int64, trailers []string) []byte {
	switch {
	case length < 0:
		b = append(b, "Transfer-Encoding: chunked\r\n"...)
	case length > 0 || saysZero(r):
		b = append(b, "Content-Length: "...)
		b = strconv.AppendInt(b, length, 10)
		b = append(b, "\r\n"...)
	}
	if length < 0 && len(trailers) > 0 {
		b = appendField(b, "Trailer", strings.Join(trailers, ", "))
	}
	switch {
	case r.Upgrade != "":
		b = append(b, "Connection: Upgrade\r\n"...)
		b = appendField(b, "Upgrade", r.Upgrade)
	case r.Trailers && r.once:
		b = append(b, "Connection: close, TE\r\nTE: trailers\r\n"...)
	case r.once:
		b = append(b, "Connection: close\r\n"...)
	case r.Trailers:
		b = append(b, "Connection: TE\r\nTE: trailers\r\n"...)
	}
	return append(b, "\r\n"...)
}

// saysZero reports whether a request without a body gets Content-Length: 0: if the
// client sent a Content-Length, or the method expects a body (RFC 9110, 8.6).
func saysZero(r *Request) bool {
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		return true
	}
	return len(r.In.Header["Content-Length"]) > 0
}

// idempotent reports whether a request with this method may be sent again after
// nothing of an answer came (RFC 9110, 9.2.2).
func idempotent(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPut, http.MethodDelete, http.MethodTrace:
		return true
	}
	return false
}

// mayLeaveBody reports whether some servers do not read the body of such a request,
// and take it for the next request (CL.0), because the method needs no body (RFC
// 9110, 9.3.1 and 9.3.5).
func mayLeaveBody(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodDelete, http.MethodTrace:
		return true
	}
	return false
}

// trailerNames returns the sorted names of the trailers that may be sent on: those
// that were announced and are still in In.Trailer. Fields that frame, route or
// authenticate a request must not be trailers (RFC 9110, 6.5.1), and neither may
// fields that are in the head already.
func trailerNames(r *Request) []string {
	if len(r.In.Trailer) == 0 {
		return nil
	}
	var names []string
	for name := range r.In.Trailer {
		canonical := textproto.CanonicalMIMEHeaderKey(name)
		if r.Header.index(canonical) < 0 && httpfield.IsToken(name) && !neverTrailer(canonical) {
			names = append(names, canonical)
		}
	}
	slices.Sort(names)
	return names
}

// neverTrailer reports whether a field must not be a trailer, in either direction:
// those of framing, routing, authentication and cookies, and those that say how to
// read the body.
func neverTrailer(name string) bool {
	switch name {
	case "Authorization", "Cache-Control", "Content-Encoding", "Content-Length", "Content-Range", "Content-Type",
		"Cookie", "Expect", "Forwarded", "Host", "Location", "Max-Forwards", "Set-Cookie", "Vary", "Www-Authenticate":
		return true
	}
	return hopByHop(name)
}
