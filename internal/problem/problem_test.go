package problem_test

import (
	"fmt"
	"testing"

	"gatehouse/internal/problem"
)

func ExampleList() {
	var found problem.List
	found.Errorf("path", "%q does not begin with a slash; write %q", "admin", "/admin")
	health := found.In("health")
	health.Errorf("interval", "%s is too short; write 10s", "1ms")
	health.Warnf("path", "changes nothing with one upstream; remove it")
	fmt.Println(found.Err())
	fmt.Println(found.Warnings)
	// Output:
	// path: "admin" does not begin with a slash; write "/admin"
	// health.interval: 1ms is too short; write 10s
	// [health.path: changes nothing with one upstream; remove it]
}

func TestAnEmptyListIsNoError(t *testing.T) {
	var found problem.List
	found.In("users[0]").Warnf("", "is alone")
	if err := found.Err(); err != nil {
		t.Error(err)
	}
	if got := found.Warnings[0].String(); got != "users[0]: is alone" {
		t.Error(got)
	}
}
