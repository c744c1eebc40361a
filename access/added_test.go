package access

import (
	"net/netip"
	"strings"
	"testing"
)

// TestAddedConditionAndRequirement adds a condition and a requirement to a
// rule, as a new key of RuleConfig would: each is a type of its own and one
// line where the rule is built.
func TestAddedConditionAndRequirement(t *testing.T) {
	r := rule{path: newPathCondition("/reports", ""), outcome: Allow}
	r.conditions = append(r.conditions, addressFamily(6))
	r.requirements = append(r.requirements, peopleRequirement{groups: []string{"staff"}}, initial("a"))
	rs := &Rules{list: []rule{r}}

	six, four := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("192.0.2.1")
	for _, tt := range []struct {
		name   string
		client netip.Addr
		who    *Who
		want   Decision
		rule   int
	}{
		{"all hold", six, &Who{Name: "alice", Groups: []string{"staff"}}, Allow, 0},
		{"the condition does not hold", four, &Who{Name: "alice", Groups: []string{"staff"}}, Deny, -1},
		{"the requirement is not met", six, &Who{Name: "bob", Groups: []string{"staff"}}, Challenge, 0},
		{"the other requirement is not met", six, &Who{Name: "alice"}, Deny, 0},
		{"neither requirement is met", six, &Who{Name: "bob"}, Deny, 0},
		{"nobody is signed in", six, nil, Challenge, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got, at := rs.Decide(Facts{Path: "/reports/q3", Method: "GET", Client: tt.client}, tt.who)
			if got != tt.want || at != tt.rule {
				t.Errorf("Decide: %v by rule %d, want %v by rule %d", got, at, tt.want, tt.rule)
			}
		})
	}
	if got, want := rs.Asks(0), "to be in staff, and to have a name with a"; got != want {
		t.Errorf("Asks: %q, want %q", got, want)
	}
}

// addressFamily is a condition: it holds for clients of IPv4 or IPv6.
type addressFamily int

func (v addressFamily) holds(f Facts) bool { return f.Client.Is4() == (v == 4) }

// initial is a requirement that people can meet by proving more of who they
// are.
type initial string

func (q initial) decide(who *Who) Decision {
	if strings.HasPrefix(who.Name, string(q)) {
		return Allow
	}
	return Challenge
}

func (q initial) asks() string { return "to have a name with " + string(q) }
