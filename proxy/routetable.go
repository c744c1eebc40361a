package proxy

import (
	"fmt"
	"net"
	"net/http"
	"strings"

	"gatehouse/internal/httpfield"
	"gatehouse/internal/urlpath"
)

// A routeTable finds the routes of a host. It does not change once it is built.
type routeTable struct {
	exact map[string]*hostRoutes // by name or name:port
	below map[string]*hostRoutes // by suffix, such as .example.com or .example.com:8443
	any   *hostRoutes            // for every other host; nil: there are none
	first string                 // the first host that a route names; "": none does
}

// find returns the routes of the most specific host that matches: with the port
// before without it, and an exact name before the longest wildcard before any
// host. nil: no route has the host. A host has one list of routes: paths that
// are missing in it are not looked up under a less specific host.
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

// known reports whether a route names the host, rather than taking any.
func (t *routeTable) known(h httpfield.Host) bool {
	hr := t.find(h)
	return hr != nil && hr != t.any
}

// hostOfHTTP10 returns the host that an HTTP/1.0 request without Host is for.
// Load balancers send such requests to see whether the gate is well. It is the
// address that the request came to where a route takes any host, else the
// first host that a route names; a client could have named either itself. "":
// there is none.
func (t *routeTable) hostOfHTTP10(r *http.Request) string {
	if t.any == nil {
		return t.first
	}
	if a, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok {
		return a.AddrPort().String()
	}
	return "localhost"
}

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
		next := strings.IndexByte(name[i+1:], '.')
		if next < 0 {
			break
		}
		i += next + 1
	}
	return nil
}

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

// hostKey returns a configured host without a dot at the end of its name.
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
	byPath  map[string]*route // without a slash at the end, so "" is the root
	folded  map[string]*route // the same in lower case
	longest int               // bytes of the longest path
	capital bool              // some path has a capital letter
}

func (hr *hostRoutes) add(r *route) error {
	if hr.byPath == nil {
		hr.byPath, hr.folded = map[string]*route{}, map[string]*route{}
	}
	if other := hr.byPath[r.prefix]; other != nil {
		return fmt.Errorf("two routes for %q", r.label)
	}
	hr.byPath[r.prefix] = r
	low := urlpath.Fold(r.prefix)
	if hr.folded[low] == nil {
		hr.folded[low] = r
	}
	hr.capital = hr.capital || low != r.prefix
	hr.longest = max(hr.longest, len(r.prefix), len(low))
	return nil
}

// find returns the route with the longest path that path lies below; nil: none.
func (hr *hostRoutes) find(path string) *route { return longest(hr.byPath, path, hr.longest) }

// nearly returns the route that path would lie below if letter case and
// extensions did not matter, if its path is longer than that of r; otherwise
// nil.
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

// longest returns the entry of m with the longest path that path lies below; nil:
// none. limit is the length of the longest path in m.
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

// longestLike is longest for a path whose last segment may have an extension.
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

func hasCapitalOrDot(s string) bool {
	for i := range len(s) {
		if c := s[i]; 'A' <= c && c <= 'Z' || c == '.' || c >= 0x80 {
			return true
		}
	}
	return false
}
