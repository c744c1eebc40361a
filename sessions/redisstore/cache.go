package redisstore

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"gatehouse/sessions"
)

const (
	cacheTimeout = 250 * time.Millisecond // how long a command may take: it must not cost more than it saves
	cacheLease   = 5 * time.Second        // how long a reader may take to fill an entry
	cacheLife    = 10 * time.Minute       // how long an entry stays at most
)

// A Cache keeps records that lie elsewhere in Redis, one server or a
// master that Sentinel watches. What it says is not to be believed by itself:
// CachedDB knows when it may be.
//
// The name of an entry holds the epoch, and the run id of the server: what a
// server had before it was started again, or before another one was made the
// master, is out of reach.
type Cache struct {
	client  redis.UniversalClient
	prefix  string
	timeout time.Duration
	run     atomic.Pointer[string] // of the server of the newest connection
}

// NewCache checks the options. It does not connect.
func NewCache(o Options) (*Cache, error) {
	at, err := parseURL(o.URL)
	if err != nil {
		return nil, fmt.Errorf("sessions: the URL of redis %w", err)
	}
	if at.cluster {
		return nil, errors.New("sessions: the URL of redis names a Cluster; a cache is one server, or redis+sentinel")
	}
	if o.KeyPrefix == "" {
		o.KeyPrefix = defaultPrefix
	}
	if o.Timeout == 0 {
		o.Timeout = cacheTimeout
	}
	c := &Cache{prefix: o.KeyPrefix + "cache:", timeout: o.Timeout}
	redis.SetLogger(silent{}) // see New
	o.connected = c.connected
	c.client = at.client(&o)
	return c, nil
}

// connected asks a new connection which server it leads to.
func (c *Cache) connected(ctx context.Context, conn *redis.Conn) error {
	info, err := conn.Info(ctx, "server").Result()
	if err != nil {
		return err
	}
	for line := range strings.Lines(info) {
		if id, ok := strings.CutPrefix(strings.TrimSpace(line), "run_id:"); ok {
			c.run.Store(&id)
			return nil
		}
	}
	return errors.New("redis does not say its run_id")
}

// errRestarted says that the server is another one than it was.
var errRestarted = errors.New("sessions: redis was started again")

// do calls f with the name of the entry, or names for several, and fails with
// errRestarted when the server changed meanwhile.
func (c *Cache) do(ctx context.Context, epoch string, f func(ctx context.Context, name func(key string) string) error) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	run := c.run.Load()
	if run == nil {
		return errRestarted
	}
	name := func(key string) string { return c.prefix + epoch + ":" + *run + ":" + key }
	if err := f(ctx, name); err != nil {
		return err
	}
	if now := c.run.Load(); *now != *run {
		return errRestarted
	}
	return nil
}

// leased is what a lease begins with, and no record.
const leased = "lease:"

// Get returns the record under key, or a lease with which to fill it; neither
// while somebody else has the lease.
func (c *Cache) Get(ctx context.Context, epoch, key string) (r sessions.Record, found bool, lease string, err error) {
	value := ""
	err = c.do(ctx, epoch, func(ctx context.Context, name func(string) string) error {
		value, err = c.client.Get(ctx, name(key)).Result()
		if !errors.Is(err, redis.Nil) {
			return err
		}
		mine := leased + rand.Text()
		got, err := c.client.SetNX(ctx, name(key), mine, cacheLease).Result()
		if got {
			lease = mine
		}
		return err
	})
	if err != nil || value == "" || strings.HasPrefix(value, leased) {
		return sessions.Record{}, false, lease, err
	}
	r, err = sessions.DecodeRecord(key, []byte(value))
	if err != nil {
		return sessions.Record{}, false, "", nil //nolint:nilerr // the database knows better
	}
	return r, true, "", nil
}

// Fill puts the record under key, if the lease still counts: nobody has
// dropped the entry meanwhile.
func (c *Cache) Fill(ctx context.Context, epoch, key, lease string, r *sessions.Record, life time.Duration) error {
	const script = `if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('set', KEYS[1], ARGV[2], 'PX', ARGV[3]) end return 1`
	return c.do(ctx, epoch, func(ctx context.Context, name func(string) string) error {
		return c.client.Eval(ctx, script, []string{name(key)}, lease, string(sessions.EncodeRecord(key, r)), min(life, cacheLife).Milliseconds()).Err()
	})
}

// Drop removes entries, and takes away the leases for them.
func (c *Cache) Drop(ctx context.Context, epoch string, keys ...string) error {
	return c.do(ctx, epoch, func(ctx context.Context, name func(string) string) error {
		names := make([]string, len(keys))
		for i, key := range keys {
			names[i] = name(key)
		}
		return c.client.Del(ctx, names...).Err()
	})
}

// Ping reports an error while the server cannot be used.
func (c *Cache) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.client.Set(ctx, c.prefix+"probe", 1, time.Minute).Err()
}

// Close closes the connections. The entries stay, and nobody believes them.
func (c *Cache) Close() error { return c.client.Close() }
