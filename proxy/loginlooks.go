package proxy

import (
	"net/http"
	"strings"

	"gatehouse/auth"
	"gatehouse/internal/httpfield"
	"gatehouse/internal/web"
)

// LoginFor gives the section login of the route that a visitor of r's host
// would go to with next, a path and a query. Only routes of that host are
// looked at, so that nobody learns here of another. The zero value: there is
// no route, or it says nothing.
func (p *Proxy) LoginFor(r *http.Request, next string) auth.RouteLoginConfig {
	info := web.From(r.Context())
	h, err := httpfield.ParseHost(info.Host, info.Scheme)
	if err != nil {
		return auth.RouteLoginConfig{}
	}
	hr := p.table.find(h)
	if hr == nil {
		return auth.RouteLoginConfig{}
	}
	if i := strings.IndexAny(next, "?#"); i >= 0 {
		next = next[:i]
	}
	route := hr.find(next)
	if route == nil {
		return auth.RouteLoginConfig{}
	}
	return route.conf.Login
}
