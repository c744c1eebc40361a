package throttle

import (
	"context"
	"net/netip"
	"time"
)

// Try counts an attempt, and returns how long to wait instead of making it;
// device is "" for one that is not known.
func (t *Throttle) Try(name, addr, device string) (wait time.Duration) {
	_, wait = t.Take(context.Background(), Attempt{Name: name, Client: netip.MustParseAddr(addr), Device: device})
	return wait
}

// SetPatience changes how long a try waits for the store, and returns how long
// it was.
func (t *Throttle) SetPatience(d time.Duration) (before time.Duration) {
	before, t.shared.patience = t.shared.patience, d
	return before
}
