package proxy

import (
	"fmt"
	"net"
	"net/http"
	"strings"

	"gatehouse/internal/httpfield"
	"gatehouse/internal/urlpath"
)

// A routeTable finds the routes of a host. It is immutable after the last add.
type routeTable struct {
	exact map[string]*hostRoutes // by name or name:port
	below map[string]*hostRoutes // by suffix, such as .example.com or .example.com:8443
	any   *hostRoutes            // for every other host; nil: there are none
	first string                 // the first host that a route names; "": none does
	login string                 // the name of the login host, which has no routes; "": there is none
}

// find returns the routes of the most specific host that matches h: a host with the
// port before one without, an exact name before the longest wildcard, and that
// before any host. It returns nil if no route has the host. The hosts are not
// combined: a path that the most specific host lacks is not looked up under
// another.
func (t *routeTable) find(h httpfield.Host) *hostRoutes {
	if h.Port != "" {
		if hr := t.named(h.Name, ":"+h.Port); hr != nil {
			return hr
		}
	}
	if hr := t.named(h.Name, ""); hr != nil {
		return hr
	}
	return t.any
}

// isLogin reports whether h is the login host, on any port. None of its paths may be
// looked up, since a wildcard or a route for any host may match it.
func (t *routeTable) isLogin(h httpfield.Host) bool { return h.Name == t.login }

// known reports whether a route names the host explicitly, or it is the login host.
func (t *routeTable) known(h httpfield.Host) bool {
	hr := t.find(h)
	return hr != nil && hr != t.any || t.isLogin(h)
}

// hostOfHTTP10 returns the host for an HTTP/1.0 request without Host, which load
// balancers send as a health check. If a route takes any host, it is the address
// that the request arrived at; otherwise the first host that a route names; "" if
// there is none. This grants nothing: a client could send either in Host.
func (t *routeTable) hostOfHTTP10(r *http.Request) string {
	if t.any == nil {
		return t.first
	}
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		return a.AddrPort().String()
	}
	return "localhost"
}

// named looks up the host by exact name, then by wildcards from the longest to the
// shortest. port is "" or begins with a colon.
func (t *routeTable) named(name, port string) *hostRoutes {
	if hr := t.exact[name+port]; hr != nil {
		return hr
	}
	if len(t.below) == 0 || name[0] == '[' {
		return nil
	}
	for i := strings.IndexByte(name, '.'); i >= 0; {
		if hr := t.below[name[i:]+port]; hr != nil {
			return hr
		}
		// Drop the first label, for the next shorter wildcard.
		next := strings.IndexByte(name[i+1:], '.')
		if next < 0 {
			break
		}
		i += next + 1
	}
	return nil
}

// add adds a route. Two routes with the same host and path are an error.
func (t *routeTable) add(r *route) error {
	host := strings.ToLower(r.conf.Host)
	var hr *hostRoutes
	switch {
	case host == "":
		if t.any == nil {
			t.any = &hostRoutes{}
		}
		hr = t.any
	case strings.HasPrefix(host, "*."):
		hr = entry(&t.below, hostKey(host[1:]))
	default:
		hr = entry(&t.exact, hostKey(host))
		if t.first == "" {
			t.first = r.conf.Host
		}
	}
	return hr.add(r)
}

// hostKey returns a configured host without a trailing dot in its name.
func hostKey(host string) string {
	name, port, ok := host, "", false
	if !strings.HasPrefix(host, "[") {
		name, port, ok = strings.Cut(host, ":")
	}
	name = strings.TrimSuffix(name, ".")
	if ok {
		name += ":" + port
	}
	return name
}

// entry returns the entry of m for key, creating map and entry as needed.
func entry(m *map[string]*hostRoutes, key string) *hostRoutes {
	if *m == nil {
		*m = map[string]*hostRoutes{}
	}
	hr := (*m)[key]
	if hr == nil {
		hr = &hostRoutes{}
		(*m)[key] = hr
	}
	return hr
}

// hostRoutes are the routes of one host, by path.
type hostRoutes struct {
	byPath  map[string]*route // without a trailing slash, so "" is the root
	folded  map[string]*route // the same in lower case
	longest int               // bytes of the longest path
	capital bool              // some path has a capital letter
}

// add adds a route. A second one with the same path is an error.
func (hr *hostRoutes) add(r *route) error {
	if hr.byPath == nil {
		hr.byPath, hr.folded = map[string]*route{}, map[string]*route{}
	}
	if other := hr.byPath[r.prefix]; other != nil {
		return fmt.Errorf("two routes for %q", r.label)
	}
	hr.byPath[r.prefix] = r
	// Of several routes that fold to the same path the first one stays.
	low := urlpath.Fold(r.prefix)
	if hr.folded[low] == nil {
		hr.folded[low] = r
	}
	hr.capital = hr.capital || low != r.prefix
	hr.longest = max(hr.longest, len(r.prefix), len(low))
	return nil
}

// find returns the route with the longest path that contains path; nil: none.
func (hr *hostRoutes) find(path string) *route { return longest(hr.byPath, path, hr.longest) }

// nearly returns the route that would take path if letter case and extensions did
// not matter, provided that its own path is longer than that of r. Otherwise it
// returns nil.
func (hr *hostRoutes) nearly(path string, r *route) *route {
	if hr.longest == 0 || !hr.capital && !hasCapitalOrDot(path) {
		return nil
	}
	// A letter may have more bytes than the one it folds to, four at most.
	near := longestLike(hr.folded, urlpath.Fold(path[:min(len(path), 4*hr.longest+1)]), hr.longest)
	if near == nil || near == r || r != nil && len(near.prefix) <= len(r.prefix) {
		return nil
	}
	return near
}

// longest returns the entry of m with the longest path that equals path or is one
// of its parents; nil: none. limit is the length of the longest path in m.
func longest(m map[string]*route, path string, limit int) *route {
	found := m[""]
	for i := 1; i <= len(path) && i <= limit; i++ {
		if i == len(path) || path[i] == '/' {
			if r := m[path[:i]]; r != nil {
				found = r
			}
		}
	}
	return found
}

// longestLike is longest, except that an extension of a segment may be ignored.
func longestLike(m map[string]*route, path string, limit int) *route {
	found, dot := m[""], 0 // dot: the first one of the segment
	for i := 1; i <= len(path); i++ {
		switch {
		case i == len(path) || path[i] == '/':
			r := m[path[:i]]
			if r == nil && dot > 0 {
				r = m[path[:dot]]
			}
			if r != nil {
				found = r
			}
			if i > limit {
				return found
			}
			dot = 0
		case path[i] == '.' && dot == 0 && path[i-1] != '/':
			dot = i
		}
	}
	return found
}

// hasCapitalOrDot reports whether folding or an ignored extension could change s.
// Bytes that are not ASCII count as capitals.
func hasCapitalOrDot(s string) bool {
	for i := range len(s) {
		if c := s[i]; 'A' <= c && c <= 'Z' || c == '.' || c >= 0x80 {
			return true
		}
	}
	return false
}
