// Package access answers one question: may this identity make this request?
// It is pure: no I/O, no clock, no state.
//
// A route has a list of rules. The first rule whose conditions all hold for
// the request decides it; a request that no rule selects is denied.
//
// Many applications treat /Admin, /admin/ and /admin.json as /admin. A rule
// whose path differs from the request's only in that way still counts where it
// is stricter than the rule that matches exactly: another spelling of a path
// can lose access, and never gain it.
//
// A rule is made of conditions, which select requests (path.go, method.go,
// network.go), and requirements, which the person has to meet (people.go).
// Each key of a rule is one file with one of the two, and one line in
// RuleConfig.build.
package access

import (
	"fmt"
	"net/netip"
)

// A Decision is what the rules decide about a request. The zero value denies,
// and a smaller Decision is always the stricter one.
type Decision int

// The decisions, strictest first.
const (
	Deny      Decision = iota // nobody, or not this person: 403
	Challenge                 // somebody who signs in may be allowed
	Allow                     // this person may
	Optional                  // anybody may; the application is told who is signed in, if anybody is
	Public                    // anybody may; nobody is looked up
)

// String returns the word that explain shows for the decision.

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

// Facts are what conditions look at: the request without the person.
type Facts struct {
	Path   string     // one interpretation of the path: decoded, absolute, without a query
	Method string     // as in the request line; HEAD counts as GET as well
	Client netip.Addr // the visitor's address; the zero Addr (unknown) is in no network
}

// Who is the person who makes the request, as far as rules care. A nil *Who
// stands for nobody: no session, or one that does not count.
type Who struct {
	Name   string   // the stored spelling; compared byte for byte
	Groups []string // compared byte for byte
}

// Rules are the access rules of one route, ready to decide. The zero value and
// a nil *Rules deny everything. Safe for concurrent use.
type Rules struct {
	open    bool // no access section: whoever is signed in may pass
	methods bool // a rule looks at the method
	list    []rule
}

// New returns the rules of a list. A nil list means that the route has no
// access section: whoever is signed in may pass. An empty list that is not nil
// denies everything. The error is the first problem that RuleConfig.Check
// reports.
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
		rs.methods = rs.methods || list[i].Methods != nil
		rs.list = append(rs.list, r)
	}
	return rs, nil
}

// ByMethod reports whether a rule looks at the method. Where one does, a
// request must not be able to tell the application another method than the one
// that was judged (X-HTTP-Method-Override, _method).
func (rs *Rules) ByMethod() bool { return rs != nil && rs.methods }

// HasPath reports whether the rule with this index names a path. It returns
// false for an index without a rule, such as the -1 of Decide.
func (rs *Rules) HasPath(i int) bool {
	return rs != nil && 0 <= i && i < len(rs.list) && rs.list[i].path.names()
}

// Asks returns what the rule with this index asks of people, as a phrase to
// read: "to be alice, or to be in admins". For -1 (no rule decided) it says
// what holds without one.
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

// Decide applies the first rule whose conditions all hold to who. It returns
// the decision and the index of the rule that made it, for explanations and
// the audit log. If no rule holds it returns Deny and -1.
//
// An earlier rule whose path matches only nearly (see nearly) decides where it
// is stricter.
func (rs *Rules) Decide(f Facts, who *Who) (Decision, int) {
	if rs == nil {
		return Deny, -1
	}
	if rs.open {
		return signedIn(who), -1
	}
	near, nearAt := Public, -1 // the first rule that is met nearly
	for i := range rs.list {
		r := &rs.list[i]
		m := r.match(f)
		switch {
		case m == met:
			if d := r.decide(who); nearAt < 0 || d <= near {
				return d, i
			}
			return near, nearAt
		case m == nearly && nearAt < 0:
			near, nearAt = r.decide(who), i
		}
	}
	return Deny, -1
}

// signedIn allows whoever is signed in.
func signedIn(who *Who) Decision {
	if who == nil {
		return Challenge
	}
	return Allow
}
