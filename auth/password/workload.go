package password

import (
	"sync"
	"sync/atomic"
)

// A workload is what each check of a password does, whosever it is: one piece
// of work for each family of hashes that there is among the accounts. For an
// account's own family that is its hash, filled up to the dearest one; for the
// others, and for names that do not exist, it is a dummy. So all checks do the
// same operations, and no estimate of what they cost on this machine is needed.
type workload struct {
	most  float64 // what a hash may cost to be one of parts
	mu    sync.Mutex
	parts atomic.Pointer[[]scheme] // the dearest of each family, as a dummy
}

const (
	// maxDearer is how much dearer than ours a hash may be for all checks to do
	// its work: one odd account must not slow down everybody's login.
	maxDearer = 8
	// maxFamilies bounds the work as well. Most sites have one or two.
	maxFamilies = 6
)

// expect makes the work of s a part of every check. It returns false where
// that would cost too much: then logins to that account can be told apart.
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

// has reports whether the work of s is a part of every check already.
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

// check reports whether the password is that of s; nil: of nobody. It tells
// did of each piece of work.
func (w *workload) check(s scheme, password string, did func(cost float64)) (ok bool) {
	own := false
	for _, p := range *w.parts.Load() {
		did(p.cost())
		if own || s == nil || s.family() != p.family() || s.cost() > p.cost() {
			_ = p.matches(password) // whatever it says
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
