package proxy

import (
	"fmt"
	"strings"
	"time"

	"gatehouse/internal/httpfield"
	"gatehouse/internal/problem"
	"gatehouse/internal/value"
)

// addresses returns the parsed addresses of upstream or upstreams, in order. It has
// an error only for a route that Check refuses.
func (c *RouteConfig) addresses() ([]upstreamAddr, error) {
	if c.Upstream != "" {
		a, err := parseUpstream(c.Upstream)
		if err != nil {
			return nil, fmt.Errorf("upstream: %w", err)
		}
		return []upstreamAddr{a}, nil
	}
	list := make([]upstreamAddr, len(c.Upstreams))
	for i, s := range c.Upstreams {
		var err error
		if list[i], err = parseUpstream(s); err != nil {
			return nil, fmt.Errorf("upstreams[%d]: %w", i, err)
		}
	}
	return list, nil
}

// EachUpstream calls f for every upstream with a valid address: with its key in the
// route (upstream, upstreams[0]), and the network and address for net.Dial. Invalid
// addresses are skipped; Check reports them.
func (c *RouteConfig) EachUpstream(f func(key, network, address string)) {
	if c.Upstream != "" {
		if a, err := parseUpstream(c.Upstream); err == nil {
			f("upstream", a.network, a.dial)
		}
	}
	for i, s := range c.Upstreams {
		if a, err := parseUpstream(s); err == nil {
			f(fmt.Sprintf("upstreams[%d]", i), a.network, a.dial)
		}
	}
}

// checkUpstreams checks upstream and upstreams, and the keys that depend on them:
// sticky, health, upstream_tls and upstream_http.
func (c *RouteConfig) checkUpstreams(report *problem.List) {
	var list []upstreamAddr
	var ok bool
	switch {
	case c.Upstream != "" && c.Upstreams != nil:
		report.Errorf("upstreams", "upstream is given as well; write all of them here, and remove the other")
	case c.Upstreams != nil:
		list, ok = c.checkSeveral(report)
	default:
		a, err := parseUpstream(c.Upstream)
		if err != nil {
			report.Errorf("upstream", "%v", err)
		}
		list, ok = []upstreamAddr{a}, err == nil
	}
	c.checkSticky(report, ok && len(list) == 1)
	c.Health.check(report.In("health"), ok && len(list) == 1)
	c.UpstreamTLS.check(report.In("upstream_tls"))
	if ok && !list[0].tls && !c.UpstreamTLS.isDefault() {
		report.Errorf("upstream_tls", "is for https upstreams only; write https://, or remove the section")
	}
	checkWord(report, "upstream_http", c.UpstreamHTTP, strictHTTP, lenientHTTP)
	if ok && list[0].h2c && c.UpstreamHTTP == lenientHTTP {
		report.Warnf("upstream_http", "changes nothing with h2c, which is HTTP/2; remove it")
	}
}

// maxUpstreams is the maximum number of upstreams of a route.
const maxUpstreams = 64

// checkSeveral checks upstreams and returns their addresses. ok is false if it
// reported an error; list is incomplete then.
func (c *RouteConfig) checkSeveral(report *problem.List) (list []upstreamAddr, ok bool) {
	if len(c.Upstreams) == 0 {
		report.Errorf("upstreams", "is empty; write where the application listens, such as [http://10.0.0.1:3000, http://10.0.0.2:3000]")
		return nil, false
	}
	if len(c.Upstreams) > maxUpstreams {
		report.Errorf("upstreams", "%d are too many; write %d at most", len(c.Upstreams), maxUpstreams)
		return nil, false
	}
	ok = true
	first := map[string]int{}
	for i, s := range c.Upstreams {
		key := fmt.Sprintf("upstreams[%d]", i)
		a, err := parseUpstream(s)
		j, twice := first[a.id()]
		switch {
		case err != nil:
			report.Errorf(key, "%v", err)
		case twice:
			report.Errorf(key, "%q is upstreams[%d] already; remove one", s, j)
		case len(list) > 0 && (a.tls != list[0].tls || a.h2c != list[0].h2c):
			report.Errorf(key, "%q speaks another protocol than the first one; write them alike, since what one of them is sent any other may get", s)
		default:
			first[a.id()] = i
			list = append(list, a)
			continue
		}
		ok = false
	}
	if ok && len(list) > 1 && c.HostHeader == upstreamHost {
		report.Errorf("host_header", "upstream is not one name with several upstreams; write keep, or the name that all of them expect")
	}
	return list, ok
}

// checkSticky checks sticky. alone is whether the route has exactly one upstream.
func (c *RouteConfig) checkSticky(report *problem.List, alone bool) {
	switch {
	case c.Sticky == "":
	case !httpfield.IsToken(c.Sticky):
		report.Errorf("sticky", "%q is not the name of a cookie; write one such as app_upstream", c.Sticky)
	case strings.HasPrefix(c.Sticky, "__"):
		report.Errorf("sticky", "%q has a meaning of its own in browsers; write a name without __ in front", c.Sticky)
	case alone:
		report.Warnf("sticky", "changes nothing with one upstream; write upstreams, or remove it")
	}
}

// check reports what is wrong with the section, under its keys. alone is whether
// the route has exactly one upstream. Without a path the section is unused, and not
// checked.
func (h *HealthConfig) check(report *problem.List, alone bool) {
	const least, most = value.Duration(time.Second), value.Duration(time.Hour)
	switch {
	case h.Path == "":
		return
	case h.Path[0] != '/':
		report.Errorf("path", "%q does not begin with a slash; write %q", h.Path, "/"+h.Path)
	case strings.ContainsFunc(h.Path, func(r rune) bool { return r <= ' ' || r == '#' || r >= 0x7f }):
		report.Errorf("path", "%q cannot be asked for as it stands; write spaces and the like as escapes, such as %%20", h.Path)
	}
	if h.Interval < least || h.Interval > most {
		report.Errorf("interval", "%v is not from %v to %v; write 10s, or leave it out", h.Interval, least, most)
	}
	if h.Timeout <= 0 || h.Timeout > most {
		report.Errorf("timeout", "%v is not a time in which an answer can come; write 2s, or leave it out", h.Timeout)
	}
	if alone {
		report.Warnf("", "changes nothing but the log with one upstream, which is asked even when it is not well; write upstreams, or remove it")
	}
}
