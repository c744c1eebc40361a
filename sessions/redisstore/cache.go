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
	cacheTimeout = 250 * time.Millisecond // default of Options.Timeout for a Cache
	cacheLease   = 5 * time.Second        // how long a reader may take from Get to Fill
	cacheLife    = 10 * time.Minute       // the longest life of an entry
)

// A Cache keeps copies of records that are stored elsewhere, in a database: it implements
// pgstore.Cache, for pgstore.Cached. It uses one server, or a master watched by Sentinel,
// but no Cluster. An entry alone proves nothing, since it may be outdated: pgstore.Cached
// decides when it may be used. It is safe for concurrent use.
//
// The name of an entry includes the epoch of pgstore.Cached and the run id of the server.
// So entries from before a restart of the server or a failover, which may have missed
// writes, are never found again; they expire by themselves.
type Cache struct {
	client  redis.UniversalClient
	prefix  string
	timeout time.Duration
	run     atomic.Pointer[string] // run id of the server of the newest connection; nil: none yet
}

// NewCache returns a cache, or an error that says what is wrong with the options. It does
// not connect; while the server cannot be reached, every call fails. Call Close when it is
// no longer used.
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

// connected is called with each new connection before its first use. It asks the server
// for its run id, and an error refuses the connection: entries could not be named.
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

// errRestarted means that no server has been reached yet, or that it changed during a call.
// The result of that call must not be used.
var errRestarted = errors.New("sessions: redis was started again")

// do calls f with a function that returns the name of an entry, within c.timeout. It
// compares the run id before and after, and returns errRestarted if it changed: what f
// has read under the old name may be outdated.
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

// leased is the prefix of a lease, which is stored in place of a record until Fill. No
// encoded record begins with it.
const leased = "lease:"

// Get implements pgstore.Cache. On a miss it stores a lease for cacheLease and returns it,
// unless another reader holds one: then lease is "", and the caller must not fill. An
// entry that cannot be decoded is a miss without a lease.
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
		return sessions.Record{}, false, "", nil //nolint:nilerr // the database has a whole one
	}
	return r, true, "", nil
}

// Fill implements pgstore.Cache. It stores the record only if the lease is still there, in
// one step: Drop removes the lease, so what was read before a write is never stored after
// it. The entry lives for life, but cacheLife at most.
func (c *Cache) Fill(ctx context.Context, epoch, key, lease string, r *sessions.Record, life time.Duration) error {
	const script = `if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('set', KEYS[1], ARGV[2], 'PX', ARGV[3]) end return 1`
	return c.do(ctx, epoch, func(ctx context.Context, name func(string) string) error {
		return c.client.Eval(ctx, script, []string{name(key)}, lease, string(sessions.EncodeRecord(key, r)), min(life, cacheLife).Milliseconds()).Err()
	})
}

// Drop implements pgstore.Cache: it removes entries and leases. Removing what is not there
// is no error.
func (c *Cache) Drop(ctx context.Context, epoch string, keys ...string) error {
	return c.do(ctx, epoch, func(ctx context.Context, name func(string) string) error {
		names := make([]string, len(keys))
		for i, key := range keys {
			names[i] = name(key)
		}
		return c.client.Del(ctx, names...).Err()
	})
}

// Ping implements pgstore.Cache. It writes a key, so that a full server or a replica,
// which cannot remove entries either, counts as broken.
func (c *Cache) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.client.Set(ctx, c.prefix+"probe", 1, time.Minute).Err()
}

// Close closes the connections. The entries stay on the server until they expire, and are
// not used after the next start.
func (c *Cache) Close() error { return c.client.Close() }
