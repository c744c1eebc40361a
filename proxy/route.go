package proxy

import (
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"gatehouse/access"
	"gatehouse/internal/httpfield"
	"gatehouse/internal/problem"
	"gatehouse/internal/urlpath"
	"gatehouse/proxy/engine"
)

// A route is a RouteConfig prepared for requests. It is immutable, except for the
// counts of limiter and upstream.
type route struct {
	conf      *RouteConfig
	label     string
	at        int    // its index in the configuration
	namespace string // of the values that the application keeps in sessions
	prefix    string // of the path, without a slash at the end
	rules     *access.Rules
	upstream  engine.Upstream
	host      string // the Host header; "": the visitor's
	addresses []upstreamAddr
	identity  []identityHeader
	origins   []string // for WebSockets, besides the route's own

	requestFilters []requestFilter
	answerFilters  []answerFilter

	requestHeaders, responseHeaders headerRules
	passes                          passList
	limiter                         limiter
}

// newRoute checks c, whose hosts it converts to ASCII, and reads its files. general
// is the identity section for a route without one. Every error names the route.
func newRoute(c *RouteConfig, general IdentityConfig, log *slog.Logger) (*route, error) {
	var found problem.List
	c.Check(&found)
	if c.Identity != nil {
		general = *c.Identity
	}
	general.Check(found.In("identity"))
	if err := found.Err(); err != nil {
		return nil, fmt.Errorf("route %q: %w", c.label(), err)
	}
	// From here on hosts are compared and sent as browsers spell them.
	c.toASCII()
	rules, err := access.New(c.Access)
	if err != nil {
		return nil, fmt.Errorf("route %q: %w", c.label(), err)
	}
	list, err := c.addresses()
	if err != nil {
		return nil, fmt.Errorf("route %q: %w", c.label(), err)
	}
	if err := c.UpstreamTLS.trustIn(list); err != nil {
		return nil, fmt.Errorf("route %q: %w", c.label(), err)
	}
	r := &route{
		conf: c, label: c.label(), prefix: c.prefix(), rules: rules,
		upstream: c.connectAll(list, log), addresses: list, identity: identityHeaders(general),
		requestHeaders: newHeaderRules(c.RequestHeaders), responseHeaders: newHeaderRules(c.ResponseHeaders),
	}
	r.namespace = c.namespace(r.prefix)
	r.passes = newPassList(c.PassHeaders, r.identity)
	r.limiter.max = int64(c.MaxRequests)
	for _, o := range c.Origins {
		r.origins = append(r.origins, strings.ToLower(o))
	}
	switch c.HostHeader {
	case "", keepHost:
	case upstreamHost:
		r.host = list[0].host // the only one
	default:
		r.host = c.HostHeader
	}
	r.requestFilters, r.answerFilters = newRequestFilters(r), newAnswerFilters(r)
	return r, nil
}

// hasUpgrade reports whether a connection may switch to the protocol, compared
// without letter case. HTTP/2 upstreams have no Upgrade.
func (r *route) hasUpgrade(protocol string) bool {
	return !r.addresses[0].h2c && slices.ContainsFunc(r.conf.Upgrade, func(p string) bool { return strings.EqualFold(p, protocol) })
}

// sentHost returns the Host header to send for a request to the visitor's host.
func (r *route) sentHost(visitor httpfield.Host) string {
	if r.host != "" {
		return r.host
	}
	return visitor.Text
}

// prefix returns the path of the route without a trailing slash, as the route table
// stores it; "" for the root.
func (c *RouteConfig) prefix() string { return strings.TrimSuffix(c.path(), "/") }

// strip removes the route's prefix from path. ok is false if path does not begin
// with it literally, although every interpretation lies below it.
func (r *route) strip(path string) (rest string, ok bool) { return urlpath.CutPrefix(path, r.prefix) }
