package engine

import (
	"context"
	"sync"
	"time"
)

// watchDelay is how long an exchange lasts before its visitor is watched.
const watchDelay = 25 * time.Millisecond

// A disconnectWatcher cuts the connections of exchanges whose visitors leave.
// context.AfterFunc does that, but costs as much as several session checks, and most
// exchanges end before anybody leaves. So an exchange is put on a list first, and
// only those that are still on it after watchDelay are watched with AfterFunc. A
// visitor who leaves before that is noticed after twice watchDelay at most. The
// zero value is ready to use. It is safe for concurrent use.
type disconnectWatcher struct {
	mu     sync.Mutex
	newest *conn       // the list, by conn.older
	round  int         // how often look has run
	timer  *time.Timer // runs while the list is not empty
	awake  bool
}

// A departure is the part of a conn that disconnectWatcher.mu guards.
type departure struct {
	visitor      context.Context //nolint:containedctx // only until the exchange ends
	newer, older *conn
	listed       bool
	round        int         // when it was put on the list
	stop         func() bool // ends the watch with AfterFunc; nil: there is none
}

// watch cuts c when the context of the visitor's request ends, until forget.
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

// forget ends the watch. It reports false if the visitor has left: c has been cut
// then, or is about to be.
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

// look moves those that have been on the list for a whole round to AfterFunc. It
// runs again as long as the list is not empty.
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
