package redisstore

import (
	"context"
	"crypto/tls"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"

	"gatehouse/sessions"
)

// Store is the Shared store in Redis or Valkey, 6.2 or later: one server, a
// master that Sentinel watches, or a Cluster.
//
// Records are spread over 16 shards by the first digit of their key, so that
// the order of the shards is the order of the keys. A shard is one hash slot
// of a Cluster: it has a string for each record, and three sorted sets beside
// them, the keys in their order, the keys of each user, and the keys by the
// time when they expire. Each method that writes is one script on one shard,
// which changes the record and the indexes in one step and announces it in
// the same step. So there is never a session that cannot be found for
// revocation, not even after a crash between two commands: there are no two.
// The price is that a question about a user goes to all shards (in one round
// trip), and that a Cluster of more than 16 masters leaves some without work.
//
// Redis drops a record by itself a day after it has expired, should nobody
// call DeleteExpired. The indexes know whose it was, and forget it in the next
// DeleteExpired. They have no time to live, so that a policy of eviction which
// takes keys with one (volatile-...) ends sessions early, and never hides one
// from RevokeUser. A policy that takes any key (allkeys-...) could: Watch warns
// of it in the log.
//
// Only a master is ever asked. A replica, or a master that a failover has made
// one, has not heard of the last logouts; it refuses the read, and that is
// "could not tell". Redis copies to replicas and to disk after it has
// answered: what it lost in a failover or a crash, it has lost, a logout too.
//
// What might have been done is not done again: a script whose answer did not
// come is an error and not a wrong ErrExists. No call takes longer than 2
// seconds for each of its steps.
type Store struct {
	client  redis.UniversalClient
	prefix  string
	channel string
	log     *slog.Logger
	timeout time.Duration
	now     func() time.Time
}

// Options are what a Redis store is made of.
type Options struct {
	URL              string      // required; see Config.URL
	Password         string      // in place of one in URL; "": that
	SentinelPassword string      // of the Sentinels themselves; "": none
	KeyPrefix        string      // before each key; "": gatehouse:
	TLS              *tls.Config // for rediss; nil: whom the system trusts. The name is always that of the server asked
	Log              *slog.Logger

	// Timeout is how long one command may take, with waiting for a connection
	// and making one. 0: 2 seconds, and 250 milliseconds for a Cache, which must
	// not cost more than it saves.
	Timeout time.Duration

	connected func(ctx context.Context, c *redis.Conn) error // is told of each new connection; may be nil
}

const (
	defaultTimeout = 2 * time.Second // how long a command may take, with waiting and connecting
	maxConns       = 64              // connections to each server at most, but for the one of Watch
	maxDials       = 8               // connections that are being made at a time; who waits may get another's
	slack          = 24 * time.Hour  // how long Redis keeps what has expired
)

//go:embed lua/*.lua
var luaFiles embed.FS

// New checks the options. It does not connect: a server that does not
// answer now may do so later, and until then every call fails.
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
	redis.SetLogger(silent{}) // what it would write by the way to stderr, calls return as well
	return &Store{
		client: at.client(&o), prefix: o.KeyPrefix, channel: o.KeyPrefix + "changed",
		log: o.Log, timeout: o.Timeout, now: time.Now,
	}, nil
}

// silent is a logger of go-redis.
type silent struct{}

func (silent) Printf(context.Context, string, ...any) {}

// client makes the client for the kind of address.
func (a *address) client(o *Options) redis.UniversalClient {
	u := &redis.UniversalOptions{
		Addrs: a.hosts, MasterName: a.master, DB: a.db, Username: a.user, Password: a.password,
		SentinelPassword: o.SentinelPassword, OnConnect: o.connected,
		Protocol: 2, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
		MaxRetries:               -1, DialerRetries: 1, ContextTimeoutEnabled: true,
		DialTimeout: o.Timeout, ReadTimeout: o.Timeout, WriteTimeout: o.Timeout, PoolTimeout: o.Timeout,
		PoolSize: maxConns, MaxActiveConns: maxConns, MaxConcurrentDials: maxDials, ConnMaxIdleTime: 5 * time.Minute, PipelinePoolSize: -1,
	}
	if o.Password != "" {
		u.Password = o.Password
	}
	if a.tls {
		u.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		if o.TLS != nil {
			u.TLSConfig = o.TLS.Clone()
		}
	}
	switch {
	case a.master != "":
		return redis.NewFailoverClient(u.Failover())
	case a.cluster:
		c := u.Cluster()
		c.ClusterStateReloadInterval = 5 * time.Second
		c.DisableRoutingPolicies = true // the keys of a command say where it goes
		return redis.NewClusterClient(c)
	default:
		s := u.Simple()
		if a.unix {
			s.Network = "unix"
		}
		return redis.NewClient(s)
	}
}

