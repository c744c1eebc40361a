package proxy

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"gatehouse/internal/httpfield"
	"gatehouse/internal/problem"
	"gatehouse/internal/urlpath"
	"gatehouse/internal/value"
)

// Check reports everything that is wrong with the route and warns of what is valid
// but dangerous. It does not read files (UpstreamTLSConfig.CheckFiles does) and
// knows no other route (CheckIdentity does). Problems are reported under the keys
// of the route, such as upstream or origins[0]. The rules of access and the
// sections identity and login are not checked here; they have a Check of their own.
func (c *RouteConfig) Check(report *problem.List) {
	c.checkHost(report)
	c.checkPath(report)
	c.checkUpstreams(report)
	c.checkHostHeader(report)
	c.checkUpgrade(report)
	c.checkOrigins(report)
	checkWord(report, "header_names", c.HeaderNames, strictNames, anyNames)
	checkWord(report, "clear_site_data", c.ClearSite, dropClear, passClear)
	checkWord(report, "authenticated_cache", c.AuthenticatedCache, privateCache, noStoreCache, keepCache)
	if c.AuthenticatedCache == keepCache {
		report.Warnf("authenticated_cache", "lets caches in front show one visitor's pages to others, where the application calls them public; private is the safer choice")
	}
	c.checkWorkers(report)
	c.checkRules(report)
	c.checkPassHeaders(report)
	c.checkHeaders(report)
	c.Cookies.check(report.In("cookies"))
	c.checkBounds(report)
	if c.HeaderNames == anyNames {
		report.Warnf("header_names", "lets names such as x_user pass, which applications may take for x-user; strict is the safer choice")
	}
}

// checkWord reports a value that is not one of words. "" stands for the default and
// is valid.
func checkWord(report *problem.List, key, value string, words ...string) {
	if value != "" && !slices.Contains(words, value) {
		report.Errorf(key, "%q is not known; write %s", value, strings.Join(words, " or "))
	}
}

// checkHost checks host: empty, a name or address with an optional port, or a
// wildcard below at least two labels.
func (c *RouteConfig) checkHost(report *problem.List) {
	host, err := httpfield.ASCIIHost(strings.ToLower(c.Host))
	if err != nil {
		host = strings.ToLower(c.Host) // ParseHost reports it below
	}
	rest, wildcard := strings.CutPrefix(host, "*.")
	switch {
	case host == "":
		return
	case host == "*":
		report.Errorf("host", `"*" is not a host; leave host out for a route that takes every host`)
		return
	case strings.Contains(host, "://"):
		report.Errorf("host", "%q is an address; write the host alone, such as wiki.example.com", c.Host)
		return
	case strings.Contains(rest, "*"):
		report.Errorf("host", "%q has a * that is not its first label; write *.example.com, or leave host out", c.Host)
		return
	}
	switch h, err := httpfield.ParseHost(rest, ""); {
	case err != nil:
		report.Errorf("host", "%q is not a host name or address; write wiki.example.com or *.example.com", c.Host)
	case wildcard && (h.Name[0] == '[' || !strings.Contains(h.Name, ".") && h.Name != "localhost"):
		report.Errorf("host", "%q takes in too much; write *.example.com, or leave host out", c.Host)
	}
}

// checkPath checks path. It must have a single interpretation, and must not shadow
// the gate's own pages.
func (c *RouteConfig) checkPath(report *problem.List) {
	switch path := c.path(); {
	case path[0] != '/':
		report.Errorf("path", "%q does not begin with a slash; write %q", path, "/"+path)
	case !urlpath.Plain(path):
		report.Errorf("path", "%q can be read in more than one way; use letters, digits and - _ ~ . without empty or dot segments", path)
	case ownLike(path):
		report.Errorf("path", "%q belongs to our own pages; choose another", path)
	}
}

// checkHostHeader checks host_header: keep, upstream or a host.
func (c *RouteConfig) checkHostHeader(report *problem.List) {
	switch c.HostHeader {
	case "", keepHost, upstreamHost:
	default:
		host, err := httpfield.ASCIIHost(c.HostHeader)
		if err == nil {
			_, err = httpfield.ParseHost(host, "")
		}
		if err != nil {
			report.Errorf("host_header", "%q is not a host; write keep, upstream, or a name such as wiki.internal", c.HostHeader)
		}
	}
}

// checkUpgrade checks upgrade. Protocols that carry HTTP requests are errors:
// requests over an upgraded connection are not checked (h2c smuggling).
func (c *RouteConfig) checkUpgrade(report *problem.List) {
	for i, p := range c.Upgrade {
		key := fmt.Sprintf("upgrade[%d]", i)
		switch low := strings.ToLower(p); {
		case !httpfield.IsProtocol(p):
			report.Errorf(key, "%q is not the name of a protocol; write websocket", p)
		case low == "h2c", strings.HasPrefix(low, "h2c/"), low == "h2", strings.HasPrefix(low, "http/"), strings.HasPrefix(low, "tls"):
			report.Errorf(key, "%q would let requests pass unseen behind the first one; leave it out", p)
		}
	}
}

// checkOrigins checks origins. Each must be spelled exactly as browsers send it in
// Origin, because it is compared as text.
func (c *RouteConfig) checkOrigins(report *problem.List) {
	for i, o := range c.Origins {
		key := fmt.Sprintf("origins[%d]", i)
		ascii, err := httpfield.ASCIIOrigin(strings.ToLower(o))
		if err != nil {
			report.Errorf(key, "%q is not an origin; write https://app.example.com", o)
			continue
		}
		scheme, host, ok := strings.Cut(ascii, "://")
		h, err := httpfield.ParseHost(host, scheme)
		switch {
		case o == "*":
			report.Errorf(key, `"*" would let every site open connections in your visitors' names; write the origins, such as https://app.example.com`)
		case !ok:
			report.Errorf(key, "%q has no scheme; write %q", o, "https://"+o)
		case scheme != "http" && scheme != "https":
			report.Errorf(key, "%q is not an origin of web pages; write https://app.example.com", o)
		case strings.ContainsAny(host, "/?#@"):
			u, uerr := url.Parse(o)
			if uerr != nil || u.Host == "" {
				report.Errorf(key, "%q is not an origin; write https://app.example.com", o)
				return
			}
			report.Errorf(key, "%q is more than an origin; write %q", o, scheme+"://"+u.Host)
		case err != nil:
			report.Errorf(key, "%q is not an origin; write https://app.example.com", o)
		case h.Origin(scheme) != ascii:
			report.Errorf(key, "%q is not how browsers write it; write %q", o, h.Origin(scheme))
		}
	}
}

// checkBounds checks max_requests and buffer_body, and warns if together they leave
// the use of memory unlimited.
func (c *RouteConfig) checkBounds(report *problem.List) {
	const most, much = value.Size(1 << 30), value.Size(16 << 20)
	if c.MaxRequests < 0 {
		report.Errorf("max_requests", "%d is negative; write how many requests may be under way at a time, or 0 for no limit", c.MaxRequests)
	}
	switch {
	case c.BufferBody > most:
		report.Errorf("buffer_body", "%v is more than should lie in memory; write %v at most", c.BufferBody, most)
	case c.BufferBody > much && c.MaxRequests == 0:
		report.Warnf("buffer_body", "as many bodies of %v lie in memory at a time as visitors send; write max_requests as well", c.BufferBody)
	}
}
