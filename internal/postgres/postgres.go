// Package postgres opens the PostgreSQL database that several nodes share. It has a bounded
// pool of connections in which nothing waits for long, brings the schema up to date when
// the first node needs it, and hears announcements (LISTEN) across lost connections.
//
// Everything lies in the schema gatehouse, so that other programs can have the rest of the
// database. Every statement names the schema, and none relies on a setting of an earlier
// one, so that a pooler in transaction mode may be in between. Announcements alone do not
// pass such a pooler; see Listen.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// Connections in the pool, unless the URL has pool_max_conns.
	maxConns = 16
	// How long connecting may take, unless the URL has connect_timeout.
	connectTime = 3 * time.Second
	// How long any statement may take. The server ends it as well, so that a statement
	// which a node has given up does not go on.
	longest = 10 * time.Second
	// How long Close waits for calls that are under way.
	closeTime = 2 * time.Second
)

// SQLSTATE codes (PostgreSQL manual, appendix A).
const (
	codeReadOnly = "25006"
	codeProtocol = "08P01"
	codeUnknown  = "26000" // a prepared statement
	codeTwice    = "42P05" // a prepared statement
)

// Options configure a DB. URL is required.
type Options struct {
	URL string       // postgres://...; required, see Check
	Log *slog.Logger // nil: nothing is logged
}

// A DB is the database with its pool of connections. It is safe for concurrent use.
type DB struct {
	pool  *pgxpool.Pool
	log   *slog.Logger
	steps []string // of the schema

	ready atomic.Bool // the schema is up to date
	mu    sync.Mutex
	begun *attempt // to bring it up to date; nil: none runs

	open context.Context // ends with Close
	stop context.CancelFunc
	work sync.WaitGroup
}

// Open returns the database, or an error if the URL is wrong; the text of that error continues
// a sentence that begins with the name of the key. Open does not connect: while the server
// does not answer, every call fails. The caller must call Close.
func Open(o Options) (*DB, error) {
	c, err := parse(o.URL)
	if err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	steps, err := embedded()
	if err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), c)
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	db := &DB{pool: pool, log: o.Log, steps: steps}
	db.open, db.stop = context.WithCancel(context.Background())
	return db, nil
}

// Close closes the connections. It waits for calls under way, but 2 seconds at most, so that a
// hanging server cannot keep the program from ending. It returns nil.
func (db *DB) Close() error {
	db.stop()
	db.work.Wait()
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		db.pool.Close()
	}()
	select {
	case <-closed:
	case <-time.After(closeTime):
	}
	return nil
}

// A Row is one row of an answer.
type Row interface {
	// Scan copies the columns to where dest points, one pointer for each column.
	Scan(dest ...any) error
}

// Exec runs one statement and returns how many rows it has changed or returned. It takes 10
// seconds at most, including Prepare and the wait for a connection. If the connection is lost,
// the statement may have taken effect.
func (db *DB) Exec(ctx context.Context, sql string, args ...any) (rows int64, err error) {
	err = db.with(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		tag, err := c.Exec(ctx, sql, args...)
		rows = tag.RowsAffected()
		return err
	})
	return rows, err
}

// Query runs one statement and calls each with every row. An error of each ends it and is
// returned. The time limit is that of Exec. The statement should return few rows, because a
// connection is in use until each has seen all of them.
func (db *DB) Query(ctx context.Context, each func(Row) error, sql string, args ...any) error {
	return db.with(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		rows, err := c.Query(ctx, sql, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			if err := each(rows); err != nil {
				return err
			}
		}
		return rows.Err()
	})
}

// with calls f with a connection from the pool, after Prepare. All of it takes longest at
// most, however long ctx lasts.
func (db *DB) with(ctx context.Context, f func(context.Context, *pgxpool.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	if err := db.Prepare(ctx); err != nil {
		return err
	}
	return db.lend(ctx, f)
}

// lend calls f with a connection from the pool, without Prepare. A connection to a server that
// has become read-only, a replica, is closed: a new one may lead to its successor.
func (db *DB) lend(ctx context.Context, f func(context.Context, *pgxpool.Conn) error) error {
	c, err := db.pool.Acquire(ctx)
	if err != nil {
		return explain(err)
	}
	defer c.Release()
	err = f(ctx, c)
	if hasCode(err, codeReadOnly) {
		_ = c.Conn().Close(ctx) // the pool makes another
	}
	return explain(err)
}

// explain wraps an error of PostgreSQL, with the remedy where a pooler is the reason.
func explain(err error) error {
	switch {
	case err == nil:
		return nil
	case hasCode(err, codeProtocol):
		return fmt.Errorf("postgres: %w (a PgBouncer needs ignore_startup_parameters = statement_timeout)", err)
	case hasCode(err, codeUnknown), hasCode(err, codeTwice):
		return fmt.Errorf("postgres: %w (behind a PgBouncer in transaction mode before 1.21, session.postgres.url needs default_query_exec_mode=exec)", err)
	default:
		return fmt.Errorf("postgres: %w", err)
	}
}

// hasCode reports whether err has the SQLSTATE code.
func hasCode(err error, code string) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == code
}
