package access

import (
	"fmt"
	"slices"
	"strings"

	"gatehouse/internal/problem"
)

// A peopleRequirement is the users and groups of a rule: somebody in either
// meets it.
type peopleRequirement struct {
	users  []string
	groups []string
}

func (q peopleRequirement) decide(who *Who) Decision {
	if slices.Contains(q.users, who.Name) || slices.ContainsFunc(who.Groups, func(g string) bool { return slices.Contains(q.groups, g) }) {
		return Allow
	}
	return Deny
}

func (q peopleRequirement) asks() string {
	var wants []string
	if len(q.users) > 0 {
		wants = append(wants, "to be "+strings.Join(q.users, " or "))
	}
	if len(q.groups) > 0 {
		wants = append(wants, "to be in "+strings.Join(q.groups, " or "))
	}
	return strings.Join(wants, ", or ")
}

func (c *RuleConfig) checkPeople(report *problem.List) {
	checkNames("users", c.Users, report)
	checkNames("groups", c.Groups, report)
}

func checkNames(key string, names []string, report *problem.List) {
	checkNotEmpty(key, names, report)
	for i, name := range names {
		if name == "" || strings.TrimSpace(name) != name {
			report.Errorf(fmt.Sprintf("%s[%d]", key, i), "%q is empty or has spaces around it; write the name alone", name)
		}
	}
}
