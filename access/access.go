// Package access answers one question: may this identity make this request?
// It is pure: no I/O, no clock, no state.
package access

import (
	"net/netip"
)

// A Decision is what the rules say. The zero value denies.
type Decision int

// The decisions.
const (
	Deny      Decision = iota // never, or not this person: 403
	Challenge                 // perhaps, once it is known who asks
	Allow                     // this person may
	Public                    // anybody may; who asks is not looked up
)

// RuleConfig is one of access in a route of the configuration.
type RuleConfig struct {
	Path     string   `yaml:"path"`  // by whole segments
	Exact    string   `yaml:"exact"` // this path only
	Methods  []string `yaml:"methods"`
	Networks []string `yaml:"networks"`
	Public   bool     `yaml:"public"`
	Deny     bool     `yaml:"deny"`
	Users    []string `yaml:"users"`
	Groups   []string `yaml:"groups"`
}

// Facts are what rules look at, besides the identity.
type Facts struct {
	Path   string // as one reading has it: decoded, absolute, without query
	Method string
	Client netip.Addr // invalid when unknown: no rule with networks selects it
}

// Who is the identity, as far as rules care; nil: nobody is signed in.
type Who struct {
	Name   string
	Groups []string
}

// Rules is the list of one route, ready to decide. The zero value denies.
type Rules struct{}

// New builds the rules. A nil list means that there is no access section:
// whoever is signed in may pass. An empty, non-nil list denies everything.
func New(list []RuleConfig) (*Rules, error) { panic("being built") }

// Decide selects the first rule whose path, methods and networks match, and
// says what it says of who. No rule: Deny. The index is the rule's place in
// the list, -1 when none was selected, for explanations.
func (rs *Rules) Decide(f Facts, who *Who) (Decision, int) { panic("being built") }
