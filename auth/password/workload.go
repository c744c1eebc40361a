package password

import (
	"sync"
	"sync/atomic"
)

// A workload is the work that every password check does, whichever account it
// is for: one hash for each family that occurs among the accounts. For the
// account's own family that is its real hash, filled up to the most expensive
// one; for the other families, and for names that do not exist, it is a dummy.
// All checks thus run the same operations, and nothing has to be measured on
// this machine. Safe for concurrent use.
type workload struct {
	most  float64                  // the highest cost of a hash that becomes one of parts
	mu    sync.Mutex               // held while parts is replaced
	parts atomic.Pointer[[]scheme] // a dummy of the most expensive hash of each family
}

const (
	// maxDearer is how many times the cost of a new hash every check may be
	// padded to: one unusual account must not slow down everybody's login.
	maxDearer = 8
	// maxFamilies bounds the total work. Most sites have one or two families.
	maxFamilies = 6
)

// expect makes the work of s part of every check, and reports whether it is. It
// returns false if that would cost too much; the logins of that account can
// then be told apart by their time.
func (w *workload) expect(s scheme) bool {
	if w.has(s) {
		return true
	}
	if s.cost() > w.most {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	var parts []scheme
	found := false
	if old := w.parts.Load(); old != nil {
		for _, p := range *old {
			if p.family() == s.family() {
				found = true
				if s.cost() > p.cost() {
					p = s.dummy()
				}
			}
			parts = append(parts, p)
		}
	}
	if !found {
		if len(parts) == maxFamilies {
			return false
		}
		parts = append(parts, s.dummy())
	}
	w.parts.Store(&parts)
	return true
}

// has reports whether the work of s is part of every check already. It takes no
// lock, since it runs with every login.
func (w *workload) has(s scheme) bool {
	parts := w.parts.Load()
	if parts == nil {
		return false
	}
	for _, p := range *parts {
		if p.family() == s.family() {
			return s.cost() <= p.cost()
		}
	}
	return false
}

// check reports whether the password is that of s, after doing the whole
// workload. If s is nil, it does the same work and returns false. did is called
// with the cost of each hash before it is computed. A hash that is not covered
// by the workload, because expect refused it, is computed in addition.
func (w *workload) check(s scheme, password string, did func(cost float64)) (ok bool) {
	own := false
	for _, p := range *w.parts.Load() {
		did(p.cost())
		if own || s == nil || s.family() != p.family() || s.cost() > p.cost() {
			_ = p.matches(password) // for the time it takes
			continue
		}
		own = true
		ok = s.matches(password)
		s.fill(p, password)
	}
	if s != nil && !own {
		did(s.cost())
		ok = s.matches(password)
	}
	return ok
}
