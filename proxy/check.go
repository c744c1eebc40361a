package proxy

import (
	"fmt"
	"maps"
	"net/url"
	pathpkg "path"
	"slices"
	"strings"

	"gatehouse/access"
	"gatehouse/internal/httpfield"
	"gatehouse/internal/problem"
	"gatehouse/internal/suggest"
	"gatehouse/internal/urlpath"
	"gatehouse/internal/value"
)

// Check reports every problem of the route, and warns of dangers that somebody
// asked for. The keys are those of the route (upstream, origins[0]). The
// sections inside it, rules and identity, are checked by themselves.
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
	c.checkCookies(report)
	c.checkBounds(report)
	if c.HeaderNames == anyNames {
		report.Warnf("header_names", "lets names such as x_user pass, which applications may take for x-user; strict is the safer choice")
	}
}

func checkWord(report *problem.List, key, value string, words ...string) {
	if value != "" && !slices.Contains(words, value) {
		report.Errorf(key, "%q is not known; write %s", value, strings.Join(words, " or "))
	}
}

func (c *RouteConfig) checkHost(report *problem.List) {
	host, err := httpfield.ASCIIHost(strings.ToLower(c.Host))
	if err != nil {
		host = strings.ToLower(c.Host) // which is refused below
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

// checkRules looks at the rules together, and at their paths as requests for
// them would be read.
func (c *RouteConfig) checkRules(report *problem.List) {
	if c.Access != nil && len(c.Access) == 0 {
		report.Warnf("access", "the list is empty, so that every request is denied; remove the key to let through whoever is signed in")
	}
	for i := range c.Access {
		rule := &c.Access[i]
		for _, p := range []struct{ key, path string }{{"path", rule.Path}, {"exact", rule.Exact}} {
			if other := otherReading(p.path); other != "" {
				report.Errorf(fmt.Sprintf("access[%d].%s", i, p.key), "%q can also be read as %q, so that every request for it would be refused; name a part of the path that has no such characters", p.path, other)
			}
		}
		c.checkAliases(i, report)
		if j := coveredBy(c.Access[:i], rule); j >= 0 {
			report.Warnf(fmt.Sprintf("access[%d]", i), "is never reached, because access[%d] selects everything that it does; move it up, or remove it", j)
		}
	}
}

// checkAliases warns of what an application may do with a request that no rule
// can see.
func (c *RouteConfig) checkAliases(i int, report *problem.List) {
	rule := &c.Access[i]
	key := fmt.Sprintf("access[%d]", i)
	open := rule.Public || rule.Optional
	path := rule.Path + rule.Exact
	if name := path[strings.LastIndexByte(path, '/')+1:]; !open && urlpath.IsScript(pathpkg.Ext(name)) {
		report.Warnf(key, "web servers may answer %q for %q as well (MultiViews, try_files); make a rule for that too", strings.TrimSuffix(path, pathpkg.Ext(name)), path)
	}
	if open && path == "" && rule.Methods == nil && rule.Networks == nil && slices.ContainsFunc(c.Access[:i], closes) {
		report.Warnf(key, "opens whatever has no rule in front, so that another spelling that only the application knows gets past those; list what is open, and close the rest")
	}
}

// closes reports whether a rule keeps somebody from a path.
func closes(r access.RuleConfig) bool { return !r.Public && !r.Optional && r.Path+r.Exact != "" }

// otherReading gives a reading of a request for path that differs from path;
// "": there is none.
func otherReading(path string) string {
	if path == "" || path[0] != '/' || urlpath.Plain(path) {
		return ""
	}
	readings, ok := urlpath.Interpret((&url.URL{Path: path}).EscapedPath())
	if !ok {
		return "something else"
	}
	for _, r := range readings.List {
		if !r.DenyOnly && r.Path != path {
			return r.Path
		}
	}
	return ""
}

// coveredBy gives the place of an earlier rule that selects whatever rule
// does; -1: there is none.
func coveredBy(earlier []access.RuleConfig, rule *access.RuleConfig) int {
	return slices.IndexFunc(earlier, func(e access.RuleConfig) bool {
		prefix := strings.TrimSuffix(e.Path, "/")
		path := rule.Path + rule.Exact // one of them is empty
		paths := e.Exact == "" && (prefix == "" || strings.TrimSuffix(path, "/") == prefix || strings.HasPrefix(path, prefix+"/")) ||
			e.Exact != "" && e.Exact == rule.Exact
		return paths && within(rule.Methods, e.Methods) && within(rule.Networks, e.Networks)
	})
}

// within says whether a list of what is selected (nil: everything) lies in
// another.
func within(list, in []string) bool {
	if in == nil {
		return true
	}
	return list != nil && !slices.ContainsFunc(list, func(s string) bool { return !slices.Contains(in, s) })
}

// names gives the names of the headers; a nil section has none.
func (c *IdentityConfig) names() []string {
	if c == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(c.Headers))
}

// Check reports every problem of the section. The keys are headers.NAME.
func (c *IdentityConfig) Check(report *problem.List) {
	first := map[string]string{}
	for _, name := range c.names() {
		key := "headers." + name
		switch {
		case !httpfield.IsToken(name):
			report.Errorf(key, "%q is not a header's name; use letters, digits and -, as in X-Forwarded-User", name)
			continue
		case !mayCarry(name):
			report.Errorf(key, "%q has a meaning of its own in HTTP or here; choose another, such as X-Forwarded-User", name)
			continue
		}
		folded := httpfield.FoldName(name)
		if other, ok := first[folded]; ok {
			report.Errorf(key, "applications cannot tell %q from %q; remove one", name, other)
		}
		first[folded] = name
		if f := c.Headers[name]; !slices.Contains(identityClaims, claim(f)) {
			report.Errorf(key, "%q is not known%s; write one of username, email, display_name, groups, session_id, auth_time", f, didYouMean(f))
		}
	}
}

// mayCarry says whether a header can say who asks: no name that HTTP needs,
// that is rebuilt from the visitor's connection, or that readers look at for
// something else.
func mayCarry(name string) bool {
	name = httpfield.FoldName(name)
	if strings.HasPrefix(name, "Sec-") || strings.HasPrefix(name, "Access-Control-") {
		return false
	}
	for _, list := range [][]string{hopFields, rebuilt, overrides, claims, methodOverrides, sessionData, {
		"Authorization", "Accept", "Accept-Encoding", "Accept-Language", "Age", "Cache-Control", "Content-Encoding", "Content-Language",
		"Content-Location", "Content-Range", "Content-Type", "Date", "Expect", "If-Match", "If-Modified-Since", "If-None-Match", "If-Range",
		"If-Unmodified-Since", "Max-Forwards", "Origin", "Pragma", "Range", "Referer", "Server", "Set-Cookie", "User-Agent", "Vary", "Via",
		"Location", "Www-Authenticate", "Etag", "Expires", "Last-Modified", "Clear-Site-Data", "Service-Worker-Allowed",
	}} {
		if slices.Contains(list, name) {
			return false
		}
	}
	return true
}

// didYouMean names the fact that a misspelled one is close to.
func didYouMean(s string) string {
	s = strings.ToLower(strings.NewReplacer("-", "_", " ", "_").Replace(s))
	for name, f := range map[string]claim{
		"user": username, "name": username, "login": username, "user_name": username, "uid": username, "mail": email, "e_mail": email,
		"fullname": displayName, "full_name": displayName, "displayname": displayName, "preferred_username": displayName,
		"group": groups, "roles": groups, "session": sessionID, "sid": sessionID, "time": authTime, "login_time": authTime,
	} {
		if s == name {
			return fmt.Sprintf("; did you mean %s?", f)
		}
	}
	known := make([]string, len(identityClaims))
	for i, f := range identityClaims {
		known[i] = string(f)
	}
	if near := suggest.Nearest(s, known); near != "" {
		return fmt.Sprintf("; did you mean %s?", near)
	}
	return ""
}

// checkBounds looks at what bounds the use of the upstream and of memory.
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
