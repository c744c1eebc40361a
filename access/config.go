package access

import (
	"fmt"
	"net/netip"
	"strings"

	"gatehouse/internal/problem"
)

// RuleConfig is one of access in a route of the configuration. Path or Exact,
// Methods and Networks select; Public, Optional, Deny, Users and Groups decide. The zero
// value selects every request and lets through whoever is signed in.
type RuleConfig struct {
	Path     string   `yaml:"path"`     // by whole segments: /a matches /a and /a/b, not /ab; a slash at the end changes nothing
	Exact    string   `yaml:"exact"`    // this path only: /healthz matches neither /healthz/ nor what is below
	Methods  []string `yaml:"methods"`  // in capitals; GET selects HEAD as well
	Networks []string `yaml:"networks"` // 10.0.0.0/8, 2001:db8::/32, or single addresses
	Public   bool     `yaml:"public"`   // anybody; who is signed in is not looked up
	Optional bool     `yaml:"optional"` // anybody; the application is told who is signed in
	Deny     bool     `yaml:"deny"`     // nobody
	Users    []string `yaml:"users"`    // these, and
	Groups   []string `yaml:"groups"`   // who is in one of these
}

// Check reports every problem of the rule. The keys are those of the rule
// (path, methods[0]). A rule alone has no dangers to warn of: see
// RouteConfig.Check.
func (c *RuleConfig) Check(report *problem.List) {
	c.checkPath("path", c.Path, report)
	c.checkPath("exact", c.Exact, report)
	if c.Path != "" && c.Exact != "" {
		report.Errorf("exact", "a rule has path or exact, not both; make two rules of it")
	}
	c.checkLists(report)
	c.checkVerdict(report)
}

// build makes a rule of a configuration without problems.
func (c *RuleConfig) build() (rule, error) {
	var found problem.List
	c.Check(&found)
	if err := found.Err(); err != nil {
		return rule{}, err
	}
	r := rule{
		path: c.Exact, exact: c.Exact != "", methods: c.Methods,
		public: c.Public, optional: c.Optional, deny: c.Deny, named: c.Users != nil || c.Groups != nil, users: c.Users, groups: c.Groups,
	}
	if !r.exact {
		r.path = strings.TrimSuffix(c.Path, "/") // "/" becomes "": every path
	}
	r.segments = strings.Count(r.path, "/")
	for _, s := range c.Networks {
		p, err := parseNetwork(s)
		if err != nil {
			return rule{}, err
		}
		r.networks = append(r.networks, p)
	}
	return r, nil
}

func (c *RuleConfig) checkPath(key, path string, report *problem.List) {
	switch {
	case path == "":
	case path[0] != '/':
		report.Errorf(key, "%q does not begin with a slash; write %q", path, "/"+path)
	case strings.ContainsAny(path, "?#"):
		report.Errorf(key, "%q has a query or fragment, which rules never look at; write the path alone", path)
	case strings.ContainsAny(path, `%\;*`):
		report.Errorf(key, `%q holds one of %% \ ; *; write the path as a person reads it, without escapes and patterns: it matches by whole segments`, path)
	case strings.Contains(path, "//"), hasDotSegment(path):
		report.Errorf(key, "%q has an empty segment, or one that is . or ..; write the path without them", path)
	case strings.ContainsFunc(path, func(r rune) bool { return r < ' ' || r == 0x7f }):
		report.Errorf(key, "%q holds a control character; write the path without it", path)
	}
}

type namedList struct {
	key  string
	list []string
}

func hasDotSegment(path string) bool {
	for s := range strings.SplitSeq(path, "/") {
		if s == "." || s == ".." {
			return true
		}
	}
	return false
}

func (c *RuleConfig) checkLists(report *problem.List) {
	for _, l := range []namedList{{"methods", c.Methods}, {"networks", c.Networks}, {"users", c.Users}, {"groups", c.Groups}} {
		if l.list != nil && len(l.list) == 0 {
			report.Errorf(l.key, "the list is empty; name something, or leave the key out")
		}
	}
	for i, m := range c.Methods {
		key := fmt.Sprintf("methods[%d]", i)
		switch up := strings.ToUpper(m); {
		case up == "CONNECT", up == "TRACE", up == "TRACK":
			report.Errorf(key, "%q never passes, whatever the rules say; leave it out", m)
		case !isMethod(up):
			report.Errorf(key, "%q is not a method; write one such as GET, POST or DELETE", m)
		case up != m:
			report.Errorf(key, "%q is not in capitals; write %q", m, up)
		}
	}
	for i, s := range c.Networks {
		if _, err := parseNetwork(s); err != nil {
			report.Errorf(fmt.Sprintf("networks[%d]", i), "%v", err)
		}
	}
	for _, l := range []namedList{{"users", c.Users}, {"groups", c.Groups}} {
		for i, name := range l.list {
			if name == "" || strings.TrimSpace(name) != name {
				report.Errorf(fmt.Sprintf("%s[%d]", l.key, i), "%q is empty or has spaces around it; write the name alone", name)
			}
		}
	}
}

func (c *RuleConfig) checkVerdict(report *problem.List) {
	named := c.Users != nil || c.Groups != nil
	switch {
	case c.Public && c.Deny:
		report.Errorf("deny", "a rule is public or denies, not both; remove one")
	case c.Public && c.Optional:
		report.Errorf("optional", "a public rule looks nobody up, so nobody is told to the application; remove public, or optional")
	case c.Optional && c.Deny:
		report.Errorf("deny", "a rule lets anybody through or denies, not both; remove one")
	case c.Public && named:
		report.Errorf("public", "a public rule lets anybody through, so users and groups say nothing; remove public, or them")
	case c.Optional && named:
		report.Errorf("optional", "an optional rule lets anybody through, so users and groups say nothing; remove optional, or them")
	case c.Deny && named:
		report.Errorf("deny", "a rule that denies is for everyone, so users and groups say nothing; remove deny, or them")
	}
}

func isMethod(s string) bool {
	for i := range len(s) {
		capital := 'A' <= s[i] && s[i] <= 'Z'
		if !capital && (i == 0 || strings.IndexByte("-_0123456789", s[i]) < 0) {
			return false
		}
	}
	return s != ""
}

// parseNetwork reads a prefix or a single address. An IPv4 network that is
// mapped into IPv6 is the IPv4 network: that is how it is meant, and clients
// are compared unmapped.
func parseNetwork(s string) (netip.Prefix, error) {
	p, err := netip.ParsePrefix(s)
	if err != nil {
		a, aerr := netip.ParseAddr(s)
		if aerr != nil || a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q is neither a network nor an address; write 10.0.0.0/8, 2001:db8::/32 or 192.0.2.7", s)
		}
		p = netip.PrefixFrom(a, a.BitLen())
	}
	if p.Addr().Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, fmt.Errorf("%q holds more than the mapped IPv4 addresses; write the IPv4 network, as 10.0.0.0/8", s)
		}
		p = netip.PrefixFrom(p.Addr().Unmap(), p.Bits()-96)
	}
	if p.Masked() != p {
		return netip.Prefix{}, fmt.Errorf("%q has bits beyond its prefix; write %q", s, p.Masked().String())
	}
	return p, nil
}
