package throttle

import (
	"net/http"
	"net/netip"
	"sync"
	"time"

	"gatehouse/internal/web"
)

// A frontWatch notices that all logins come from one peer that says of itself
// to be a proxy, and is not trusted: then all visitors are one to the
// throttle, and any of them can use up what it leaves to all. Safe for
// concurrent use.
type frontWatch struct {
	mu    sync.Mutex
	peer  netip.Addr
	tries int // by the peer, and by nobody else between them
	told  time.Time
}

const (
	frontTries = 3         // after so many it is said,
	frontAgain = time.Hour // and so long after it was said once more
)

// saw notes a try, and reports whether it is time to say something.
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
