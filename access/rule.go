package access

import (
	"net/netip"
	"slices"
	"strings"

	"gatehouse/internal/urlpath"
)

// A rule is a RuleConfig that was checked.
type rule struct {
	path     string // "" selects every path; without a slash at the end, but for the root
	segments int    // of path
	exact    bool
	methods  []string // nil: all
	networks []netip.Prefix

	public, deny bool
	optional     bool
	named        bool // only who is in users or groups
	users        []string
	groups       []string
}

type match int

const (
	missed match = iota
	nearly       // but for letter case, a slash at the end of an exact path, or extensions such as .json
	met
)

func (r *rule) match(f Facts) match {
	if r.methods != nil && !r.hasMethod(f.Method) || r.networks != nil && !r.hasClient(f.Client) {
		return missed
	}
	if r.path == "" {
		return met
	}
	path := f.Path
	if !r.exact {
		path = firstSegments(path, r.segments)
	}
	switch {
	case path == r.path:
		return met
	case like(strings.TrimSuffix(path, "/"), strings.TrimSuffix(r.path, "/"), !r.public && !r.optional):
		return nearly
	default:
		return missed
	}
}

// asks returns what the rule wants to know of who asks.
func (r *rule) asks() string {
	switch {
	case r.deny:
		return "nobody may pass"
	case r.public:
		return "nothing: anybody may pass"
	case r.optional:
		return "nothing: anybody may pass, and the application is told who is signed in"
	case !r.named:
		return "whoever is signed in"
	}
	var wants []string
	if len(r.users) > 0 {
		wants = append(wants, "to be "+strings.Join(r.users, " or "))
	}
	if len(r.groups) > 0 {
		wants = append(wants, "to be in "+strings.Join(r.groups, " or "))
	}
	return strings.Join(wants, ", or ")
}

// like reports whether an application could take path for the path of a rule:
// it does not care for letter case or, where extensions says so, it takes
// /admin.json for /admin with a format (Rails), or /admin.php for the file
// that answers /admin (Apache's MultiViews).
func like(path, rule string, extensions bool) bool {
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

// firstSegments gives the first n segments of an absolute path, and the whole
// path where it has no more: /a/b of /a/b/c for 2.
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

func (r *rule) hasMethod(m string) bool {
	return slices.Contains(r.methods, m) || m == "HEAD" && slices.Contains(r.methods, "GET")
}

func (r *rule) hasClient(a netip.Addr) bool {
	if !a.IsValid() {
		return false
	}
	a = a.Unmap().WithZone("")
	return slices.ContainsFunc(r.networks, func(p netip.Prefix) bool { return p.Contains(a) })
}

func (r *rule) says(who *Who) Decision {
	switch {
	case r.deny:
		return Deny
	case r.public:
		return Public
	case r.optional:
		return Optional
	case !r.named || who == nil:
		return signedIn(who)
	case slices.Contains(r.users, who.Name) || slices.ContainsFunc(who.Groups, func(g string) bool { return slices.Contains(r.groups, g) }):
		return Allow
	default:
		return Deny
	}
}
