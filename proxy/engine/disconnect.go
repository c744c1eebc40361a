package engine

import (
	"context"
	"sync"
	"time"
)

// watchDelay is how long an exchange may last before its visitor is watched.
const watchDelay = 25 * time.Millisecond

// disconnectWatcher cuts the exchanges whose visitors leave. context.AfterFunc does
// that, but costs as much as several checks of a session, and most exchanges
// are over before anybody could leave. So an exchange is only put on a list at
// first; those that are still there after a while are watched with AfterFunc.
// A visitor who leaves before that is noticed then, after twice the youth at
// most. The zero value is ready. Safe for concurrent use.
type disconnectWatcher struct {
	mu     sync.Mutex
	newest *conn       // the list, by conn.older
	round  int         // how often the list was looked through
	timer  *time.Timer // runs while there is somebody on the list
	awake  bool
}

// A departure is what a conn has of departures, whose mu guards it.
type departure struct {
	visitor      context.Context //nolint:containedctx // only until the exchange ends
	newer, older *conn
	listed       bool
	round        int         // when it was put on the list
	stop         func() bool // ends the watch with AfterFunc; nil: there is none
}

// watch has c cut when the visitor leaves, until forget.
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

// forget ends the watch. It gives false when the visitor has left: c is being
// cut then, if it is not yet.
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

// look takes those from the list that are no longer young, and comes back as
// long as there is anybody on it.
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
