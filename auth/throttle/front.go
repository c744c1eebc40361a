package throttle

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"gatehouse/internal/web"
)

// A frontWatch detects a proxy in front that is missing from trusted_proxies: all
// logins come from one untrusted peer that sends X-Forwarded-For or Forwarded.
// The throttle then takes all visitors for one, and any of them can use up the
// attempts of all. Safe for concurrent use.
type frontWatch struct {
	mu    sync.Mutex
	peer  netip.Addr
	tries int       // attempts through peer in a row
	told  time.Time // when it was last reported; zero: never
}

const (
	frontTries = 3         // attempts in a row before it is reported
	frontAgain = time.Hour // the shortest time between two reports
)

// saw records an attempt, and reports whether the caller should log a warning
// now.
func (f *frontWatch) saw(r *http.Request, now time.Time) bool {
	info := web.From(r.Context())
	forwards := !info.Trusted && (len(r.Header["X-Forwarded-For"]) > 0 || len(r.Header["Forwarded"]) > 0)
	f.mu.Lock()
	defer f.mu.Unlock()
	if !forwards || info.Peer != f.peer {
		f.peer, f.tries = info.Peer, 0
	}
	if !forwards {
		return false
	}
	f.tries++
	if f.tries < frontTries || !f.told.IsZero() && now.Sub(f.told) < frontAgain {
		return false
	}
	f.told = now
	return true
}
