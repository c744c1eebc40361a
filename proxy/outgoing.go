package proxy

import (
	"net/http"
	"net/netip"
	"strings"

	"gatehouse/auth"
	"gatehouse/internal/httpfield"
	"gatehouse/internal/web"
	"gatehouse/proxy/engine"
	"gatehouse/sessions"
)

// A exchange is one request on its way through the proxy, with what has been
// found out about it.
type exchange struct {
	p    *Proxy
	in   *http.Request
	info *web.Info
	host httpfield.Host
	t    target

	route  *route
	id     *auth.Identity // nil: nobody is signed in, or nobody was looked up
	asked  bool           // somebody was looked up: the answer depends on the session
	active bool           // the request is a use of the session

	byMethod bool          // rules that were asked look at the method
	data     sessions.Info // in which the application keeps values; zero: none yet, or none at all
	unkept   error         // why the session's data could not be kept

	member string // of the route's upstreams, the one that was asked last

	question decisionInput
	form     *formBody // the body, where it is looked through; nil: it is not
	progress
	prev, next *exchange // in Live
	breaker    engine.Canceler

	out    engine.Request
	header [24]engine.Field // of out, as far as it suffices
	lines  [12]string       // values in header
	used   int              // of lines
	hooks  *engine.Request  // what every out begins with
	spent  bool             // nobody has a hold on any of this any more
}

// newExchange gives one for a request. Several things go with each request, and
// all of them live and die together, so they are one piece that is used again.
func (p *Proxy) newExchange(r *http.Request) *exchange {
	s, ok := p.exchanges.Get().(*exchange)
	if !ok {
		s = &exchange{p: p}
		s.hooks = &engine.Request{Answer: s.answer, Trailer: s.trailer, Switched: s.switched, FromVisitor: s.spoke, Broke: s.broke, Chosen: s.chosen, Breaker: &s.breaker}
	}
	s.in, s.info = r, web.From(r.Context())
	return s
}

// release gives a passage back whose request was forwarded, and answered to
// the end, by an upstream that keeps nothing of it.
func (s *exchange) release() {
	if !s.spent {
		return
	}
	p, hooks := s.p, s.hooks
	*s = exchange{} // in place: a literal with fields is made on the stack first, and an idle tunnel keeps room for that
	s.p, s.hooks = p, hooks
	p.exchanges.Put(s)
}

// set puts a field with one value into h.
func (s *exchange) set(h *engine.Header, name, value string) { h.Set(name, s.line(value)...) }

// line is a header's one value.
func (s *exchange) line(v string) []string {
	if s.used == len(s.lines) {
		return []string{v}
	}
	s.lines[s.used] = v
	s.used++
	return s.lines[s.used-1 : s.used : s.used]
}

// request makes what goes upstream. The header is made from nothing, so that
// whatever is not known to be harmless has to be put in by somebody.
func (s *exchange) request() (*engine.Request, error) {
	list := engine.Header(s.header[:0])
	h := &list
	s.copyHeader(h)
	s.forwardedHeader(h)
	if s.id != nil {
		if err := s.setIdentity(h, s.route.identity); err != nil {
			return nil, web.Fail(http.StatusInternalServerError, "", err)
		}
	}
	if err := s.tellData(h); err != nil {
		return nil, err
	}
	s.route.requestHeaders.add(h)
	path := s.t.path
	if s.route.conf.StripPrefix {
		var ok bool
		if path, ok = s.route.strip(path); !ok {
			return nil, web.Refuse(http.StatusBadRequest, "")
		}
	}
	r := &s.out
	*r = *s.hooks
	r.In, r.Method, r.Target, r.Host, r.Header = s.in, s.in.Method, path+s.t.query, s.route.host, *h
	r.Trailers, r.MaxBody = httpfield.HasToken(s.in.Header["Te"], "trailers"), int64(s.route.conf.MaxBody)
	if r.Host == "" {
		r.Host = s.host.Text
	}
	s.rewriteDestination(r)
	s.dropTrailers()
	r.Member = s.wantedMember()
	r.Owner, r.Shared = s.owner()
	return r, s.upgrade(r)
}

