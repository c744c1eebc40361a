package account

import (
	"context"
	"sync"
	"time"

	"gatehouse/internal/postgres"
)

const (
	// accountsChannel is the channel of the NOTIFY that each change sends.
	accountsChannel = "gatehouse_accounts"
	// sharedFor is how long an account that other nodes may change is cached: as
	// long as one of their sessions.
	sharedFor = 3 * time.Second
	// postgresPatience is the timeout of one query, and of one edit with all its
	// retries.
	postgresPatience = 3 * time.Second
)

// NewPostgres returns the accounts in the table gatehouse.accounts, which other
// nodes change as well. Each change is announced in the transaction that makes
// it; the Database listens until Close. The caller keeps db, and closes it after
// the Database. The server need not be reachable yet: until it is, reads and
// changes return errors.
func NewPostgres(db *postgres.DB) *Database {
	d := newDatabase(postgresKeeper{db, postgresPatience})
	d.life = sharedFor
	ctx, stop := context.WithCancel(context.Background())
	var listener sync.WaitGroup
	listener.Go(func() { db.Listen(ctx, accountsChannel, d.forget, d.forgetAll) })
	d.stop = func() { stop(); listener.Wait() }
	return d
}

// postgresKeeper is the accountStore in PostgreSQL; records are of type jsonb.
type postgresKeeper struct {
	db       *postgres.DB
	patience time.Duration // postgresPatience, except in tests
}

func (k postgresKeeper) read(ctx context.Context, name string) (v []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, k.patience)
	defer cancel()
	err = k.db.Query(ctx, func(row postgres.Row) error { return row.Scan(&v) },
		"SELECT account::text FROM gatehouse.accounts WHERE name = $1", name)
	return v, err
}

// edit is optimistic: it retries until no one has changed the account between
// the read and the write. It holds no lock, so no node can make another wait.
func (k postgresKeeper) edit(ctx context.Context, name string, f func([]byte) ([]byte, error)) error {
	ctx, cancel := context.WithTimeout(ctx, k.patience)
	defer cancel()
	for {
		old, err := k.read(ctx, name)
		if err != nil {
			return err
		}
		next, err := f(old)
		if err != nil {
			return err
		}
		if done, err := k.replace(ctx, name, old, next); done || err != nil {
			return err
		}
	}
}

// replace stores next if the stored value is still old, and announces the change
// in the same statement. nil stands for no value, on both sides. It returns
// false if the stored value is another one by now.
func (k postgresKeeper) replace(ctx context.Context, name string, old, next []byte) (done bool, err error) {
	var sql string
	args := []any{name}
	switch {
	case old == nil && next == nil:
		return true, nil
	case old == nil:
		sql, args = "INSERT INTO gatehouse.accounts (name, account) VALUES ($1, $2::jsonb) ON CONFLICT DO NOTHING", append(args, string(next))
	case next == nil:
		sql, args = "DELETE FROM gatehouse.accounts WHERE name = $1 AND account = $2::jsonb", append(args, string(old))
	default:
		sql, args = "UPDATE gatehouse.accounts SET account = $3::jsonb WHERE name = $1 AND account = $2::jsonb", append(args, string(old), string(next))
	}
	n, err := k.db.Exec(ctx, "WITH changed AS ("+sql+" RETURNING name) "+
		"SELECT FROM changed, LATERAL pg_notify('"+accountsChannel+"', name) AS told", args...)
	return n == 1, err
}

func (k postgresKeeper) page(ctx context.Context, after string) (page []encoded, err error) {
	ctx, cancel := context.WithTimeout(ctx, k.patience)
	defer cancel()
	err = k.db.Query(ctx, func(row postgres.Row) error {
		var e encoded
		err := row.Scan(&e.name, &e.value)
		page = append(page, e)
		return err
	}, "SELECT name, account::text FROM gatehouse.accounts WHERE name > $1 ORDER BY name LIMIT $2", after, accountsPage)
	return page, err
}
