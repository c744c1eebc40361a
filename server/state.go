package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"go.etcd.io/bbolt"

	"gatehouse/auth"
	"gatehouse/config"
	"gatehouse/internal/boltfile"
	"gatehouse/internal/postgres"
	"gatehouse/internal/secret"
	"gatehouse/server/admin"
	"gatehouse/sessions"
	"gatehouse/sessions/pgstore"
	"gatehouse/sessions/redisstore"
)

// secretsFile is the file of data_dir that holds the keys; see package admin
// for the others.
const secretsFile = "secrets"

// cachedSessions bounds the bytes of sessions that are kept in memory in front
// of the store.
const cachedSessions = 100 << 20

// postgresPatience is how long the start waits for a database.
const postgresPatience = 5 * time.Second

// A state is what outlives a configuration: sessions and accounts, and what
// they lie in.
type state struct {
	dir      string
	db       *bbolt.DB    // nil: nothing lies in gatehouse.db
	postgres *postgres.DB // nil: nothing lies in PostgreSQL
	store    *sessions.Cached
	accounts *auth.Database
	counter  auth.Counter // of tries to sign in, for all nodes; nil: each node counts by itself

	formerUntil time.Time // see there
}

// openState opens data_dir, which it makes, and what sessions and accounts lie
// in. It fails with boltfile.ErrLocked when another process has that. A
// database or Redis elsewhere need not be there yet: until it is, nobody can
// tell who is signed in.
func openState(c *config.Config, log *slog.Logger) (*state, error) {
	if err := makeDataDir(c.DataDir, log); err != nil {
		return nil, err
	}
	st := &state{dir: c.DataDir}
	if err := st.open(c, log); err != nil {
		return nil, errors.Join(err, st.close())
	}
	return st, nil
}

// open is the one place that chooses where sessions and accounts lie.
func (s *state) open(c *config.Config, log *slog.Logger) (err error) {
	var store sessions.Store
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
			s.counter = auth.NewPostgresCounter(s.postgres)
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

// exists reports whether there is a file; what cannot be looked at is there.
func exists(path string) bool {
	_, err := os.Stat(path)
	return !errors.Is(err, fs.ErrNotExist)
}

// openFile opens gatehouse.db, and the accounts in it.
func (s *state) openFile() (err error) {
	if s.db, err = boltfile.Open(filepath.Join(s.dir, admin.DatabaseFile)); err != nil {
		return err
	}
	s.accounts, err = auth.NewDatabase(s.db)
	return err
}

// openPostgres opens the database, and the accounts in it. It waits a moment
// for the schema. That the database does not answer is not its end; that it
// cannot be used as it is, is.
func (s *state) openPostgres(c *config.Config, log *slog.Logger) (err error) {
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
	s.accounts = auth.NewPostgres(s.postgres)
	return nil
}

// openBeside opens the accounts beside sessions in Redis: in PostgreSQL, or
// nowhere.
func (s *state) openBeside(c *config.Config, log *slog.Logger) error {
	if !c.Session.Postgres.URL.IsZero() {
		return s.openPostgres(c, log)
	}
	s.accounts = auth.NoDatabase(errors.New("with session.store redis, accounts are those of users in the configuration file; " +
		"write it there, or write session.postgres.url for accounts that all nodes share"))
	return nil
}

// cachedPostgres puts the cache in front of the store, if there is to be one.
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

func (s *state) openRedis(c *config.Config, log *slog.Logger) (sessions.Store, error) {
	o, err := c.Session.Redis.Options(log)
	if err != nil {
		return nil, err
	}
	store, err := redisstore.New(o)
	if err != nil {
		return nil, err
	}
	s.counter = auth.NewRedisCounter(store)
	return store, nil
}

// close closes what was opened, last first.
func (s *state) close() error {
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

// keys gives the keys that sign cookies and seal data: of the configuration,
// else of the file in data_dir, which is made on the first start. The file is
// read again at each reload, so keys rotate without a restart.
func (s *state) keys(c *config.Config) ([][]byte, error) {
	if len(c.Session.Secrets) == 0 {
		return secret.Keys(filepath.Join(s.dir, secretsFile))
	}
	var keys [][]byte
	for _, t := range c.Session.Secrets {
		keys = append(keys, []byte(t.Reveal()))
	}
	return keys, nil
}

// makeDataDir makes the folder for its owner only, and warns of one that
// others may look into: the files in it are closed by themselves, but their
// names and sizes are not.
func makeDataDir(dir string, log *slog.Logger) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make data_dir: %w", err)
	}
	st, err := os.Stat(dir)
	if err == nil {
		err = ownedByUs(dir)
	}
	switch {
	case err != nil:
		return fmt.Errorf("read data_dir: %w", err)
	case !st.IsDir():
		return fmt.Errorf("data_dir %s is no folder", dir)
	case st.Mode().Perm()&0o022 != 0:
		return fmt.Errorf("data_dir %s can be written by others (%#o); chmod 700 it", dir, st.Mode().Perm())
	case st.Mode().Perm()&0o077 != 0:
		log.Warn("others may list data_dir; chmod 700 it", "data_dir", dir, "mode", fs.FileMode.String(st.Mode()))
	}
	return nil
}

// ownedByUs refuses a folder that somebody else may have put in our place,
// where others can write to the folder around it. root may use what belongs to
// the user whom the gate runs as.
func ownedByUs(dir string) error {
	around, err := os.Stat(filepath.Dir(dir))
	if err != nil || around.Mode().Perm()&0o002 == 0 || around.Mode()&os.ModeSticky != 0 && os.Geteuid() == 0 {
		return nil
	}
	st, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	owner, ok := st.Sys().(*syscall.Stat_t)
	if st.Mode()&os.ModeSymlink != 0 || ok && os.Geteuid() != 0 && int64(owner.Uid) != int64(os.Geteuid()) {
		return fmt.Errorf("%s is not our own folder, and others can write to the one around it", dir)
	}
	return nil
}
