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
	cacheTimeout = 250 * time.Millisecond // of a Cache; see Options.Timeout
	cacheLease   = 5 * time.Second        // how long a reader may take to fill an entry
	cacheLife    = 10 * time.Minute       // how long an entry stays at most
)

// A Cache keeps copies of records that lie elsewhere, such as in a database: the
// pgstore.Cache of pgstore.Cached. It lies on one server, or on a master that Sentinel
// watches. Its answers must not be believed by themselves; pgstore.Cached knows when
// they may be. It is safe for concurrent use.
//
// The name of an entry has the epoch in it, and the run id of the server. So what the
// server had before it was started again, or before another one became the master, is
// out of reach.
type Cache struct {
	client  redis.UniversalClient
	prefix  string
	timeout time.Duration
	run     atomic.Pointer[string] // of the server of the newest connection
}

// NewCache returns a cache, or an error that says what is wrong with the options. It
// does not connect.
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

// connected asks the server of a new connection for its run id.
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

// errRestarted means that the server is another one than before, or none.
var errRestarted = errors.New("sessions: redis was started again")

// do calls f with a function that returns the name of an entry. It returns errRestarted
// if the server changed meanwhile: what f has read may be old then.
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

// leased is how a lease begins, and no record.
const leased = "lease:"

// Get serves pgstore.Cache.
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

// Fill serves pgstore.Cache.
func (c *Cache) Fill(ctx context.Context, epoch, key, lease string, r *sessions.Record, life time.Duration) error {
	const script = `if redis.call('get', KEYS[1]) == ARGV[1] then redis.call('set', KEYS[1], ARGV[2], 'PX', ARGV[3]) end return 1`
	return c.do(ctx, epoch, func(ctx context.Context, name func(string) string) error {
		return c.client.Eval(ctx, script, []string{name(key)}, lease, string(sessions.EncodeRecord(key, r)), min(life, cacheLife).Milliseconds()).Err()
	})
}

// Drop serves pgstore.Cache.
func (c *Cache) Drop(ctx context.Context, epoch string, keys ...string) error {
	return c.do(ctx, epoch, func(ctx context.Context, name func(string) string) error {
		names := make([]string, len(keys))
		for i, key := range keys {
			names[i] = name(key)
		}
		return c.client.Del(ctx, names...).Err()
	})
}

// Ping serves pgstore.Cache: it writes, which a full server or a replica refuses.
func (c *Cache) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	return c.client.Set(ctx, c.prefix+"probe", 1, time.Minute).Err()
}

// Close closes the connections. The entries stay; the next start does not believe them.
func (c *Cache) Close() error { return c.client.Close() }
