package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"go.etcd.io/bbolt"

	"gatehouse/auth/account"
	"gatehouse/auth/throttle"
	"gatehouse/config"
	"gatehouse/internal/boltfile"
	"gatehouse/internal/postgres"
	"gatehouse/internal/secret"
	"gatehouse/server/admin"
	"gatehouse/sessions"
	"gatehouse/sessions/pgstore"
	"gatehouse/sessions/redisstore"
)

// secretsFile is the name of the file with the keys in data_dir. The names of the
// others are in package admin.
const secretsFile = "secrets"

// cachedSessions is how many bytes of sessions are kept in memory in front of the
// store.
const cachedSessions = 100 << 20

// postgresPatience is how long a start waits for PostgreSQL.
const postgresPatience = 5 * time.Second

// A storage is what outlives a configuration: the stores of sessions and
// accounts, and the databases below them.
type storage struct {
	dir      string
	db       *bbolt.DB    // gatehouse.db; nil if nothing is kept in it
	postgres *postgres.DB // nil if nothing is kept in PostgreSQL
	store    *sessions.Cached
	accounts *account.Database
	counter  throttle.Counter // counts attempts to sign in, for all nodes; nil: each node counts its own

	formerUntil time.Time // until when sessions of the previous version are accepted; see func formerUntil
}

// openStorage opens data_dir, which it makes if needed, and the stores of
// sessions and accounts. The error is boltfile.ErrLocked if another process has
// them open. PostgreSQL and Redis need not answer yet: until they do, only what
// is public is served. The caller closes the storage.
func openStorage(c *config.Config, log *slog.Logger) (*storage, error) {
	if err := makeDataDir(c.DataDir, log); err != nil {
		return nil, err
	}
	st := &storage{dir: c.DataDir}
	if err := st.open(c, log); err != nil {
		return nil, errors.Join(err, st.close())
	}
	return st, nil
}

// open is the one place that chooses the stores for sessions and accounts. After
// an error, close closes what was opened.
func (s *storage) open(c *config.Config, log *slog.Logger) (err error) {
	var store sessions.Store
	// Without a store from before there is no session of the previous version.
	// Redis and PostgreSQL may have some, of other nodes too.
	fresh := c.Session.Store == "memory" || c.Session.Store == "bolt" && !exists(filepath.Join(s.dir, admin.DatabaseFile))
	switch c.Session.Store {
	case "bolt":
		if err = s.openFile(); err == nil {
			store, err = sessions.NewBolt(s.db)
		}
	case "memory":
		store, err = sessions.NewMemory(), s.openFile()
	case "postgres":
		if err = s.openPostgres(c, log); err == nil {
			s.counter = throttle.NewPostgresCounter(s.postgres)
			store, err = cachedPostgres(pgstore.New(s.postgres), c, log)
		}
	case "redis":
		if err = s.openBeside(c, log); err == nil {
			store, err = s.openRedis(c, log)
		}
	default: // config.Load refuses it before
		err = fmt.Errorf("session.store %q is not known", c.Session.Store)
	}
	if err != nil {
		return fmt.Errorf("open store %s: %w", c.Session.Store, err)
	}
	s.store = sessions.NewCached(store, cachedSessions)
	s.formerUntil, err = formerUntil(c, fresh, log)
	return err
}

// exists reports whether there is a file. A file that cannot be examined counts
// as existing.
func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// openFile opens gatehouse.db and the accounts in it.
func (s *storage) openFile() (err error) {
	if s.db, err = boltfile.Open(filepath.Join(s.dir, admin.DatabaseFile)); err != nil {
		return err
	}
	s.accounts, err = account.NewDatabase(s.db)
	return err
}

// openPostgres opens the database and the accounts in it, and waits up to
// postgresPatience for its schema. An unreachable database is not fatal; an
// incompatible one (postgres.ErrUnfit) is.
func (s *storage) openPostgres(c *config.Config, log *slog.Logger) (err error) {
	if s.postgres, err = postgres.Open(postgres.Options{URL: c.Session.Postgres.URL.Reveal(), Log: log}); err != nil {
		return fmt.Errorf("session.postgres.url %w", err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), postgresPatience)
	defer cancel()
	switch err := s.postgres.Prepare(ctx); {
	case errors.Is(err, postgres.ErrUnfit):
		return err
	case err != nil:
		log.Error("the database does not answer yet; until it does, only what is public is served", "error", err)
	}
	s.accounts = account.NewPostgres(s.postgres)
	return nil
}

// openBeside opens the accounts that go with sessions in Redis: those in
// PostgreSQL if its URL is configured, else only those of the configuration file.
func (s *storage) openBeside(c *config.Config, log *slog.Logger) error {
	if !c.Session.Postgres.URL.IsZero() {
		return s.openPostgres(c, log)
	}
	s.accounts = account.NoDatabase(errors.New("with session.store redis, accounts are those of users in the configuration file; " +
		"write it there, or write session.postgres.url for accounts that all nodes share"))
	return nil
}

// cachedPostgres returns the store with the Redis cache in front, if one is
// configured.
func cachedPostgres(store *pgstore.Store, c *config.Config, log *slog.Logger) (sessions.Store, error) {
	if c.Session.Cache == "" {
		return store, nil
	}
	o, err := c.Session.Redis.Options(log)
	if err != nil {
		return nil, err
	}
	cache, err := redisstore.NewCache(o)
	if err != nil {
		return nil, err
	}
	return pgstore.NewCached(store, cache, log), nil
}

// openRedis returns the store of sessions in Redis. Attempts to sign in are
// counted there as well, for all nodes together.
func (s *storage) openRedis(c *config.Config, log *slog.Logger) (sessions.Store, error) {
	o, err := c.Session.Redis.Options(log)
	if err != nil {
		return nil, err
	}
	store, err := redisstore.New(o)
	if err != nil {
		return nil, err
	}
	s.counter = throttle.NewRedisCounter(store)
	return store, nil
}

// close closes what was opened, in reverse order, and returns all errors.
func (s *storage) close() error {
	var errs []error
	if s.store != nil {
		errs = append(errs, s.store.Close())
	}
	if s.accounts != nil {
		errs = append(errs, s.accounts.Close())
	}
	if s.postgres != nil {
		errs = append(errs, s.postgres.Close())
	}
	if s.db != nil {
		errs = append(errs, s.db.Close())
	}
	return errors.Join(errs...)
}

// keys returns the keys that sign cookies and seal data: those of the
// configuration, else those of the file in data_dir, which is made if it does not
// exist. Each reload reads them again, so keys rotate without a restart.
func (s *storage) keys(c *config.Config) ([][]byte, error) {
	if len(c.Session.Secrets) == 0 {
		return secret.Keys(filepath.Join(s.dir, secretsFile))
	}
	var keys [][]byte
	for _, t := range c.Session.Secrets {
		keys = append(keys, []byte(t.Reveal()))
	}
	return keys, nil
}
