package engine

import (
	"context"
	"sync"
	"time"
)

// watchDelay is how long an exchange is on the list, at least, before it is watched.
const watchDelay = 25 * time.Millisecond

// A disconnectWatcher cuts the upstream connections of exchanges whose visitors leave.
// context.AfterFunc alone would do that, but costs as much as several session checks, and
// most exchanges end within milliseconds. So an exchange first goes on a list, and only
// those that are still there after watchDelay are watched with AfterFunc. A visitor who
// leaves before that is noticed within twice watchDelay. The zero value is ready to use.
// It is safe for concurrent use.
type disconnectWatcher struct {
	mu     sync.Mutex
	newest *conn       // head of the list, which is linked by conn.older
	round  int         // how often look has run
	timer  *time.Timer // calls look; nil: never started
	awake  bool        // timer is running: the list is not empty, or was not at the last look
}

// A departure is the part of a conn that disconnectWatcher.mu guards.
type departure struct {
	visitor      context.Context //nolint:containedctx // only until the exchange ends
	newer, older *conn
	listed       bool
	round        int         // when it was put on the list
	stop         func() bool // ends the watch with AfterFunc; nil: there is none
}

// watch cuts c when visitor, the context of the request, ends, until forget is called.
func (d *disconnectWatcher) watch(visitor context.Context, c *conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c.departure = departure{visitor: visitor, older: d.newest, listed: true, round: d.round}
	if d.newest != nil {
		d.newest.newer = c
	}
	d.newest = c
	switch {
	case d.timer == nil:
		d.timer = time.AfterFunc(watchDelay, d.look)
	case !d.awake:
		d.timer.Reset(watchDelay)
	}
	d.awake = true
}

// forget ends the watch. It reports false if the visitor has left and c has been cut or is
// about to be: c must not be reused then. It may be called more than once.
func (d *disconnectWatcher) forget(c *conn) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if c.listed {
		d.unlist(c)
	}
	stop := c.stop
	c.departure = departure{}
	return stop == nil || stop()
}

// unlist removes c from the list; the caller holds d.mu.
func (d *disconnectWatcher) unlist(c *conn) {
	if c.newer != nil {
		c.newer.older = c.older
	} else {
		d.newest = c.older
	}
	if c.older != nil {
		c.older.newer = c.newer
	}
	c.listed, c.newer, c.older = false, nil, nil
}

// look moves the exchanges that have been on the list for a whole round to AfterFunc. It
// runs again while the list is not empty. AfterFunc starts a goroutine of its own, so it
// may be called with the lock held.
func (d *disconnectWatcher) look() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for c := d.newest; c != nil; {
		next := c.older
		if c.round < d.round {
			d.unlist(c)
			c.stop = context.AfterFunc(c.visitor, c.cutFunc)
		}
		c = next
	}
	d.round++
	if d.awake = d.newest != nil; d.awake {
		d.timer.Reset(watchDelay)
	}
}
