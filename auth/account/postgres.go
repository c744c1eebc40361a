package account

import (
	"context"
	"sync"
	"time"

	"gatehouse/internal/postgres"
)

const (
	accountsChannel = "gatehouse_accounts"
	// How long an account is believed that other nodes may change: as long as
	// a session of theirs.
	sharedFor = 3 * time.Second
	// How long one question to PostgreSQL may take.
	postgresPatience = 3 * time.Second
)

// NewPostgres gives the accounts in the table accounts of the schema gatehouse,
// which other nodes change as well. Every change is announced with its commit,
// and heard until Close. The db stays the caller's: it is closed after the
// Database. A server that does not answer now may do so later, and until then
// nobody can tell.
func NewPostgres(db *postgres.DB) *Database {
	d := newDatabase(postgresKeeper{db, postgresPatience})
	d.life = sharedFor
	ctx, stop := context.WithCancel(context.Background())
	var listener sync.WaitGroup
	listener.Go(func() { db.Listen(ctx, accountsChannel, d.forget, d.forgetAll) })
	d.stop = func() { stop(); listener.Wait() }
	return d
}

// postgresKeeper keeps accounts as JSON in PostgreSQL.
type postgresKeeper struct {
	db       *postgres.DB
	patience time.Duration // with one question
}

func (k postgresKeeper) read(ctx context.Context, name string) (v []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, k.patience)
	defer cancel()
	err = k.db.Query(ctx, func(row postgres.Row) error { return row.Scan(&v) },
		"SELECT account::text FROM gatehouse.accounts WHERE name = $1", name)
	return v, err
}

// edit tries until nobody has changed the account between reading and
// writing, which no lock could keep anybody waiting for.
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

// replace stores next if old is still there; nil is nothing.
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
