package access

import (
	"strings"

	"gatehouse/internal/problem"
	"gatehouse/internal/urlpath"
)

// A pathCondition is the path or exact of a rule. The zero value holds for
// every path.
type pathCondition struct {
	path     string // "": every path; without a slash at the end, except for an exact /
	segments int    // of path
	exact    bool
}

// newPathCondition returns the condition of path or exact; both "" for every
// path. The path / means every path as well.
func newPathCondition(path, exact string) pathCondition {
	if exact != "" {
		return pathCondition{path: exact, segments: strings.Count(exact, "/"), exact: true}
	}
	path = strings.TrimSuffix(path, "/")
	return pathCondition{path: path, segments: strings.Count(path, "/")}
}

// names reports whether the rule names a path at all.
func (c *pathCondition) names() bool { return c.path != "" }

// match returns how well a path fits. extensions says that /admin.json fits
// /admin nearly, which only rules that restrict may claim.
func (c *pathCondition) match(path string, extensions bool) match {
	if c.path == "" {
		return met
	}
	if !c.exact {
		path = firstSegments(path, c.segments)
	}
	switch {
	case path == c.path:
		return met
	case alike(strings.TrimSuffix(path, "/"), strings.TrimSuffix(c.path, "/"), extensions):
		return nearly
	default:
		return missed
	}
}

// alike reports whether an application could treat path as the path of a rule:
// because it ignores letter case or, with extensions, because it serves
// /admin.json as /admin in another format (Rails), or answers /admin.php from
// the file behind /admin (Apache's MultiViews).
func alike(path, rule string, extensions bool) bool {
	for {
		segment, restOfPath, more := strings.Cut(path, "/")
		want, restOfRule, wanted := strings.Cut(rule, "/")
		tail, ok := urlpath.CutPrefixFold(segment, want)
		if !ok || more != wanted || tail != "" && (!extensions || want == "" || tail[0] != '.') {
			return false
		}
		if !more {
			return true
		}
		path, rule = restOfPath, restOfRule
	}
}

// firstSegments returns the first n segments of an absolute path, or all of it
// if it has no more than n: /a/b of /a/b/c for 2.
func firstSegments(path string, n int) string {
	for i := range len(path) {
		if path[i] != '/' {
			continue
		}
		if n == 0 {
			return path[:i]
		}
		n--
	}
	return path
}

func (c *RuleConfig) checkPaths(report *problem.List) {
	checkPath("path", c.Path, report)
	checkPath("exact", c.Exact, report)
	if c.Path != "" && c.Exact != "" {
		report.Errorf("exact", "a rule has path or exact, not both; make two rules of it")
	}
}

func checkPath(key, path string, report *problem.List) {
	switch {
	case path == "":
	case path[0] != '/':
		report.Errorf(key, "%q does not begin with a slash; write %q", path, "/"+path)
	case strings.ContainsAny(path, "?#"):
		report.Errorf(key, "%q has a query or fragment, which rules never look at; write the path alone", path)
	case strings.ContainsAny(path, `%\;*`):
		report.Errorf(key, `%q holds one of %% \ ; *; write the path as a person reads it, without escapes and patterns: it matches by whole segments`, path)
	case strings.Contains(path, "//"), urlpath.HasDotSegments(path):
		report.Errorf(key, "%q has an empty segment, or one that is . or ..; write the path without them", path)
	case strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }):
		report.Errorf(key, "%q holds a control character; write the path without it", path)
	}
}
