package proxy

import (
	"fmt"
	"net/http"
	"strings"

	"gatehouse/auth/portal"
	"gatehouse/internal/httpfield"
	"gatehouse/internal/web"
)

// A RouteIndex tells the sign-in pages about the routes that people are on their way
// to. It depends only on the configuration, so it can be made before the Pages and
// the Proxy. It is immutable, and safe for concurrent use.
type RouteIndex struct{ table routeTable }

// NewRouteIndex returns the RouteIndex of routes that have been checked. Two routes
// with the same host and path are an error.
func NewRouteIndex(routes []RouteConfig) (*RouteIndex, error) {
	x := new(RouteIndex)
	for i := range routes {
		c := routes[i]
		c.toASCII()
		if err := x.table.add(&route{conf: &c, label: c.label(), prefix: c.prefix()}); err != nil {
			return nil, fmt.Errorf("routes[%d]: %w", i, err)
		}
	}
	return x, nil
}

// LoginFor returns the login section of the route that takes next, which makes the
// sign-in page look different for each application. next is a path that may have a
// query, on the host of r, or an absolute http or https URL. For a path it looks only
// at routes of that host, so that a page reveals nothing about another host; whether a
// visitor may name another one is the caller's decision. It returns the zero value if
// no route takes next, or if the route has no such section.
func (x *RouteIndex) LoginFor(r *http.Request, next string) portal.RouteLoginConfig {
	info := web.From(r.Context())
	host, scheme := info.Host, info.Scheme
	if path, authority, ok := httpfield.CutAuthority(next); ok {
		scheme, _, _ = strings.Cut(strings.ToLower(next), ":")
		host, next = authority, path
	}
	h, err := httpfield.ParseHost(host, scheme)
	if err != nil || !strings.HasPrefix(next, "/") {
		return portal.RouteLoginConfig{}
	}
	routes := x.table.find(h)
	if routes == nil {
		return portal.RouteLoginConfig{}
	}
	if i := strings.IndexAny(next, "?#"); i >= 0 {
		next = next[:i]
	}
	route := routes.find(next)
	if route == nil {
		return portal.RouteLoginConfig{}
	}
	return route.conf.Login
}

// Serves reports whether a route names the host, exactly or by a wildcard; routes for
// any host and those with a port do not count. host must be a name as
// httpfield.Host.Name has it; false for any other spelling. Whether it is the login
// host as well is the caller's question.
func (x *RouteIndex) Serves(host string) bool {
	h, err := httpfield.ParseHost(host, "")
	return err == nil && h.Name == host && x.table.named(host, "") != nil
}
