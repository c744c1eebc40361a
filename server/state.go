package server

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	"go.etcd.io/bbolt"

	"gatehouse/auth"
	"gatehouse/config"
	"gatehouse/internal/boltfile"
	"gatehouse/internal/secret"
	"gatehouse/sessions"
)

// The files of data_dir.
const (
	databaseFile = "gatehouse.db"
	secretsFile  = "secrets"
	socketFile   = "control.sock"
)

// cachedSessions bounds the sessions that are kept in memory in front of the
// store: about 100 MB at the most.
const cachedSessions = 200_000

// A state is what outlives a configuration: the database and what lies in it.
type state struct {
	dir      string
	db       *bbolt.DB
	store    *sessions.Cached
	accounts *auth.Database
}

// openState opens data_dir, which it makes. It fails with boltfile.ErrLocked
// when another process has the database.
func openState(c *config.Config, log *slog.Logger) (*state, error) {
	if err := makeDataDir(c.DataDir, log); err != nil {
		return nil, err
	}
	db, err := boltfile.Open(filepath.Join(c.DataDir, databaseFile))
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	st := &state{dir: c.DataDir, db: db}
	if st.accounts, err = auth.NewDatabase(db); err != nil {
		return nil, errors.Join(fmt.Errorf("open accounts: %w", err), db.Close())
	}
	store, err := openStore(c, db, log)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open sessions: %w", err), db.Close())
	}
	st.store = sessions.NewCached(store, cachedSessions)
	return st, nil
}

// openStore is the one place that chooses a store of sessions.
func openStore(c *config.Config, db *bbolt.DB, log *slog.Logger) (sessions.Store, error) {
	switch name := c.Session.Store; name {
	case "bolt":
		return sessions.NewBolt(db)
	case "memory":
		return sessions.NewMemory(), nil
	case "redis":
		o, err := c.Session.Redis.Options(log)
		if err != nil {
			return nil, err
		}
		return sessions.NewRedis(o)
	default:
		return nil, fmt.Errorf("session.store %q is not known", name) // config.Load refuses it before
	}
}

func (s *state) close() error {
	return errors.Join(s.store.Close(), s.db.Close())
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
