// Package redisstore keeps sessions in Redis or Valkey, where several processes share
// them. Store is a whole store; Cache keeps copies of records that lie in a database,
// for pgstore.Cached.
package redisstore

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"gatehouse/sessions"
)

// Store is the sessions.SharedStore in Redis or Valkey, 6.2 or later: on one server, on
// a master that Sentinel watches, or in a Cluster. It is safe for concurrent use.
//
// Records are spread over 16 shards by the first digit of their key, so the order of the
// shards is the order of the keys. Each shard lies in one hash slot of a Cluster. It has a
// string for each record and three sorted sets as indexes: all keys, the keys of each
// user, and the keys by expiry. Each method that writes runs one script on one shard,
// which changes the record and the indexes and announces the change atomically. So no
// crash can leave a session that revoking does not find. The price: a query for a user
// goes to all shards, in one round trip, and more than 16 masters of a Cluster do not
// help.
//
// If nobody calls DeleteExpired, Redis removes a record by itself a day after it has
// expired. The indexes keep its key and user until the next DeleteExpired. They have no
// time to live, so an eviction policy for keys with one (volatile-...) can end sessions
// early, but never hides a session from RevokeUser. A policy for all keys (allkeys-...)
// could: Watch logs a warning of it.
//
// Only masters are used. A replica may not know the latest logouts, so the commands are
// chosen so that it refuses them, which is a failure. Redis copies writes to replicas and
// to disk after it has answered: a failover or a crash can lose the latest writes,
// including logouts.
//
// A script whose answer was lost is never sent again: the caller gets a failure, not an
// ErrExists that it has caused itself. No command takes longer than Options.Timeout; List
// and DeleteExpired send several.
type Store struct {
	client  redis.UniversalClient
	prefix  string
	channel string
	log     *slog.Logger
	timeout time.Duration
	now     func() time.Time // tests set it
}

// Options configure a Store or a Cache. URL is required.
type Options struct {
	// URL says where the server is; see Config.URL.
	URL string

	// Password takes the place of a password in URL. "": the one in URL, if any.
	Password string

	// SentinelPassword is the password of the Sentinels themselves. "": none.
	SentinelPassword string

	// KeyPrefix is the prefix of every key and channel. "": "gatehouse:". Programs
	// that share a server need different prefixes.
	KeyPrefix string

	// TLS is used with rediss, rediss+cluster and rediss+sentinel. Leave ServerName
	// empty: it is set to the host of each server. nil: TLS 1.2 or later, with the
	// system's certificate authorities.
	TLS *tls.Config

	// Log receives what no call can return as an error: outages of Watch and a
	// dangerous eviction policy. nil: it is discarded.
	Log *slog.Logger

	// Timeout limits each command, including the wait for a connection. 0: 2 seconds
	// for a Store, 250 milliseconds for a Cache, which must not cost more than it
	// saves.
	Timeout time.Duration

	connected func(ctx context.Context, c *redis.Conn) error // called with each new connection; may be nil
}

const (
	defaultTimeout = 2 * time.Second // default of Options.Timeout for a Store
	maxConns       = 64              // connections to each server, not counting the one of Watch
	maxDials       = 8               // connections that are being opened at the same time
	slack          = 24 * time.Hour  // how long Redis keeps a record after its expiry
)

