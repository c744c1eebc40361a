package proxy

import (
	"gatehouse/auth"
	"gatehouse/internal/httpfield"
	"gatehouse/proxy/engine"
)

// An outgoing is the request that is sent to the upstream. Its header is built from
// an allowlist: nothing is forwarded by default.
type outgoing struct {
	engine.Request
	path string // the path of Target: byte for byte the client's, unless a prefix was stripped

	fields [24]engine.Field // room for Header; a request with more fields costs an allocation
	values [12]string       // room for values that set makes
	used   int              // of values
}

// begin initializes the request with what every request has, and an empty header.
func (o *outgoing) begin(hooks *engine.Request, from *incoming) {
	o.Request = *hooks
	o.In, o.Method, o.path = from.in, from.in.Method, from.target.path
	o.Header = o.fields[:0]
	o.Trailers = httpfield.HasToken(from.in.Header["Te"], "trailers")
}

// set sets a field to one value. It replaces all fields of that name.
func (o *outgoing) set(name, value string) { o.Header.Set(name, o.one(value)...) }

// one returns a list with one value, without an allocation while there is room.
func (o *outgoing) one(v string) []string {
	if o.used == len(o.values) {
		return []string{v}
	}
	o.values[o.used] = v
	o.used++
	return o.values[o.used-1 : o.used : o.used]
}

// ownerOf returns on whose behalf a request is made, for the engine's Owner. shared
// is true if that is unknown and the client's connection may carry requests of
// several people: a trusted proxy in front reuses connections for everybody.
func ownerOf(id *auth.Identity, trusted bool) (owner string, shared bool) {
	switch {
	case id == nil:
		return "", trusted
	case id.Session.Handle == "":
		return "user " + id.Name, false
	}
	return id.Session.Handle, false
}

// copyHeader is the request filter that copies the fields that a client may send,
// and the cookies that are not the gate's. Fields that Connection names are not
// copied: they belong to the client's connection (RFC 9110, 7.6.1).
func copyHeader(s *exchange, out *outgoing) error {
	nominated := s.in.Header["Connection"]
	for name, values := range s.in.Header {
		if mayPass(s, name) && !httpfield.HasToken(nominated, name) {
			out.Header = append(out.Header, engine.Field{Name: name, Values: values})
		}
	}
	if line := s.p.cookies.without(s.in.Header["Cookie"]); line != "" && !httpfield.HasToken(nominated, "Cookie") {
		out.set("Cookie", line)
	}
	return nil
}

// mayPass reports whether a client may send a field of this name.
func mayPass(s *exchange, name string) bool {
	if s.route.conf.HeaderNames != anyNames && !httpfield.IsPlainName(name) || s.route.requestHeaders.takes(name) {
		return false
	}
	switch s.p.names.of(name) {
	case pass, answers:
		return true
	case forwardedClaim:
		return s.info.Trusted || s.route.passes.has(name)
	case foreignIdentity, identity:
		return s.route.passes.has(name)
	case methodOverride:
		return !s.byMethod
	default:
		return false
	}
}

// dropTrailers is the request filter that removes announced trailers that may not
// pass as headers either. The engine forwards only announced trailers.
func dropTrailers(s *exchange, _ *outgoing) error {
	for name := range s.in.Trailer {
		if !httpfield.IsPlainName(name) || s.p.names.of(name) != pass || s.route.requestHeaders.takes(name) {
			delete(s.in.Trailer, name)
		}
	}
	return nil
}
