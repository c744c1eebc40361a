package proxy

import (
	"errors"
	"net/http"

	"gatehouse/internal/httpfield"
	"gatehouse/internal/web"
)

// An incoming is a request as it arrived, and what was parsed of it before the
// decision.
type incoming struct {
	in     *http.Request
	info   *web.Info
	host   httpfield.Host // parsed from info.Host
	target target         // parsed from the request line
}

// read parses the target and the host and returns the routes of that host, nil for
// the login host. It refuses what never passes, whatever the rules say: certain
// methods (405), a malformed target or host (400), and a host without a route (421).
func (r *incoming) read(t *routeTable) (*hostRoutes, error) {
	if err := checkMethod(r.in.Method); err != nil {
		return nil, err
	}
	var err error
	if r.target, err = readTarget(r.in); err != nil {
		return nil, err
	}
	if r.info.Host == "" && !r.in.ProtoAtLeast(1, 1) {
		r.info.Host = t.hostOfHTTP10(r.in)
	}
	if r.host, err = httpfield.ParseHost(r.info.Host, r.info.Scheme); err != nil {
		return nil, web.Refuse(http.StatusBadRequest, "")
	}
	r.info.Host = r.host.Text
	if t.isLogin(r.host) {
		return nil, r.checkAuthority(t)
	}
	routes := t.find(r.host)
	if routes == nil {
		return nil, misdirected(errors.New("no route has this host"))
	}
	return routes, r.checkAuthority(t)
}

// checkAuthority refuses (421) an absolute-form target unless its host equals the
// Host, and a route names that host or it is the login host. Such requests are meant
// for forward proxies, and the gate must not look like one where a route takes any
// host. (net/http has replaced the Host header by the authority.)
func (r *incoming) checkAuthority(t *routeTable) error {
	if r.target.authority == "" {
		return nil
	}
	h, err := httpfield.ParseHost(r.target.authority, r.info.Scheme)
	if err != nil {
		return web.Refuse(http.StatusBadRequest, "")
	}
	if h.Name != r.host.Name || h.Port != r.host.Port || !t.known(h) {
		return misdirected(errors.New("the target names a host as requests to a proxy do, which is not the Host or not one of the routes"))
	}
	return nil
}

// misdirected returns a 421 with the reason for the log.
func misdirected(why error) error { return web.Refuse(http.StatusMisdirectedRequest, "").Because(why) }

// checkMethod refuses (405) CONNECT, which would open a tunnel, TRACE and TRACK,
// which echo the request, and any method that is not in upper case, which
// applications might take for another one.
func checkMethod(m string) error {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return nil
	case http.MethodConnect, http.MethodTrace, "TRACK", "":
		return notAllowed()
	}
	if !httpfield.IsMethod(m) {
		return notAllowed()
	}
	return nil
}

// notAllowed returns a 405 with the Allow header that it requires (RFC 9110,
// 15.5.6).
func notAllowed() error {
	e := web.Refuse(http.StatusMethodNotAllowed, "")
	e.Header = http.Header{"Allow": {"GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"}}
	return e
}
