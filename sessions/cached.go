package sessions

import (
	"context"
	"errors"
	"iter"
	"sync"
	"sync/atomic"
	"time"
)

// Cached is a Store that keeps records of another Store in memory, up to a number
// of bytes. It is exact as long as all writes to that store pass through it: every
// Load sees what calls before it have written.
//
// Other processes may write to a SharedStore. Of such a store, Cached forgets each
// record that is announced as changed, and keeps none for longer than 3 seconds:
// this is how long a revocation on another node may stay unnoticed in the worst
// case.
//
// The danger of such a cache is a reader that missed, reads the old record, and puts
// it into the cache after a logout. Therefore a reader needs a ticket to fill the
// cache. A write invalidates all tickets for its key, and none is issued until it
// has completed.
type Cached struct {
	store   Store
	life    time.Duration // how long a record is kept; 0: until it is forgotten
	records *bounded[string, *kept]
	keys    [16]keyShard
	stop    context.CancelFunc
	watch   sync.WaitGroup
}

// kept is a record in the cache. It is shared by all readers, and so its fields
// never change, except what is found out about it: a change of the record puts
// another kept in its place.
type kept struct {
	Record
	until  time.Time   // after it the store is asked again; zero: never
	proved atomic.Bool // a Manager has authenticated it

	link atomic.Pointer[link] // where the id of a host leads; nil: not known yet
}

// keptSize is how many bytes a record without text takes in memory: with its key,
// and its place in the cache.
const keptSize = 640

// size returns about how many bytes the record takes in memory.
func (k *kept) size() int {
	n := keptSize + len(k.Data) + len(k.User) + len(k.Source) + len(k.Stamp) + len(k.Addr) + len(k.Agent) + len(k.Actor) + len(k.Host) + len(k.Proof) + len(k.Mark)
	for _, method := range k.Methods {
		n += len(method) + 16
	}
	for _, h := range k.Hosts {
		n += len(h.Host) + len(h.Key) + 32
	}
	return n
}

// sharedFor is how long a record of a SharedStore is believed.
const sharedFor = 3 * time.Second

// A keyShard knows which keys are being read for the cache or written to.
type keyShard struct {
	mu      sync.Mutex
	tickets map[string]*ticket
	writing map[string]*writers
}

// writers are the calls that write to a key at the same time.
type writers struct {
	n       int
	several bool // there were several at some time, so it is not known which was the last
}

// A ticket is the right of readers to fill the cache for a key. Readers that read at
// the same time share one.
type ticket struct{ readers int }

// NewCached returns a Store that keeps up to size bytes of records of store in
// memory. A record that would take more than a sixteenth of them is not kept. The
// store is its own from then on: Close closes it too. If it is a SharedStore,
// Cached listens to its announcements until Close.
func NewCached(store Store, size int) *Cached {
	ctx, stop := context.WithCancel(context.Background())
	c := &Cached{store: store, records: newSized(size, lastByte, (*kept).size), stop: stop}
	for i := range c.keys {
		c.keys[i].tickets, c.keys[i].writing = map[string]*ticket{}, map[string]*writers{}
	}
	if shared, ok := store.(SharedStore); ok {
		c.life = sharedFor
		c.watch.Go(func() { shared.Watch(ctx, c.evict, c.evictAll) })
	}
	return c
}

// lastByte spreads keys over the shards by their last digit.
func lastByte(key string) byte {
	if key == "" {
		return 0
	}
	return byte(digit(key[len(key)-1])) //nolint:gosec // 0 to 15
}

func (c *Cached) keyShard(key string) *keyShard { return &c.keys[lastByte(key)%16] }

// Load serves Store.
func (c *Cached) Load(ctx context.Context, key string) (Record, error) {
	r, err := c.view(ctx, key, time.Now())
	if err != nil {
		return Record{}, err
	}
	return r.clone(), nil
}

// view is Load without the copy: it returns the record of the cache, which must not
// be changed.
func (c *Cached) view(ctx context.Context, key string, now time.Time) (*kept, error) {
	if r, ok := c.records.get(key); ok {
		switch {
		case !r.until.IsZero() && (now.After(r.until) || r.Expired(now)):
			// Another process may have ended the session, or used it, since.
		case r.Expired(now):
			return nil, ErrNotFound
		default:
			return r, nil
		}
	}
	return c.read(ctx, key)
}

// read asks the store, and keeps the record.
func (c *Cached) read(ctx context.Context, key string) (*kept, error) {
	t := c.begin(key)
	r, err := c.store.Load(ctx, key)
	k := c.newKept(r)
	c.fill(key, t, k, err)
	if err != nil {
		return nil, err
	}
	return k, nil
}

// fresh is Load, but of what the store has at this moment, even if other processes
// write to it.
func (c *Cached) fresh(ctx context.Context, key string) (Record, error) {
	if c.life > 0 {
		return c.store.Load(ctx, key)
	}
	return c.Load(ctx, key)
}

