package access

import "strings"

// A rule is a RuleConfig that was checked.
type rule struct {
	path         pathCondition // apart from the other conditions, because only a path can be met nearly
	conditions   []condition   // of the request; all must hold
	outcome      Decision      // Deny, Optional or Public whoever asks; Allow: requirements decide
	requirements []requirement // of the person; all must be met
}

// A condition is a key of a rule that selects requests by something else than
// their path. It has no state and does no I/O; a key that is absent makes no
// condition.
type condition interface {
	holds(f Facts) bool
}

// A requirement is a key of a rule that says who may pass. It has no state and
// does no I/O; a key that is absent makes no requirement.
type requirement interface {
	// decide returns Allow if the person meets it, Deny if they cannot, and
	// Challenge if they can by proving more of who they are. It is called for
	// somebody who is signed in.
	decide(who *Who) Decision
	// asks returns what it asks for, as a phrase to read: "to be in admins".
	asks() string
}

// match says how well a rule fits a request.
type match int

const (
	missed match = iota
	nearly       // but for letter case, a slash at the end of an exact path, or an extension such as .json
	met
)

// match returns how well the rule fits the request.
func (r *rule) match(f Facts) match {
	for _, c := range r.conditions {
		if !c.holds(f) {
			return missed
		}
	}
	return r.path.match(f.Path, r.outcome <= Allow)
}

// decide returns what the rule decides about a request that it selects: the
// strictest answer of its requirements.
func (r *rule) decide(who *Who) Decision {
	if r.outcome != Allow {
		return r.outcome
	}
	decision := signedIn(who)
	if who == nil {
		return decision
	}
	for _, q := range r.requirements {
		decision = min(decision, q.decide(who))
	}
	return decision
}

// asks returns what the rule asks of people, as a phrase to read.
func (r *rule) asks() string {
	switch r.outcome {
	case Deny:
		return "nobody may pass"
	case Public:
		return "nothing: anybody may pass"
	case Optional:
		return "nothing: anybody may pass, and the application is told who is signed in"
	case Challenge, Allow:
	}
	if len(r.requirements) == 0 {
		return "whoever is signed in"
	}
	wants := make([]string, len(r.requirements))
	for i, q := range r.requirements {
		wants[i] = q.asks()
	}
	return strings.Join(wants, ", and ")
}
