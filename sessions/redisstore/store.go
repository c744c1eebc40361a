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
// Records are spread over 16 shards by the first digit of their key, so that the order
// of the shards is the order of the keys. A shard lies in one hash slot of a Cluster. It
// has a string for each record, and three sorted sets as indexes: the keys in their
// order, the keys of each user, and the keys by when they expire. Each method that
// writes is one script on one shard, which changes the record and the indexes and
// announces the change in one step. No crash can therefore leave a session that cannot
// be found to be revoked. The price is that a question about a user goes to all shards,
// in one round trip, and that more than 16 masters of a Cluster do not help.
//
// Redis removes a record by itself a day after it has expired, if nobody calls
// DeleteExpired. The indexes still know whose it was, until the next DeleteExpired. They
// have no time to live, so that a policy of eviction for keys with one (volatile-...)
// can end sessions early, but never hides a session from RevokeUser. A policy for all
// keys (allkeys-...) could: Watch logs a warning of it.
//
// Only masters are asked. A replica has not heard of the last logouts; it refuses to
// answer, and that is a failure. Redis copies writes to its replicas and to disk after
// it has answered, so a failover or a crash can lose the last writes, logouts among
// them.
//
// A script is never sent again when its answer did not come: the caller gets a failure,
// not an ErrExists of its own making. No command takes longer than Options.Timeout; List
// and DeleteExpired send several.
type Store struct {
	client  redis.UniversalClient
	prefix  string
	channel string
	log     *slog.Logger
	timeout time.Duration
	now     func() time.Time // tests set it
}

// Options are what a Store or a Cache is made of. URL is required.
type Options struct {
	// URL says where the server is; see Config.URL.
	URL string

	// Password takes the place of a password in URL. "": the one in URL, if any.
	Password string

	// SentinelPassword is the password of the Sentinels themselves. "": none.
	SentinelPassword string

	// KeyPrefix stands before each key and channel. "": gatehouse:. Programs that
	// share a server need prefixes of their own.
	KeyPrefix string

	// TLS is used with rediss, rediss+cluster and rediss+sentinel. Leave ServerName
	// empty: it is the host of whichever server is asked. nil: the system's certificate
	// authorities are trusted.
	TLS *tls.Config

	// Log receives what nobody is told otherwise: when Watch hears nothing. nil: it
	// is discarded.
	Log *slog.Logger

	// Timeout is how long one command may take, with waiting for a connection
	// and making one. 0: 2 seconds, and 250 milliseconds for a Cache, which must
	// not cost more than it saves.
	Timeout time.Duration

	connected func(ctx context.Context, c *redis.Conn) error // called with each new connection; may be nil
}

const (
	defaultTimeout = 2 * time.Second // of a Store; see Options.Timeout
	maxConns       = 64              // connections to each server, without the one of Watch
	maxDials       = 8               // connections that are being made at the same time
	slack          = 24 * time.Hour  // how long Redis keeps records that have expired
)

// New returns a store, or an error that says what is wrong with the options. It does
// not connect: while the server does not answer, every call fails.
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
	redis.SetLogger(silent{}) // for the whole process; it would write to stderr
	return &Store{
		client: at.client(&o), prefix: o.KeyPrefix, channel: o.KeyPrefix + "changed",
		log: o.Log, timeout: o.Timeout, now: time.Now,
	}, nil
}

// Eval runs a script on values that are not sessions, in one step. The values are named
// within kind, such as "throttle", and all of one kind lie in one hash slot of a Cluster.
// It returns what the script returns, nil for false.
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

// begin returns a context for one command, or the error of one that has ended.
func (s *Store) begin(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	return ctx, cancel, nil
}

// failed wraps a failure. In a Cluster it may come from a server that is no longer in
// charge, so the client looks again who is.
func (s *Store) failed(err error) error {
	if c, ok := s.client.(*redis.ClusterClient); ok {
		c.ReloadState(context.Background())
	}
	return fmt.Errorf("sessions: redis: %w", err)
}

// shardOf returns the name of the key's shard: its first digit, three times. These 16
// names lie well apart in the hash slots of a Cluster.
func shardOf(key string) string { return strings.Repeat(string("0123456789abcdef"[digit(key[0])]), 3) }

// digit returns the value of a hexadecimal digit; of any other byte that of a
// neighbour in the order of bytes, so that shards stay in the order of keys.
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

// record returns the name of the record under key in Redis.
func (s *Store) record(key string) string { return s.prefix + "{" + shardOf(key) + "}:session:" + key }

// index returns the name of an index of the shard.
func (s *Store) index(shard, name string) string { return s.prefix + "{" + shard + "}:" + name }

// get returns the command that reads a record: GETEX, which is GET, except that a
// replica refuses it.
func (s *Store) get(ctx context.Context, key string) *redis.StringCmd {
	return redis.NewStringCmd(ctx, "getex", s.record(key))
}

// Load serves sessions.Store.
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

// Create serves sessions.Store.
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

// Update serves sessions.Store.
func (s *Store) Update(ctx context.Context, key string, r sessions.Record) error {
	if key == "" {
		return errNoKey
	}
	next := r.Stored(r.Version + 1)
	return answerOf(s.run(ctx, scriptUpdate, shardOf(key), []string{key},
		key, encode(key, &next), slack.Milliseconds(), r.Version, formatTime(s.now()), s.channel))
}

// Touch serves sessions.Store.
func (s *Store) Touch(ctx context.Context, key string, seen, expires time.Time, mark []byte) error {
	if key == "" {
		return errNoKey
	}
	return answerOf(s.run(ctx, scriptTouch, shardOf(key), []string{key},
		key, formatTime(seen), slack.Milliseconds(), formatTime(expires), formatTime(s.now()), formatMark(mark)))
}

// answerOf returns what the scripts update and touch have answered as the error of a
// Store.
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

// Delete serves sessions.Store.
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

// CheckHealth serves sessions.HealthChecker. It writes to every shard, which fails when
// Redis is full, is a replica, or cannot be reached.
func (s *Store) CheckHealth(ctx context.Context) error {
	return s.each(ctx, allShards, func(p redis.Pipeliner, shard string) {
		p.Set(ctx, s.index(shard, "probe"), 1, time.Minute)
	})
}

// Close closes the connections. Calls after it fail.
func (s *Store) Close() error { return s.client.Close() }
