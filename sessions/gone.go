package sessions

import (
	"errors"
	"net/http"
)

// goneMax is how many sessions that have ended are remembered.
const goneMax = 16 << 10

// A gone is what is remembered of a session that has ended.
type gone struct {
	reason string
	user   bool // it was somebody's
}

// goneBy returns what to remember of a session that ends for the reason. For one
// that has expired it says by which of its times.
func goneBy(r *Record, reason string) gone {
	if reason == "expired" {
		switch {
		case !r.Limit.IsZero() && !r.ends().Before(r.Limit):
			reason = "max_age"
		case r.Idle > 0:
			reason = "idle"
		}
	}
	return gone{reason, r.User != ""}
}

// EndReason reports whether the request brings a cookie that we have signed whose
// session has ended, so that a login page can tell the person why they are there.
// The reason is idle (it was not used), max_age (its lifetime is over), or else what
// Options.OnEnd was told. It is "" when it is not known, because another process has
// ended the session, or many others have ended since. For a session that is known to
// have been nobody's, ended is false.
func (m *Manager) EndReason(r *http.Request) (reason string, ended bool) {
	now := m.now()
	_, p, err := m.find(r, now)
	if err != nil {
		return "", false
	}
	if _, err := m.lookupFor(r, p, now); !errors.Is(err, ErrNotFound) {
		return "", false
	}
	g, ok := m.gone.get(p.key)
	if !ok { // perhaps it has expired just now
		ctx, cancel := detach(r.Context())
		defer cancel()
		_ = m.endExpired(ctx, p.key) // what fails is tried again in the background
		if g, ok = m.gone.get(p.key); !ok {
			return "", true
		}
	}
	return g.reason, g.user
}
