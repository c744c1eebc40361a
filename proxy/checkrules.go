package proxy

import (
	"fmt"
	"net/url"
	pathpkg "path"
	"slices"
	"strings"

	"gatehouse/access"
	"gatehouse/internal/problem"
	"gatehouse/internal/urlpath"
)

// checkRules checks what a rule cannot check by itself (access.RuleConfig.Check):
// whether its path has a single interpretation, and whether an earlier rule makes
// it unreachable.
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

// checkAliases warns if an application may serve the same page under another name
// that the rule does not match.
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

// closes reports whether r restricts access to one path.
func closes(r access.RuleConfig) bool { return !r.Public && !r.Optional && r.Path+r.Exact != "" }

// otherReading returns an interpretation of path that differs from path itself; ""
// if there is none.
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

// coveredBy returns the index of the first earlier rule that matches every request
// that rule matches; -1 if there is none. Such a rule is never reached: the first
// match decides.
func coveredBy(earlier []access.RuleConfig, rule *access.RuleConfig) int {
	return slices.IndexFunc(earlier, func(e access.RuleConfig) bool {
		prefix := strings.TrimSuffix(e.Path, "/")
		path := rule.Path + rule.Exact // one of them is empty
		paths := e.Exact == "" && (prefix == "" || strings.TrimSuffix(path, "/") == prefix || strings.HasPrefix(path, prefix+"/")) ||
			e.Exact != "" && e.Exact == rule.Exact
		return paths && within(rule.Methods, e.Methods) && within(rule.Networks, e.Networks)
	})
}

// within reports whether every value that list allows is allowed by in. nil allows
// all values.
func within(list, in []string) bool {
	if in == nil {
		return true
	}
	return list != nil && !slices.ContainsFunc(list, func(s string) bool { return !slices.Contains(in, s) })
}
