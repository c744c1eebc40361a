package access

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"gatehouse/internal/httpfield"
	"gatehouse/internal/problem"
)

// A methodCondition is the methods of a rule: it holds for these, and with GET
// for HEAD as well.
type methodCondition []string

func (c methodCondition) holds(f Facts) bool {
	return slices.Contains(c, f.Method) || f.Method == http.MethodHead && slices.Contains(c, http.MethodGet)
}

func (c *RuleConfig) checkMethods(report *problem.List) {
	checkNotEmpty("methods", c.Methods, report)
	for i, m := range c.Methods {
		key := fmt.Sprintf("methods[%d]", i)
		switch up := strings.ToUpper(m); {
		case up == "CONNECT", up == "TRACE", up == "TRACK":
			report.Errorf(key, "%q never passes, whatever the rules say; leave it out", m)
		case !httpfield.IsMethod(up):
			report.Errorf(key, "%q is not a method; write one such as GET, POST or DELETE", m)
		case up != m:
			report.Errorf(key, "%q is not in capitals; write %q", m, up)
		}
	}
}
