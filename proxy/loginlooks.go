package proxy

import (
	"fmt"
	"net/http"
	"strings"

	"gatehouse/auth/portal"
	"gatehouse/internal/httpfield"
	"gatehouse/internal/web"
)

// LoginLooks finds the section login of a route, by which the sign-in page
// looks different for different applications. It needs the configuration
// alone, so that it exists before the pages and the Proxy do. Safe for
// concurrent use.
type LoginLooks struct{ table routeTable }

// NewLoginLooks returns the sections login of routes that were checked.
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

// For returns the section login of the route that takes next, a path with or
// without a query, on the host that r is for. Only routes of that host are
// looked at, so that nobody learns about another one here. It returns the zero
// value if no route takes next, or if the route has no such section.
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
