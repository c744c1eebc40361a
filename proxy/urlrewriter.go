package proxy

import (
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/httpfield"
	"gatehouse/internal/urlpath"
)

// A urlRewriter translates URLs between the upstream's view of its address and the
// visitor's. A URL that it is not sure about stays unchanged, byte for byte. The
// only host that it ever inserts is the visitor's, or, in a request, the
// upstream's.
//
// It is made for one request, because the visitor's scheme and host come from
// there.
type urlRewriter struct {
	scheme   string         // the visitor's
	host     httpfield.Host // the visitor's
	prefix   string         // the path that strip_prefix removes; "": none
	app      string         // the scheme of the upstream's address
	upstream string         // scheme://host of a request as the upstream sees it
	own      []origin       // every origin that the upstream may take for its own
}

// An origin is a scheme, host and port that the upstream may take for its own. port
// is "" for the default port of the scheme.
type origin struct{ scheme, name, port string }

// newURLRewriter returns the urlRewriter for one request to r.
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
	// An application that honors X-Forwarded-Proto combines the visitor's scheme
	// with the Host that it was sent.
	m.add(scheme, sent)
	m.add(in.info.Scheme, sent)
	return m
}

// add adds an origin of the upstream. An authority that cannot be parsed is
// skipped.
func (m *urlRewriter) add(scheme, authority string) {
	if h, err := httpfield.ParseHost(authority, scheme); err == nil {
		m.own = append(m.own, origin{scheme, h.Name, h.Port})
	}
}

// rewriteLocations is the answer filter for rewrite.urls. It translates Location,
// Content-Location and Refresh.
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
// become URLs of the visitor's host, and absolute paths get the stripped prefix
// back. Relative references and other hosts stay unchanged.
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

// refresh translates the URL in a Refresh field, such as 5; url=http://app/.
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

// refreshURL returns the index in v at which the URL begins; -1 if there is none,
// or if browsers may disagree on where it is.
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

// skip returns the first index from i on at which s has a character that is not in
// chars.
func skip(s string, i int, chars string) int {
	for i < len(s) && strings.IndexByte(chars, s[i]) >= 0 {
		i++
	}
	return i
}

// rewriteDestination is the request filter for rewrite.urls. It translates the
// Destination of WebDAV's COPY and MOVE (RFC 4918, 10.3). A Destination outside the
// route stays unchanged, so that the upstream refuses it as one on another server.
func rewriteDestination(s *exchange, out *outgoing) error {
	if isWebDAVMove(out.Method) {
		if v := out.Header.Get("Destination"); len(v) == 1 {
			out.Header.Set("Destination", newURLRewriter(s.route, &s.incoming).toUpstream(v[0]))
		}
	}
	return nil
}

// toUpstream translates a reference in a request: the visitor's absolute URL, or an
// absolute path. Anything else stays unchanged.
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

// stripped removes the prefix from a path, which may have a query. ok is false
// unless every interpretation of the path lies below the prefix.
func (m *urlRewriter) stripped(ref string) (rest string, ok bool) {
	path, query := cutAny(ref, "?#")
	if !urlpath.WellFormed(path) || !m.mayPrefix(path) {
		return "", false
	}
	rest, ok = urlpath.CutPrefix(path, m.prefix)
	return rest + query, ok
}

// isOwn reports whether the upstream may mean itself by this scheme and authority.
func (m *urlRewriter) isOwn(scheme, authority string) bool {
	h, err := httpfield.ParseHost(authority, scheme)
	return err == nil && slices.Contains(m.own, origin{scheme, h.Name, h.Port})
}

// mayPrefix reports whether path stays inside the route when the prefix is put in
// front: dot segments could lead out of it.
func (m *urlRewriter) mayPrefix(path string) bool {
	path, _ = cutAny(path, "?#")
	return m.prefix == "" || !urlpath.MayHaveDotSegments(path)
}

// plainReference reports whether ref has none of the characters that browsers drop
// (spaces, controls) or interpret as another one (a backslash as a slash).
func plainReference(ref string) bool {
	for i := range len(ref) {
		if c := ref[i]; c <= ' ' || c == 0x7f || c == '\\' {
			return false
		}
	}
	return true
}

// cutReference splits an absolute reference into its scheme, in lower case, and
// what follows "//". The scheme is "" for a reference that begins with "//". ok is
// false if ref is not absolute.
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

// cutAny splits s in front of the first of chars; rest is "" if s contains none.
func cutAny(s, chars string) (before, rest string) {
	if i := strings.IndexAny(s, chars); i >= 0 {
		return s[:i], s[i:]
	}
	return s, ""
}
