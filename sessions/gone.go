package sessions

import (
	"errors"
	"net/http"
)

// goneMax bounds what is remembered of sessions that have ended.
const goneMax = 16 << 10

// A gone is what is remembered of a session that has ended.
type gone struct {
	reason string
	user   bool // it was somebody's
}

// goneBy returns it for the record of a session that ends for the reason.
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

// EndReason reports whether the request brings a cookie that we have signed
// whose session has ended, and why, for the person who was signed in with it:
// idle (it was not used), max_age (it has reached its Limit), or else what
// Options.Ended was told. "": that is not known, because another process has
// ended it, or it is long ago. A session that is known to have been nobody's
// has not ended for anybody.
func (m *Manager) EndReason(r *http.Request) (reason string, ended bool) {
	now := m.now()
	_, p, err := m.find(r, now)
	if err != nil {
		return "", false
	}
	if _, err := m.lookup(r.Context(), p.key, p.ring, now); !errors.Is(err, ErrNotFound) {
		return "", false
	}
	g, ok := m.gone.get(p.key)
	if !ok { // perhaps it has only just expired
		ctx, cancel := detach(r.Context())
		defer cancel()
		_ = m.endExpired(ctx, p.key) // what fails is tried again in the background
		if g, ok = m.gone.get(p.key); !ok {
			return "", true
		}
	}
	return g.reason, g.user
}
