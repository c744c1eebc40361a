package pgstore

import (
	"context"
	"crypto/rand"
	"errors"
	"iter"
	"log/slog"
	"strings"
	"sync"
	"time"

	"gatehouse/sessions"
)

// A Cache keeps copies of records between the nodes and the database, such as
// redisstore.Cache. It may lose entries at any time, and answer with old ones
// after an error: Cached knows when it may be believed.
//
// Entries belong to an epoch; those of another epoch, and those that the server
// had before it was started again, are out of reach. A method fails when it is
// not known what the server has done. All methods may be called at the same
// time, and none may take long.
type Cache interface {
	// Get returns the record under key. If there is none, and nobody else is
	// about to fill the entry, it returns a lease, with which Fill does so.
	Get(ctx context.Context, epoch, key string) (r sessions.Record, found bool, lease string, err error)

	// Fill stores the record for life, if the lease still counts: Drop has not
	// been called for the key since Get. Else it does nothing.
	Fill(ctx context.Context, epoch, key, lease string, r *sessions.Record, life time.Duration) error

	// Drop removes the entries, and ends the leases for them.
	Drop(ctx context.Context, epoch string, keys ...string) error

	// Ping fails while the server cannot be used.
	Ping(ctx context.Context) error

	// Close is called once, last.
	Close() error
}

// Cached is a Store with a Cache in front of it, as Django's cached_db: Load
// asks the cache first, every write goes to the database and then drops the
// entry, so that the cache has no part in what is true. While the cache cannot
// be reached, or was emptied, everything is read from the database.
//
// A session that has ended must not live on in the cache. Therefore:
//
//   - A reader fills an entry with a lease that it has taken before it read the database.
//     A writer drops the entry afterwards, which ends the lease.
//   - All nodes hear from the database (NOTIFY) what any node writes, and drop the entry as
//     well. A node that has heard, and not yet dropped it, does not ask the cache for it.
//   - All entries belong to an epoch. A node that could not hear, or could not drop an
//     entry, believes no entry until it has begun another epoch, of which it tells all
//     nodes through the database. Every node begins one when it starts.
//
// The cache is used only while Watch runs, as it does below a sessions.Cached.
type Cached struct {
	*Store
	cache Cache
	log   *slog.Logger

	mu      sync.Mutex
	epoch   string         // "": the cache is not believed
	listens bool           // announcements of the database are heard
	usable  bool           // the cache has answered since it last failed
	mending bool           // a goroutine of mend runs
	losses  int            // how often the cache has ceased to be believed
	heard   map[string]int // keys that were announced, and are still to be dropped
	work    sync.WaitGroup
	drops   chan string
	closing context.Context //nolint:containedctx // ends what runs beside the calls
	stop    context.CancelFunc
}

const (
	dropMax    = 100         // entries that are dropped in one command
	cacheDrops = 4096        // announcements that may wait; more begin another epoch
	cacheMend  = time.Second // between attempts to begin another epoch
	epochWord  = "cache "    // before an epoch, on the channel of keys
)

// NewCached returns a store that is db with the cache in front of it. Close closes the
// cache; the database stays open.
func NewCached(db *Store, cache Cache, log *slog.Logger) *Cached {
	ctx, stop := context.WithCancel(context.Background())
	c := &Cached{Store: db, cache: cache, log: log, heard: map[string]int{}, drops: make(chan string, cacheDrops), closing: ctx, stop: stop}
	c.work.Go(c.dropHeard)
	return c
}

// believed returns the epoch; "" if the cache must not be asked about the key.
func (c *Cached) believed(key string) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.heard[key] > 0 {
		return ""
	}
	return c.epoch
}

// Load serves sessions.Store.
func (c *Cached) Load(ctx context.Context, key string) (sessions.Record, error) {
	epoch := c.believed(key)
	if epoch == "" || ctx.Err() != nil {
		return c.Store.Load(ctx, key)
	}
	r, found, lease, err := c.cache.Get(ctx, epoch, key)
	switch {
	case err != nil:
		c.lose(err)
	case found && !r.Expired(c.now()) && c.believed(key) == epoch: // else it may have been used elsewhere
		return r, nil
	}
	r, err = c.Store.Load(ctx, key)
	if err == nil && lease != "" {
		if err := c.cache.Fill(ctx, epoch, key, lease, &r, max(time.Second, r.Expires.Sub(c.now()))); err != nil {
			c.lose(err)
		}
	}
	return r, err
}

// Update serves sessions.Store.
func (c *Cached) Update(ctx context.Context, key string, r sessions.Record) error {
	defer c.drop(ctx, key)
	return c.Store.Update(ctx, key, r)
}

// Touch serves sessions.Store.
func (c *Cached) Touch(ctx context.Context, key string, seen, expires time.Time, mark []byte) error {
	defer c.drop(ctx, key)
	return c.Store.Touch(ctx, key, seen, expires, mark)
}