// owner says for whom the request is, and whether that cannot be told although
// others come over the same connection: a proxy in front keeps connections for
// everybody.
func (s *exchange) owner() (owner string, shared bool) {
	switch {
	case s.id == nil:
		return "", s.info.Trusted
	case s.id.Session.Handle == "":
		return "user " + s.id.Name, false
	}
	return s.id.Session.Handle, false
}

// copyHeader copies what a client may say.
func (s *exchange) copyHeader(h *engine.Header) {
	nominated := s.in.Header["Connection"]
	for name, values := range s.in.Header {
		if s.mayPass(name) && !httpfield.HasToken(nominated, name) {
			*h = append(*h, engine.Field{Name: name, Values: values})
		}
	}
	if line := s.p.cookies.without(s.in.Header["Cookie"]); line != "" && !httpfield.HasToken(nominated, "Cookie") {
		s.set(h, "Cookie", line)
	}
}

// mayPass judges a field by its name.
func (s *exchange) mayPass(name string) bool {
	if s.route.conf.HeaderNames != anyNames && !httpfield.IsPlainName(name) || s.route.requestHeaders.takes(name) {
		return false
	}
	switch s.p.names.of(name) {
	case pass, answers:
		return true
	case forwardedClaim:
		return s.info.Trusted || s.route.passes.has(name)
	case cousin, identity:
		return s.route.passes.has(name)
	case methodOverride:
		return !s.byMethod
	default:
		return false
	}
}

// dropTrailers takes the announced trailers away that could not pass as a
// header either. Those that are not announced are not sent on at all.
func (s *exchange) dropTrailers() {
	for name := range s.in.Trailer {
		if !httpfield.IsPlainName(name) || s.p.names.of(name) != pass || s.route.requestHeaders.takes(name) {
			delete(s.in.Trailer, name)
		}
	}
}

// forwardedHeader says who the visitor is, as far as it is known. What a
// trusted proxy said of those before it stays in front in X-Forwarded-For.
// Forwarded is made anew even then: its value was not looked at by anybody.
func (s *exchange) forwardedHeader(h *engine.Header) {
	line, client := forwarded(s.info.Client, s.host.Text, s.info.Scheme)
	peer := ""
	switch {
	case s.info.Peer == s.info.Client:
		peer = client
	case s.info.Peer.IsValid():
		peer = s.info.Peer.String()
	}
	if before := s.in.Header["X-Forwarded-For"]; s.info.Trusted && len(before) > 0 {
		list := strings.Join(before, ", ")
		if peer != "" { // a unix socket has no address to add
			list += ", " + peer
		}
		s.set(h, "X-Forwarded-For", list)
	} else if peer != "" {
		s.set(h, "X-Forwarded-For", peer)
	}
	if client != "" {
		s.set(h, "X-Real-Ip", client)
	}
	s.set(h, "X-Forwarded-Host", s.host.Text)
	s.set(h, "X-Forwarded-Proto", s.info.Scheme)
	s.set(h, "X-Forwarded-Port", s.host.EffectivePort(s.info.Scheme))
	s.set(h, "Forwarded", line)
	s.set(h, "X-Request-Id", s.info.ID)
	if !s.route.requestHeaders.takes("Via") {
		h.Set("Via", s.viaLine()...)
	}
}

// forwarded writes one element of RFC 7239, where what holds a colon is
// quoted, and gives the address in it; "": it is not known.
func forwarded(client netip.Addr, host, proto string) (line, addr string) {
	b := make([]byte, 0, 96)
	b = append(b, "for="...)
	begin, end := 0, 0
	switch {
	case !client.IsValid():
		b = append(b, "unknown"...)
	case client.Is4():
		begin = len(b)
		b = client.AppendTo(b)
		end = len(b)
	default:
		b = append(b, `"[`...)
		begin = len(b)
		b = client.AppendTo(b)
		end = len(b)
		b = append(b, `]"`...)
	}
	b = append(b, ";host="...)
	if strings.ContainsAny(host, ":[]") {
		b = append(append(append(b, '"'), host...), '"')
	} else {
		b = append(b, host...)
	}
	b = append(append(b, ";proto="...), proto...)
	line = string(b)
	return line, line[begin:end]
}