// New returns a store, or an error that says what is wrong with the options. It does not
// connect; while the server cannot be reached, every call fails. Call Close when it is no
// longer used. It silences the logger of go-redis for the whole process.
func New(o Options) (*Store, error) {
	at, err := parseURL(o.URL)
	if err != nil {
		return nil, fmt.Errorf("sessions: the URL of redis %w", err)
	}
	if o.KeyPrefix == "" {
		o.KeyPrefix = defaultPrefix
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	redis.SetLogger(silent{}) // for the whole process; the default writes to stderr
	return &Store{
		client: at.client(&o), prefix: o.KeyPrefix, channel: o.KeyPrefix + "changed",
		log: o.Log, timeout: o.Timeout, now: time.Now,
	}, nil
}

// Eval runs a script atomically on values that are not sessions, such as counters of
// failed logins. kind is a namespace, such as "throttle"; names are the names of the
// values in it, which become KEYS. All values of one kind lie in one hash slot of a
// Cluster. Eval returns what the script returns, and nil for false. If the answer is lost,
// the script may have run.
func (s *Store) Eval(ctx context.Context, script *redis.Script, kind string, names []string, args ...any) (any, error) {
	ctx, cancel, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	keys := make([]string, len(names))
	for i, name := range names {
		keys[i] = s.index(kind, name)
	}
	answer, err := script.Run(ctx, s.client, keys, args...).Result()
	if err != nil && !errors.Is(err, redis.Nil) {
		return nil, s.failed(err)
	}
	return answer, nil
}

// begin returns a context that limits one command to the timeout, or the error of ctx if
// that has ended already.
func (s *Store) begin(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	return ctx, cancel, nil
}

// failed wraps an error of the client. In a Cluster the error may come from a server that
// is no longer responsible, so the client reloads the map of the Cluster in the
// background.
func (s *Store) failed(err error) error {
	if c, ok := s.client.(*redis.ClusterClient); ok {
		c.ReloadState(context.Background())
	}
	return fmt.Errorf("sessions: redis: %w", err)
}

// shardOf returns the name of the key's shard: its first digit, three times. The names are
// hash tags, and these 16 lie far apart in the slots of a Cluster. key must not be empty.
func shardOf(key string) string { return strings.Repeat(string("0123456789abcdef"[digit(key[0])]), 3) }

// digit returns the value of a hexadecimal digit. For any other byte it returns that of the
// nearest digit in byte order, so that shards stay in the order of keys.
func digit(c byte) int {
	switch {
	case c <= '9':
		return int(max(c, '0') - '0')
	case c < 'a':
		return 9
	default:
		return int(min(c, 'f')-'a') + 10
	}
}

// record returns the Redis key of the record under key.
func (s *Store) record(key string) string { return s.prefix + "{" + shardOf(key) + "}:session:" + key }

// index returns the Redis key of an index of the shard: keys, users or expiry.
func (s *Store) index(shard, name string) string { return s.prefix + "{" + shard + "}:" + name }

// get returns the command that reads a record. GETEX without options is GET, but counts as
// a write: a replica, whose data may be outdated, refuses it.
func (s *Store) get(ctx context.Context, key string) *redis.StringCmd {
	return redis.NewStringCmd(ctx, "getex", s.record(key))
}

// Load implements sessions.Store.
func (s *Store) Load(ctx context.Context, key string) (sessions.Record, error) {
	if key == "" {
		return sessions.Record{}, errNoKey
	}
	ctx, cancel, err := s.begin(ctx)
	if err != nil {
		return sessions.Record{}, err
	}
	defer cancel()
	cmd := s.get(ctx, key)
	_ = s.client.Process(ctx, cmd) // cmd has the error
	r, err := readRecord(key, cmd)
	switch {
	case errors.Is(err, redis.Nil):
		return sessions.Record{}, sessions.ErrNotFound
	case errors.Is(err, sessions.ErrDamaged):
		return sessions.Record{}, err
	case err != nil:
		return sessions.Record{}, s.failed(err)
	case r.Expired(s.now()):
		return sessions.Record{}, sessions.ErrNotFound
	}
	return r, nil
}

var errNoKey = errors.New("sessions: the key is empty")

// Create implements sessions.Store. It announces nothing: nobody can hold an old copy.
func (s *Store) Create(ctx context.Context, key string, r sessions.Record) error {
	if key == "" {
		return errNoKey
	}
	r = r.Stored(1)
	free, err := s.run(ctx, scriptCreate, shardOf(key), []string{key}, key, encode(key, &r), slack.Milliseconds())
	if err == nil && free != int64(1) {
		return sessions.ErrExists
	}
	return err
}

// Update implements sessions.Store. It announces the change to Watch on every node.
func (s *Store) Update(ctx context.Context, key string, r sessions.Record) error {
	if key == "" {
		return errNoKey
	}
	next := r.Stored(r.Version + 1)
	return answerOf(s.run(ctx, scriptUpdate, shardOf(key), []string{key},
		key, encode(key, &next), slack.Milliseconds(), r.Version, formatTime(s.now()), s.channel))
}

// Touch implements sessions.Store. It announces nothing: an older copy only makes a reader
// believe that the session ends earlier.
func (s *Store) Touch(ctx context.Context, key string, seen, expires time.Time, mark []byte) error {
	if key == "" {
		return errNoKey
	}
	return answerOf(s.run(ctx, scriptTouch, shardOf(key), []string{key},
		key, formatTime(seen), slack.Milliseconds(), formatTime(expires), formatTime(s.now()), formatMark(mark)))
}

// answerOf converts the result of the scripts update and touch to an error of
// sessions.Store.
func answerOf(said any, err error) error {
	switch {
	case err != nil:
		return err
	case said == "done":
		return nil
	case said == "absent":
		return sessions.ErrNotFound
	case said == "changed":
		return sessions.ErrConflict
	default:
		return fmt.Errorf("sessions: redis: unexpected answer %v", said)
	}
}

// Delete implements sessions.Store. It returns the zero Record for one that was damaged.
func (s *Store) Delete(ctx context.Context, key string) (sessions.Record, error) {
	if key == "" {
		return sessions.Record{}, errNoKey
	}
	said, err := s.run(ctx, scriptDelete, shardOf(key), []string{key}, key, s.channel)
	if err != nil {
		return sessions.Record{}, err
	}
	value, ok := said.(string)
	if !ok {
		return sessions.Record{}, sessions.ErrNotFound
	}
	r, err := decode(key, value)
	if err != nil {
		return sessions.Record{}, nil //nolint:nilerr // it is gone, and that was the question
	}
	return r, nil
}

// CheckHealth implements sessions.HealthChecker. It writes a key to every shard, which
// fails if one of the servers is full, is a replica, or cannot be reached.
func (s *Store) CheckHealth(ctx context.Context) error {
	return s.each(ctx, allShards, func(p redis.Pipeliner, shard string) {
		p.Set(ctx, s.index(shard, "probe"), 1, time.Minute)
	})
}

// Close closes the connections. Calls after it fail.
func (s *Store) Close() error { return s.client.Close() }
