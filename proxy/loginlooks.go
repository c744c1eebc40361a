package proxy

import (
	"fmt"
	"net/http"
	"strings"

	"gatehouse/auth/portal"
	"gatehouse/internal/httpfield"
	"gatehouse/internal/web"
)

// LoginLooks finds the login section of a route, which makes the sign-in page look
// different for each application. It depends only on the configuration, so it can
// be made before the Pages and the Proxy. It is immutable, and safe for concurrent
// use.
type LoginLooks struct{ table routeTable }

// NewLoginLooks returns the LoginLooks of routes that have been checked. Two routes
// with the same host and path are an error.
func NewLoginLooks(routes []RouteConfig) (*LoginLooks, error) {
	l := new(LoginLooks)
	for i := range routes {
		c := routes[i]
		c.toASCII()
		if err := l.table.add(&route{conf: &c, label: c.label(), prefix: c.prefix()}); err != nil {
			return nil, fmt.Errorf("routes[%d]: %w", i, err)
		}
	}
	return l, nil
}

// For returns the login section of the route that takes next, a path that may have
// a query, on the host of r. It looks only at routes of that host, so that a page
// reveals nothing about another host. It returns the zero value if no route takes
// next, or if the route has no such section.
func (l *LoginLooks) For(r *http.Request, next string) portal.RouteLoginConfig {
	info := web.From(r.Context())
	h, err := httpfield.ParseHost(info.Host, info.Scheme)
	if err != nil {
		return portal.RouteLoginConfig{}
	}
	routes := l.table.find(h)
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
