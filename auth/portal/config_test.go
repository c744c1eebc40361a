package portal_test

import (
	"strings"
	"testing"

	"gatehouse/auth/portal"
	"gatehouse/internal/problem"
)

// keysOf returns the keys of a list of problems, with spaces between.
func keysOf(list []problem.Problem) string {
	var keys []string
	for _, p := range list {
		keys = append(keys, p.Key)
	}
	return strings.Join(keys, " ")
}

func TestLoginConfigCheck(t *testing.T) {
	var c portal.LoginConfig
	c.SetDefaults()
	var found problem.List
	if c.Check(&found); len(found.Errors)+len(found.Warnings) > 0 {
		t.Errorf("the defaults: %v, %v", found.Errors, found.Warnings)
	}
	c.Title, c.Throttle.PerAccount.Count = "a\nb", 0
	if c.Check(&found); keysOf(found.Errors) != "title" || keysOf(found.Warnings) != "throttle.per_account" {
		t.Errorf("%v, %v", found.Errors, found.Warnings)
	}
	c.SetDefaults()
	c.Throttle.PerAccount.Count, c.Throttle.PerNetwork.Per = 1000, 1000*3600*1e9
	found = problem.List{}
	if c.Check(&found); keysOf(found.Errors) != "throttle.per_network" || keysOf(found.Warnings) != "throttle.per_account" {
		t.Errorf("%v, %v", found.Errors, found.Warnings)
	}
}
