package access

import "gatehouse/internal/problem"

// RuleConfig is one entry of access in a route of the configuration.
//
// Path or Exact, Methods and Networks are conditions: a rule applies to
// requests for which all of them hold. Public, Optional, Deny, Users and
// Groups say who may pass then. The zero value applies to every request and
// lets through whoever is signed in.
type RuleConfig struct {
	// Path selects by whole segments: /a selects /a and /a/b, but not /ab. A
	// slash at the end changes nothing. "": every path.
	Path string `yaml:"path"`
	// Exact selects this path only: /healthz selects neither /healthz/ nor
	// anything below it. At most one of Path and Exact is set.
	Exact string `yaml:"exact"`
	// Methods are in capitals; GET selects HEAD as well. nil: every method.
	Methods []string `yaml:"methods"`
	// Networks are prefixes or single addresses (10.0.0.0/8, 2001:db8::/32,
	// 192.0.2.7) that the visitor's address is compared with. nil: every
	// address.
	Networks []string `yaml:"networks"`

	// Public lets anybody through; nobody is looked up.
	Public bool `yaml:"public"`
	// Optional lets anybody through, and tells the application who is signed
	// in.
	Optional bool `yaml:"optional"`
	// Deny lets nobody through.
	Deny bool `yaml:"deny"`

	// Users and Groups let through these accounts, and the members of these
	// groups; somebody in either passes. Both nil: whoever is signed in.
	Users  []string `yaml:"users"`
	Groups []string `yaml:"groups"`
}

// Check reports every problem of the rule. The keys are those of the rule
// (path, methods[0]). Dangers that depend on the whole route, such as a rule
// that can never apply, are found by proxy.RouteConfig.Check.
func (c *RuleConfig) Check(report *problem.List) {
	c.checkPaths(report)
	c.checkMethods(report)
	c.checkNetworks(report)
	c.checkPeople(report)
	c.checkOutcome(report)
}

// build returns the rule of a configuration. The error is the first problem
// that Check reports.
func (c *RuleConfig) build() (rule, error) {
	var found problem.List
	c.Check(&found)
	if err := found.Err(); err != nil {
		return rule{}, err
	}
	r := rule{path: newPathCondition(c.Path, c.Exact), outcome: c.outcome()}
	if c.Methods != nil {
		r.conditions = append(r.conditions, methodCondition(c.Methods))
	}
	if c.Networks != nil {
		networks, err := newNetworkCondition(c.Networks)
		if err != nil {
			return rule{}, err
		}
		r.conditions = append(r.conditions, networks)
	}
	if c.Users != nil || c.Groups != nil {
		r.requirements = append(r.requirements, peopleRequirement{users: c.Users, groups: c.Groups})
	}
	return r, nil
}

// outcome returns what the rule decides without looking at anybody; Allow if
// it has to look. Deny wins, should a rule say several things.
func (c *RuleConfig) outcome() Decision {
	switch {
	case c.Deny:
		return Deny
	case c.Public:
		return Public
	case c.Optional:
		return Optional
	default:
		return Allow
	}
}

func (c *RuleConfig) checkOutcome(report *problem.List) {
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

// checkNotEmpty reports a list that is there and names nothing, which would
// select nothing.
func checkNotEmpty(key string, list []string, report *problem.List) {
	if list != nil && len(list) == 0 {
		report.Errorf(key, "the list is empty; name something, or leave the key out")
	}
}
