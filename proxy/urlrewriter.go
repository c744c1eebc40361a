package proxy

import (
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/httpfield"
	"gatehouse/internal/urlpath"
)

// A urlRewriter translates addresses between what the upstream calls itself and
// what the visitor sees. An address that it is not sure about stays as it is,
// byte for byte. It never inserts any host but the visitor's, or on the way to
// the upstream the upstream's.
type urlRewriter struct {
	scheme   string         // the visitor's
	host     httpfield.Host // the visitor's
	prefix   string         // what strip_prefix takes off
	app      string         // the scheme in which the upstream is spoken to
	upstream string         // scheme://host of a request as the upstream sees it
	own      []origin       // what the upstream may call itself
}

// An origin is where the upstream may believe to be. port is "" for the default
// of the scheme.
type origin struct{ scheme, name, port string }

// newURLRewriter returns what translates addresses for one request to a route.
func newURLRewriter(r *route, in *incoming) *urlRewriter {
	m := &urlRewriter{scheme: in.info.Scheme, host: in.host}
	if r.conf.StripPrefix {
		m.prefix = r.prefix
	}
	sent, scheme := r.sentHost(in.host), r.addresses[0].scheme()
	m.app, m.upstream = scheme, scheme+"://"+sent
	for _, a := range r.addresses {
		if a.network == "tcp" {
			m.add(scheme, a.host)
		}
	}
	// An application that honours X-Forwarded-Proto writes the visitor's scheme
	// before the host that it was asked for.
	m.add(scheme, sent)
	m.add(in.info.Scheme, sent)
	return m
}

func (m *urlRewriter) add(scheme, authority string) {
	if h, err := httpfield.ParseHost(authority, scheme); err == nil {
		m.own = append(m.own, origin{scheme, h.Name, h.Port})
	}
}

// rewriteLocations is the answer filter that translates where an answer says
// that something is.
func rewriteLocations(s *exchange, _ int, h http.Header) error {
	m := newURLRewriter(s.route, &s.incoming)
	for name, translate := range map[string]func(string) string{
		"Location": m.toVisitor, "Content-Location": m.toVisitor, "Refresh": m.refresh,
	} {
		for i, v := range h[name] {
			h[name][i] = translate(v)
		}
	}
	return nil
}

// toVisitor translates a reference in an answer: absolute URLs of the upstream
// and absolute paths become the visitor's.
func (m *urlRewriter) toVisitor(ref string) string {
	if !plainReference(ref) {
		return ref
	}
	scheme, rest, ok := cutReference(ref)
	if !ok {
		if strings.HasPrefix(ref, "/") && m.mayPrefix(ref) {
			return m.prefix + ref
		}
		return ref
	}
	authority, path := cutAny(rest, "/?#")
	full := scheme
	if full == "" {
		full = m.app // the reference is relative to the page, as the upstream sees it
	}
	if !m.isOwn(full, authority) || !m.mayPrefix(path) {
		return ref
	}
	visitor := m.host.Origin(m.scheme)
	if scheme == "" {
		visitor = strings.TrimPrefix(visitor, m.scheme+":")
	}
	return visitor + m.prefix + path
}

// refresh translates the address in a Refresh field, such as 5; url=http://app/.
func (m *urlRewriter) refresh(v string) string {
	at := refreshURL(v)
	if at < 0 {
		return v
	}
	head, ref, tail := v[:at], v[at:], ""
	if ref != "" && (ref[0] == '"' || ref[0] == '\'') {
		end := strings.IndexByte(ref[1:], ref[0])
		if end < 0 {
			return v
		}
		head, ref, tail = v[:at+1], ref[1:1+end], ref[1+end:]
	}
	return head + m.toVisitor(ref) + tail
}

// refreshURL returns the index at which the address begins; -1: there is none, or
// browsers might disagree.
func refreshURL(v string) int {
	i := skip(v, 0, " \t")
	digits := skip(v, i, "0123456789.")
	i = skip(v, digits, " \t")
	if i == 0 || i == len(v) || v[i] != ';' && v[i] != ',' {
		return -1
	}
	i = skip(v, i+1, " \t")
	if len(v) < i+3 || !strings.EqualFold(v[i:i+3], "url") {
		return -1
	}
	i = skip(v, i+3, " \t")
	if i == len(v) || v[i] != '=' {
		return -1
	}
	return skip(v, i+1, " \t")
}

// skip returns the first index from i on at which none of the characters stands.
func skip(s string, i int, chars string) int {
	for i < len(s) && strings.IndexByte(chars, s[i]) >= 0 {
		i++
	}
	return i
}

// rewriteDestination is the request filter that translates where COPY and MOVE
// of WebDAV (RFC 4918, 10.3) are to put something. What does not lie in the
// route stays as it is, and the upstream refuses it as another server's.
func rewriteDestination(s *exchange, out *outgoing) error {
	if isWebDAVMove(out.Method) {
		if v := out.Header.Get("Destination"); len(v) == 1 {
			out.Header.Set("Destination", newURLRewriter(s.route, &s.incoming).toUpstream(v[0]))
		}
	}
	return nil
}

// toUpstream translates an absolute URL of the visitor, or an absolute path, in a
// request.
func (m *urlRewriter) toUpstream(ref string) string {
	if !plainReference(ref) {
		return ref
	}
	scheme, rest, ok := cutReference(ref)
	if !ok {
		if path, in := m.stripped(ref); in && !strings.HasPrefix(path, "//") {
			return path
		}
		return ref
	}
	authority, path := cutAny(rest, "/?#")
	h, err := httpfield.ParseHost(authority, scheme)
	if err != nil || scheme != m.scheme || h.Name != m.host.Name || h.Port != m.host.Port {
		return ref
	}
	if path, ok = m.stripped(path); !ok {
		return ref
	}
	return m.upstream + path
}

// stripped returns a path (with its query) without the prefix. ok is false unless
// it lies below the prefix for every reader.
func (m *urlRewriter) stripped(ref string) (rest string, ok bool) {
	path, query := cutAny(ref, "?#")
	if !urlpath.WellFormed(path) || !m.mayPrefix(path) {
		return "", false
	}
	rest, ok = urlpath.CutPrefix(path, m.prefix)
	return rest + query, ok
}

func (m *urlRewriter) isOwn(scheme, authority string) bool {
	h, err := httpfield.ParseHost(authority, scheme)
	return err == nil && slices.Contains(m.own, origin{scheme, h.Name, h.Port})
}

// mayPrefix reports whether a path stays in the route when the prefix is put in
// front of it.
func (m *urlRewriter) mayPrefix(path string) bool {
	path, _ = cutAny(path, "?#")
	return m.prefix == "" || !urlpath.MayHaveDotSegments(path)
}

// plainReference reports whether a reference has no character that browsers drop
// or read as another one.
func plainReference(ref string) bool {
	for i := range len(ref) {
		if c := ref[i]; c <= ' ' || c == 0x7f || c == '\\' {
			return false
		}
	}
	return true
}

// cutReference returns the scheme of an absolute reference, in lower case, and
// what follows //. The scheme is "" where the reference begins with //.
func cutReference(ref string) (scheme, rest string, ok bool) {
	for _, scheme := range []string{"", "http", "https"} {
		mark := scheme + "://"
		if scheme == "" {
			mark = "//"
		}
		if len(ref) >= len(mark) && strings.EqualFold(ref[:len(mark)], mark) {
			return scheme, ref[len(mark):], true
		}
	}
	return "", "", false
}

// cutAny cuts s before the first of the characters.
func cutAny(s, chars string) (before, rest string) {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}