// begin returns a ticket for a reader; nil while the key is being written.
func (c *Cached) begin(key string) *ticket {
	s := c.keyShard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.writing[key] != nil {
		return nil
	}
	t := s.tickets[key]
	if t == nil {
		t = &ticket{}
		s.tickets[key] = t
	}
	t.readers++
	return t
}

// fill puts what was read into the cache if the ticket is still valid. ErrNotFound
// invalidates all tickets for the key, and a later version is never replaced by an
// earlier one: the announcement of a change may still be on its way, and another
// reader, who has read the old record before it, must not put that back.
func (c *Cached) fill(key string, t *ticket, r *kept, err error) {
	s := c.keyShard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if errors.Is(err, ErrNotFound) {
		delete(s.tickets, key)
		c.forget(key)
		return
	}
	if t == nil || s.tickets[key] != t {
		return
	}
	if t.readers--; t.readers == 0 {
		delete(s.tickets, key)
	}
	if have, ok := c.records.get(key); err == nil && (!ok || have.Version <= r.Version) {
		c.records.put(key, r)
	}
}

// newKept returns what to keep of a record that was read or written just now.
func (c *Cached) newKept(r Record) *kept {
	k := &kept{Record: r}
	if c.life > 0 {
		k.until = time.Now().Add(c.life)
	}
	return k
}

// write calls f, which writes to the key in the store. The cache forgets the key
// before it. f returns the record that the store has now, or nil if that is not
// known. The record is kept, unless another write to the key was under way at any
// time meanwhile.
func (c *Cached) write(key string, f func() (*Record, error)) error {
	s := c.keyShard(key)
	s.mu.Lock()
	w := s.writing[key]
	if w == nil {
		w = &writers{}
		s.writing[key] = w
	}
	w.n++
	w.several = w.several || w.n > 1
	delete(s.tickets, key)
	c.forget(key)
	s.mu.Unlock()

	r, err := f()

	s.mu.Lock()
	defer s.mu.Unlock()
	if w.n--; w.n == 0 {
		delete(s.writing, key)
		if r != nil && err == nil && !w.several && c.life == 0 { // of a Shared store, others may have changed it since
			c.records.put(key, c.newKept(*r))
		}
	}
	return err
}

// forget removes the key from the cache.
func (c *Cached) forget(key string) {
	s := c.records.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remove(key)
}

// evict forgets a record that was changed past this cache.
func (c *Cached) evict(key string) {
	_ = c.write(key, func() (*Record, error) { return nil, nil })
}

// evictAll forgets everything, because it is not known what has changed.
func (c *Cached) evictAll() {
	for i := range c.keys {
		s := &c.keys[i]
		s.mu.Lock()
		clear(s.tickets)
		s.mu.Unlock()
	}
	c.records.clear()
}

// Create serves Store.
func (c *Cached) Create(ctx context.Context, key string, r Record) error {
	return c.write(key, func() (*Record, error) {
		kept := r.Stored(1)
		return &kept, c.store.Create(ctx, key, r)
	})
}

// Update serves Store.
func (c *Cached) Update(ctx context.Context, key string, r Record) error {
	return c.write(key, func() (*Record, error) {
		kept := r.Stored(r.Version + 1)
		return &kept, c.store.Update(ctx, key, r)
	})
}

// Touch serves Store. The next Load reads the record anew.
func (c *Cached) Touch(ctx context.Context, key string, seen, expires time.Time, mark []byte) error {
	return c.write(key, func() (*Record, error) { return nil, c.store.Touch(ctx, key, seen, expires, mark) })
}

// Delete serves Store.
func (c *Cached) Delete(ctx context.Context, key string) (r Record, err error) {
	err = c.write(key, func() (*Record, error) {
		r, err = c.store.Delete(ctx, key)
		return nil, err
	})
	return r, err
}

// DeleteExpired serves Store.
func (c *Cached) DeleteExpired(ctx context.Context, now time.Time, limit int) ([]Entry, error) {
	gone, err := c.store.DeleteExpired(ctx, now, limit)
	for _, e := range gone {
		c.evict(e.Key)
	}
	return gone, err
}

// List serves Store: it asks the store.
func (c *Cached) List(ctx context.Context, q Query) iter.Seq2[Entry, error] {
	return c.store.List(ctx, q)
}

// Count serves Store: it asks the store.
func (c *Cached) Count(ctx context.Context) (int, error) { return c.store.Count(ctx) }

// CheckHealth serves HealthChecker: it asks the store, if that is one.
func (c *Cached) CheckHealth(ctx context.Context) error {
	if p, ok := c.store.(HealthChecker); ok {
		return p.CheckHealth(ctx)
	}
	return nil
}

// Close ends listening, and closes the store.
func (c *Cached) Close() error {
	c.stop()
	c.watch.Wait()
	return c.store.Close()
}
