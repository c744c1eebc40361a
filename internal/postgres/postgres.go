// Package postgres opens the database in PostgreSQL that several nodes share:
// a bounded pool in which nothing waits for long, the schema, which is made
// and brought up to date by the first node that needs it, and announcements
// (LISTEN) that survive a lost connection.
//
// Everything lies in the schema gatehouse of the database, so that other
// programs may have the rest of it. Every statement names it, and none relies
// on what an earlier one has set, so that a pooler in transaction mode may
// stand between. Only announcements do not pass such a pooler; see Listen.
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
	// The pool, unless the URL has pool_max_conns.
	maxConns = 16
	// How long a connection may take to come about, unless the URL has
	// connect_timeout.
	connectTime = 3 * time.Second
	// How long any statement may take; the server ends it as well, so that
	// what a node has given up does not go on.
	longest = 10 * time.Second
	// How long Close waits.
	closeTime = 2 * time.Second
)

// SQLSTATE codes (PostgreSQL manual, appendix A).
const (
	codeReadOnly = "25006"
	codeProtocol = "08P01"
	codeUnknown  = "26000" // a prepared statement
	codeTwice    = "42P05" // a prepared statement
)

// Options are what a DB is made of.
type Options struct {
	URL string       // required: postgres://...; see Check
	Log *slog.Logger // nil: nothing is logged
}

// A DB is the database. Safe for concurrent use.
type DB struct {
	pool  *pgxpool.Pool
	log   *slog.Logger
	steps []string // of the schema

	ready atomic.Bool // the schema is what steps make of it
	mu    sync.Mutex
	begun *attempt // to make it so; nil: none runs

	open context.Context // until Close
	stop context.CancelFunc
	work sync.WaitGroup
}

// Open checks the URL. It does not connect: a server that does not answer now
// may do so later, and until then every call fails.
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

// Close closes the connections. Calls that are under way are waited for, but
// not for long: a server that hangs must not keep the program from its end.
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
	// Scan copies the columns to where dest points to.
	Scan(dest ...any) error
}

// Exec runs one statement, and says how many rows it has changed or given.
func (db *DB) Exec(ctx context.Context, sql string, args ...any) (rows int64, err error) {
	err = db.with(ctx, func(ctx context.Context, c *pgxpool.Conn) error {
		tag, err := c.Exec(ctx, sql, args...)
		rows = tag.RowsAffected()
		return err
	})
	return rows, err
}

// Query runs one statement and calls each with every row, until it gives an
// error. The statement should give few rows: a connection is taken up until
// each has seen them all.
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

// with lends f a connection to a database that has the schema. It ends after
// longest, whatever the caller's patience.
func (db *DB) with(ctx context.Context, f func(context.Context, *pgxpool.Conn) error) error {
	ctx, cancel := context.WithTimeout(ctx, longest)
	defer cancel()
	if err := db.Prepare(ctx); err != nil {
		return err
	}
	return db.lend(ctx, f)
}

// lend does the same whatever the schema. A connection to a server that has
// become a replica is closed, since another one may lead to its successor.
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

// explain wraps what PostgreSQL says.
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

func hasCode(err error, code string) bool {
	e, ok := errors.AsType[*pgconn.PgError](err)
	return ok && e.Code == code
}