// Delete serves sessions.Store.
func (c *Cached) Delete(ctx context.Context, key string) (sessions.Record, error) {
	defer c.drop(ctx, key)
	return c.Store.Delete(ctx, key)
}

// drop removes the entry after a write, even if ctx has ended meanwhile.
func (c *Cached) drop(ctx context.Context, key string) {
	c.mu.Lock()
	epoch := c.epoch
	c.mu.Unlock()
	if epoch == "" {
		return // nodes that believe the cache hear of the write
	}
	if err := c.cache.Drop(context.WithoutCancel(ctx), epoch, key); err != nil {
		c.lose(err)
	}
}

// lose makes this node believe no entry until another epoch has begun.
func (c *Cached) lose(why error) {
	if errors.Is(why, context.Canceled) {
		why = nil // the client has gone, and it is not known whether the command was done
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.usable && why != nil {
		c.log.Warn("sessions are read from the database: the cache cannot be used", slog.Any("error", why))
	}
	c.epoch, c.usable = "", false
	c.losses++
	c.mend()
}

// mend begins another epoch, as soon as both the cache and the database can be used. The
// caller holds c.mu.
func (c *Cached) mend() {
	if c.mending || !c.listens || c.closing.Err() != nil {
		return
	}
	c.mending = true
	c.work.Go(func() {
		for !c.begin() {
			select {
			case <-c.closing.Done():
				return
			case <-time.After(cacheMend):
			}
		}
	})
}

// begin announces another epoch to all nodes, this one included. It reports whether it has
// succeeded, or has nothing to do until Watch listens again.
func (c *Cached) begin() bool {
	c.mu.Lock()
	before := c.losses
	c.mu.Unlock()
	err := c.cache.Ping(c.closing)
	c.mu.Lock()
	if !c.listens {
		c.mending = false
		c.mu.Unlock()
		return true
	}
	c.usable = err == nil && c.losses == before
	c.mu.Unlock()
	if err != nil {
		return false
	}
	if _, err := c.exec(c.closing, `SELECT pg_notify($1, $2)`, channel, epochWord+rand.Text()); err != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.mending = !c.usable || c.losses != before
	return !c.mending
}

// Watch serves sessions.SharedStore.
func (c *Cached) Watch(ctx context.Context, changed func(key string), missed func()) {
	c.db.ListenAndLose(ctx, channel, func(text string) {
		if epoch, ok := strings.CutPrefix(text, epochWord); ok {
			c.enter(epoch)
			return
		}
		c.announced(text)
		changed(text)
	}, func() {
		c.mu.Lock()
		c.listens, c.epoch = true, ""
		c.losses++
		c.mend()
		c.mu.Unlock()
		missed()
	}, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.listens, c.epoch = false, ""
	})
}

// enter begins an epoch that was announced, if this node can use the cache.
func (c *Cached) enter(epoch string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.listens && c.usable {
		c.epoch = epoch
	}
}

// announced has the entry of a record dropped that some node has changed, without waiting
// for it. Until that is done, the cache is not asked about the record.
func (c *Cached) announced(key string) {
	c.mu.Lock()
	c.heard[key]++
	c.mu.Unlock()
	select {
	case c.drops <- key:
	default:
		c.unheard(key)
		c.lose(errors.New("more sessions change than can be followed"))
	}
}

// unheard notes that the entries were dropped.
func (c *Cached) unheard(keys ...string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, key := range keys {
		if c.heard[key]--; c.heard[key] <= 0 {
			delete(c.heard, key)
		}
	}
}

// dropHeard drops the entries of which announced was told, several at a time, until Close.
func (c *Cached) dropHeard() {
	for {
		var keys []string
		select {
		case <-c.closing.Done():
			return
		case key := <-c.drops:
			keys = append(keys, key)
		}
		for more := true; more && len(keys) < dropMax; {
			select {
			case key := <-c.drops:
				keys = append(keys, key)
			default:
				more = false
			}
		}
		c.mu.Lock()
		epoch := c.epoch
		c.mu.Unlock()
		if epoch != "" {
			if err := c.cache.Drop(c.closing, epoch, keys...); err != nil {
				c.lose(err)
			}
		}
		c.unheard(keys...)
	}
}

// Close serves sessions.Store. It closes the cache; the database stays open.
func (c *Cached) Close() error {
	c.stop()
	c.work.Wait()
	return c.cache.Close()
}

// Create, List, Count, DeleteExpired and CheckHealth are the Store's: entries that have
// expired are never believed, so nothing has to be dropped.
var _ interface {
	sessions.SharedStore
	sessions.HealthChecker
	List(ctx context.Context, q sessions.Query) iter.Seq2[sessions.Entry, error]
} = (*Cached)(nil)