// A script runs on the server in one step.
type script struct{ text, hash string }

// The scripts, each with what they share in front.
var (
	scriptCreate = loadScript("create")
	scriptUpdate = loadScript("update")
	scriptTouch  = loadScript("touch")
	scriptDelete = loadScript("delete")
	scriptSweep  = loadScript("sweep")
)

func loadScript(name string) script {
	var text strings.Builder
	for _, file := range []string{"head", name} {
		b, err := luaFiles.ReadFile("lua/" + file + ".lua")
		if err != nil {
			panic(err) // it is embedded
		}
		text.Write(b)
	}
	return script{text.String(), redis.NewScript(text.String()).Hash()}
}

// once is a command that is sent once: the client repeats it only if the
// server has refused it.
type once struct{ *redis.Cmd }

func (once) NoRetry() bool { return true }

// run does a script on the shard, for the records. A server that does not know
// the script has done nothing, and is told it.
func (s *Store) run(ctx context.Context, what script, shard string, keys []string, args ...any) (any, error) {
	ctx, cancel, err := s.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer cancel()
	head := []any{"evalsha", what.hash, 3 + len(keys), s.index(shard, "keys"), s.index(shard, "users"), s.index(shard, "expiry")}
	for _, key := range keys {
		head = append(head, s.record(key))
	}
	head = append(head, args...)
	cmd := once{redis.NewCmd(ctx, head...)}
	err = s.client.Process(ctx, cmd)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		again := append([]any{"eval", what.text}, head[2:]...)
		cmd = once{redis.NewCmd(ctx, again...)}
		err = s.client.Process(ctx, cmd)
	}
	if errors.Is(err, redis.Nil) {
		return nil, nil //nolint:nilnil // the script said false
	}
	if err != nil {
		return nil, s.failed(err)
	}
	return cmd.Val(), nil
}

// Eval runs a script of others, in one step, on values that are no sessions:
// they are called by name within kind, and lie in one slot of a Cluster.
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

// begin begins a step, unless ctx has ended.
func (s *Store) begin(ctx context.Context) (context.Context, context.CancelFunc, error) {
	if err := ctx.Err(); err != nil {
		return nil, nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	return ctx, cancel, nil
}

// failed wraps what is no answer. In a Cluster it may come from asking a
// server that is not in charge any more.
func (s *Store) failed(err error) error {
	if c, ok := s.client.(*redis.ClusterClient); ok {
		c.ReloadState(context.Background())
	}
	return fmt.Errorf("sessions: redis: %w", err)
}

// shardOf names the key's shard. The digit stands there three times because
// those 16 names lie well apart in the slots of a Cluster.
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

func (s *Store) record(key string) string { return s.prefix + "{" + shardOf(key) + "}:session:" + key }

func (s *Store) index(shard, name string) string { return s.prefix + "{" + shard + "}:" + name }

// get reads a record. GETEX is a GET that only a master answers.
func (s *Store) get(ctx context.Context, key string) *redis.StringCmd {
	return redis.NewStringCmd(ctx, "getex", s.record(key))
}

// Load serves Store.
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

// Create serves Store.
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

// Update serves Store.
func (s *Store) Update(ctx context.Context, key string, r sessions.Record) error {
	if key == "" {
		return errNoKey
	}
	next := r.Stored(r.Version + 1)
	return verdict(s.run(ctx, scriptUpdate, shardOf(key), []string{key},
		key, encode(key, &next), slack.Milliseconds(), r.Version, formatTime(s.now()), s.channel))
}

// Touch serves Store.
func (s *Store) Touch(ctx context.Context, key string, seen, expires time.Time, mark []byte) error {
	if key == "" {
		return errNoKey
	}
	return verdict(s.run(ctx, scriptTouch, shardOf(key), []string{key},
		key, formatTime(seen), slack.Milliseconds(), formatTime(expires), formatTime(s.now()), formatMark(mark)))
}

// verdict reads what update and touch say.
func verdict(said any, err error) error {
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

// Delete serves Store. A damaged record goes as well; what it said is not
// known.
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

// CheckHealth reports whether every shard can be written to: not when Redis is full, a
// replica, or gone.
func (s *Store) CheckHealth(ctx context.Context) error {
	return s.each(ctx, allShards, func(p redis.Pipeliner, shard string) {
		p.Set(ctx, s.index(shard, "probe"), 1, time.Minute)
	})
}

// Close serves Store.
func (s *Store) Close() error { return s.client.Close() }
