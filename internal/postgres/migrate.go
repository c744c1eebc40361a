package postgres

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

//go:embed schema/*.sql
var schema embed.FS

// embedded returns the steps of the schema: the n-th, counted from 1, leads from version n-1
// to n. Never change a step that has been released; add another one.
func embedded() ([]string, error) {
	files, err := fs.Glob(schema, "schema/*.sql") // sorted
	if err != nil {
		return nil, fmt.Errorf("postgres: %w", err)
	}
	var steps []string
	for i, file := range files {
		var n int
		if _, err := fmt.Sscanf(file, "schema/%d_", &n); err != nil || n != i+1 {
			return nil, fmt.Errorf("postgres: %s is not step %d of the schema", file, i+1)
		}
		text, err := schema.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("postgres: %w", err)
		}
		steps = append(steps, string(text))
	}
	return steps, nil
}

// ErrUnfit means that the database answers but cannot be used: a newer program has changed its
// schema, or its encoding is not UTF-8. Trying again does not help.
var ErrUnfit = errors.New("the database does not fit this program")

// migrateTime is how long a change of the schema may take. Calls do not wait that long: they
// fail until it is done.
const migrateTime = 5 * time.Minute

// lockID is the advisory lock of the node that changes the schema.
const lockID = 0x67617465686f7573 // "gatehous"

// An attempt brings the schema up to date. All callers of Prepare wait for the same one.
type attempt struct {
	done chan struct{}
	err  error // valid when done is closed
}

// Prepare creates the schema or brings it up to date; if it is up to date, Prepare returns nil
// at once. It returns ErrUnfit if the database cannot be used, and other errors if it does not
// answer. All other methods call it first; call it at the start to find problems early. It
// waits no longer than ctx, while the attempt itself goes on. After an error it may be called
// again.
func (db *DB) Prepare(ctx context.Context) error {
	if db.ready.Load() {
		return nil
	}
	db.mu.Lock()
	a := db.begun
	if a == nil {
		a = &attempt{done: make(chan struct{})}
		db.begun = a
		db.work.Go(func() { db.try(a) })
	}
	db.mu.Unlock()
	select {
	case <-a.done:
		return a.err
	case <-ctx.Done():
		return fmt.Errorf("postgres: wait for the schema: %w", context.Cause(ctx))
	}
}

// try makes one attempt. It goes on even if no caller of Prepare waits any more.
func (db *DB) try(a *attempt) {
	defer close(a.done)
	ctx, cancel := context.WithTimeout(db.open, migrateTime)
	defer cancel()
	a.err = db.lend(ctx, db.migrate)
	db.ready.Store(a.err == nil)
	db.mu.Lock()
	defer db.mu.Unlock()
	db.begun = nil
}

// migrate runs the missing steps in one transaction. An advisory lock lets only one node do so,
// and the version is read again under it. Without missing steps it writes nothing.
func (db *DB) migrate(ctx context.Context, c *pgxpool.Conn) error {
	quick, cancel := context.WithTimeout(ctx, connectTime)
	defer cancel()
	have, err := version(quick, c)
	switch {
	case err != nil:
		return err
	case have == len(db.steps): // the database may even be read-only
		return nil
	case have > len(db.steps):
		return tooNew(have, len(db.steps))
	}
	return pgx.BeginFunc(ctx, c, func(tx pgx.Tx) error {
		for _, sql := range []string{
			fmt.Sprintf("SET LOCAL statement_timeout = %d", migrateTime.Milliseconds()),
			fmt.Sprintf("SELECT pg_advisory_xact_lock(%d)", int64(lockID)),
		} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return err
			}
		}
		have, err := version(ctx, tx) // another node may have done it meanwhile
		if err != nil || have == len(db.steps) {
			return err
		}
		if have > len(db.steps) {
			return tooNew(have, len(db.steps))
		}
		for n := have; n < len(db.steps); n++ {
			if err := step(ctx, tx, n+1, db.steps[n]); err != nil {
				return fmt.Errorf("bring the schema to version %d: %w", n+1, err)
			}
		}
		return nil
	})
}

// tooNew returns ErrUnfit with the two versions.
func tooNew(have, known int) error {
	return fmt.Errorf("%w: its schema gatehouse has version %d, and this program knows %d; start the newer program", ErrUnfit, have, known)
}

// A querier is a connection, or a transaction.
type querier interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}

// version returns the version of the schema, 0 if there is none, or ErrUnfit if the encoding
// of the database is not UTF-8.
func version(ctx context.Context, q querier) (n int, err error) {
	var encoding string
	var there bool
	err = q.QueryRow(ctx, `SELECT pg_encoding_to_char(encoding), to_regclass('gatehouse.versions') IS NOT NULL
		FROM pg_database WHERE datname = current_database()`).Scan(&encoding, &there)
	switch {
	case err != nil:
		return 0, err
	case encoding != "UTF8":
		return 0, fmt.Errorf("%w: its encoding is %s; make one with ENCODING 'UTF8'", ErrUnfit, encoding)
	case !there:
		return 0, nil
	}
	err = q.QueryRow(ctx, "SELECT coalesce(max(version), 0) FROM gatehouse.versions").Scan(&n)
	return n, err
}

// step runs sql, which leads the schema from version n-1 to n, and records the version.
func step(ctx context.Context, tx pgx.Tx, n int, sql string) error {
	if n == 1 {
		// CREATE SCHEMA IF NOT EXISTS needs a right in the database even if an
		// administrator has made the schema for us.
		var there bool
		if err := tx.QueryRow(ctx, "SELECT to_regnamespace('gatehouse') IS NOT NULL").Scan(&there); err != nil {
			return err
		}
		if !there {
			if _, err := tx.Exec(ctx, "CREATE SCHEMA gatehouse"); err != nil {
				return err
			}
		}
	}
	if _, err := tx.Exec(ctx, sql, pgx.QueryExecModeSimpleProtocol); err != nil { // several statements
		return err
	}
	_, err := tx.Exec(ctx, "INSERT INTO gatehouse.versions (version) VALUES ($1)", n)
	return err
}
