// Package access answers one question: may this identity make this request?
// It is pure: no I/O, no clock, no state.
//
// A request meets a list of rules. The first one whose path, methods and
// networks match decides; a request that none selects is denied.
//
// Many applications take /Admin for /admin, /healthz/ for /healthz, or
// /admin.json for /admin. So a rule that is met but for letter case, an
// extension or (for exact) a slash at the end counts as well where it is
// stricter than the one that is met exactly: such a spelling can close a door,
// and never open one.
package access

import (
	"fmt"
	"net/netip"
)

// A Decision is what the rules say. The zero value denies, and a smaller
// Decision is always the stricter one.
type Decision int

// The decisions.
const (
	Deny      Decision = iota // never, or not this person: 403
	Challenge                 // perhaps, once it is known who asks
	Allow                     // this person may
	Optional                  // anybody may; who asks is looked up, and told to the application
	Public                    // anybody may; who asks is not looked up
)

func (d Decision) String() string {
	switch d {
	case Deny:
		return "deny"
	case Challenge:
		return "challenge"
	case Allow:
		return "allow"
	case Optional:
		return "optional"
	case Public:
		return "public"
	default:
		return fmt.Sprintf("access.Decision(%d)", int(d))
	}
}

// Facts are what rules look at, besides the identity.
type Facts struct {
	Path   string     // as one reading has it: decoded, absolute, without query
	Method string     // as in the request line; HEAD counts as GET as well
	Client netip.Addr // invalid when unknown: no rule with networks selects it
}

// Who is the identity, as far as rules care; nil: nobody is signed in.
type Who struct {
	Name   string // compared byte for byte
	Groups []string
}

// Rules is the list of one route, ready to decide. The zero value denies.
// Safe for concurrent use.
type Rules struct {
	open    bool // no access section: whoever is signed in may pass
	methods bool // some rule looks at the method
	list    []rule
}

// New builds the rules. A nil list means that there is no access section:
// whoever is signed in may pass. An empty, non-nil list denies everything.
// The error is the first problem that RuleConfig.Check would report.
func New(list []RuleConfig) (*Rules, error) {
	if list == nil {
		return &Rules{open: true}, nil
	}
	rs := &Rules{list: make([]rule, 0, len(list))}
	for i := range list {
		r, err := list[i].build()
		if err != nil {
			return nil, fmt.Errorf("access[%d]: %w", i, err)
		}
		rs.methods = rs.methods || r.methods != nil
		rs.list = append(rs.list, r)
	}
	return rs, nil
}

// ByMethod says whether a rule looks at the method, so that a header which
// makes the application see another one must not pass.
func (rs *Rules) ByMethod() bool { return rs != nil && rs.methods }

// HasPath reports whether the rule with this index looks at the path; false
// where there is no such rule.
func (rs *Rules) HasPath(i int) bool {
	return rs != nil && 0 <= i && i < len(rs.list) && rs.list[i].path != ""
}

// Asks returns what the rule with this index asks for, for people to read; -1
// stands for no rule.
func (rs *Rules) Asks(i int) string {
	switch {
	case rs != nil && 0 <= i && i < len(rs.list):
		return rs.list[i].asks()
	case rs != nil && rs.open:
		return "whoever is signed in"
	default:
		return "nobody may pass"
	}
}

// Decide selects the first rule whose path, methods and networks match, and
// says what it says of who. No rule: Deny. The index is the place in the list
// of the rule that decided, -1 when none did, for explanations.
//
// Where an earlier rule is met but for letter case, an extension, or a slash at
// the end, the stricter of both decides.
func (rs *Rules) Decide(f Facts, who *Who) (Decision, int) {
	if rs == nil {
		return Deny, -1
	}
	if rs.open {
		return signedIn(who), -1
	}
	near, nearAt := Public, -1
	for i := range rs.list {
		r := &rs.list[i]
		m := r.match(f)
		switch {
		case m == met:
			if d := r.says(who); nearAt < 0 || d <= near {
				return d, i
			}
			return near, nearAt
		case m == nearly && nearAt < 0:
			near, nearAt = r.says(who), i
		}
	}
	return Deny, -1
}

func signedIn(who *Who) Decision {
	if who == nil {
		return Challenge
	}
	return Allow
}
