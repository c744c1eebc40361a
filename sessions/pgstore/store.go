// Package pgstore keeps sessions in PostgreSQL, where several processes share them. Store is
// the store; Cached puts a cache that the processes share in front of it, such as
// redisstore.Cache.
package pgstore

import (
	"context"
	"errors"
	"iter"
	"time"

	"gatehouse/internal/postgres"
	"gatehouse/sessions"
)

// Store is the sessions.SharedStore in PostgreSQL, 13 or later: one row for each record, in
// the table sessions of the schema gatehouse. It is safe for concurrent use.
//
// Each method is one statement, except Update, which asks why if it has changed nothing,
// and List, which reads pages. None holds a lock when it returns. What Create, Update,
// Delete and DeleteExpired have done is on disk when they return, as far as the server's
// synchronous_commit says; a Touch follows within a second.
//
// As in every store, the clock of the process decides whether a record has expired, and
// never that of the database. A node whose clock is a minute ahead ends sessions a minute
// early. Nodes need clocks that agree (NTP).
//
// A change is announced (NOTIFY) by the statement that makes it, so that whoever hears of
// it also finds it. No call takes longer than 3 seconds, except DeleteExpired and Count,
// which take 10 at most.
type Store struct {
	db       *postgres.DB
	now      func() time.Time // tests set it
	patience time.Duration    // how long a call may take, except DeleteExpired and Count
}

const (
	defaultPatience = 3 * time.Second
	channel         = "gatehouse_sessions"
)

// New returns a store in db, which makes its tables by itself. The db stays the caller's,
// who closes it after the store. While the server does not answer, every call fails.
func New(db *postgres.DB) *Store {
	return &Store{db: db, now: time.Now, patience: defaultPatience}
}

// columns are the columns in the order of scanRow and rowValues.
const columns = `key, version, user_name, source, stamp, created, login, seen, expires, ends, idle, browser, addr, agent, data, auth_time, level, methods, actor, proof, mark, host, hosts`

// announce is to be joined with changed rows, and announces the key of each.
const announce = `LATERAL pg_notify('` + channel + `', key) AS told`

// alive is the condition that the record has not expired at $2; see Record.Expired.
const alive = `expires > $2 AND (ends IS NULL OR ends > $2)`

// pageLen is how many rows List reads in one query.
const pageLen = 256

// A listed is a row as List yields it: err is nil or ErrDamaged, and then the
// entry has its key alone.
type listed struct {
	sessions.Entry
	err error
}

// Load serves sessions.Store.
func (s *Store) Load(ctx context.Context, key string) (sessions.Record, error) {
	const sql = `SELECT ` + columns + ` FROM gatehouse.sessions WHERE key = $1`
	r, err := s.one(ctx, sql, key)
	switch {
	case err != nil:
		return sessions.Record{}, err
	case r.Expired(s.now()):
		return sessions.Record{}, sessions.ErrNotFound
	}
	return r, nil
}

// Create serves sessions.Store.
func (s *Store) Create(ctx context.Context, key string, r sessions.Record) error {
	const sql = `INSERT INTO gatehouse.sessions (` + columns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23) ON CONFLICT (key) DO NOTHING`
	n, err := s.exec(ctx, sql, append([]any{key}, rowValues(&r, 1)...)...)
	if err == nil && n == 0 {
		return sessions.ErrExists
	}
	return err
}

// Update serves sessions.Store.
func (s *Store) Update(ctx context.Context, key string, r sessions.Record) error {
	const sql = `WITH changed AS (UPDATE gatehouse.sessions SET
			version = $4, user_name = $5, source = $6, stamp = $7, created = $8, login = $9, seen = $10,
			expires = $11, ends = $12, idle = $13, browser = $14, addr = $15, agent = $16, data = $17,
			auth_time = $18, level = $19, methods = $20, actor = $21, proof = $22, mark = $23, host = $24, hosts = $25
		WHERE key = $1 AND ` + alive + ` AND version = $3 RETURNING key)
		SELECT FROM changed, ` + announce
	args := []any{key, s.now(), signedVersion(r.Version)}
	n, err := s.exec(ctx, sql, append(args, rowValues(&r, r.Version+1)...)...)
	if err != nil || n > 0 {
		return err
	}
	const why = `SELECT FROM gatehouse.sessions WHERE key = $1 AND ` + alive
	if n, err = s.exec(ctx, why, key, s.now()); err == nil && n == 0 {
		return sessions.ErrNotFound
	} else if err != nil {
		return err
	}
	return sessions.ErrConflict
}

// Touch serves sessions.Store. It does not wait for the disk.
func (s *Store) Touch(ctx context.Context, key string, seen, expires time.Time, mark []byte) error {
	const sql = `UPDATE gatehouse.sessions SET seen = $3, mark = $5,
			expires = CASE WHEN idle > interval '0' THEN least($4, ends) ELSE expires END
		FROM (SELECT set_config('synchronous_commit', 'off', true)) AS local
		WHERE key = $1 AND ` + alive
	n, err := s.exec(ctx, sql, key, s.now(), nullTime(seen), micros(expires), mark)
	if err == nil && n == 0 {
		return sessions.ErrNotFound
	}
	return err
}

// Delete serves sessions.Store.
func (s *Store) Delete(ctx context.Context, key string) (sessions.Record, error) {
	const sql = `WITH gone AS (DELETE FROM gatehouse.sessions WHERE key = $1 RETURNING ` + columns + `)
		SELECT ` + columns + ` FROM gone, ` + announce
	r, err := s.one(ctx, sql, key)
	if errors.Is(err, sessions.ErrDamaged) {
		return sessions.Record{}, nil // it is gone, and that was the question
	}
	return r, err
}

// List serves sessions.Store.
func (s *Store) List(ctx context.Context, q sessions.Query) iter.Seq2[sessions.Entry, error] {
	return func(yield func(sessions.Entry, error) bool) {
		for {
			page, err := s.page(ctx, q)
			for _, e := range page {
				if !yield(e.Entry, e.err) {
					return
				}
			}
			if err != nil {
				yield(sessions.Entry{}, err)
				return
			}
			if len(page) < pageLen {
				return
			}
			q.After = page[len(page)-1].Key
		}
	}
}

// page returns the next records that q selects. Keys that begin with the prefix lie between
// the prefix, and the prefix followed by a byte that is greater than every digit.
func (s *Store) page(ctx context.Context, q sessions.Query) ([]listed, error) {
	sql := `SELECT ` + columns + ` FROM gatehouse.sessions WHERE key > $1 AND key >= $2 AND key < $3`
	args := []any{q.After, q.Prefix, q.Prefix + "~", pageLen}
	if q.User != "" {
		sql += ` AND user_name = $5 AND user_name <> ''`
		args = append(args, escapeText(q.User))
	}
	return s.many(ctx, s.patience, sql+` ORDER BY key LIMIT $4`, args...)
}

// DeleteExpired serves sessions.Store. It leaves alone what another node is removing or
// using at the same moment. If there is much of that, it may return fewer than limit
// although some are left.
func (s *Store) DeleteExpired(ctx context.Context, now time.Time, limit int) ([]sessions.Entry, error) {
	const sql = `WITH old AS MATERIALIZED (
			SELECT key FROM gatehouse.sessions WHERE expires <= $1 ORDER BY expires LIMIT $2 FOR UPDATE SKIP LOCKED
		), gone AS (
			DELETE FROM gatehouse.sessions s USING old WHERE s.key = old.key RETURNING s.*
		)
		SELECT ` + columns + ` FROM gone, ` + announce + ` ORDER BY expires, key`
	found, err := s.many(ctx, 0, sql, micros(now), limit)
	var gone []sessions.Entry
	for _, e := range found {
		gone = append(gone, e.Entry)
	}
	return gone, err
}

// Count serves sessions.Store. It has to look at every row, which takes about a second for
// ten million.
func (s *Store) Count(ctx context.Context) (n int, err error) {
	err = s.db.Query(ctx, func(row postgres.Row) error { return row.Scan(&n) }, `SELECT count(*) FROM gatehouse.sessions`)
	return n, err
}

// Close serves sessions.Store. It does nothing, and the db stays open.
func (s *Store) Close() error { return nil }

// Watch serves sessions.SharedStore. It has a connection of its own, and notices within 3
// seconds that it is dead.
func (s *Store) Watch(ctx context.Context, changed func(key string), missed func()) {
	s.db.Listen(ctx, channel, changed, missed)
}

// CheckHealth serves sessions.HealthChecker. It fails when the database is read-only, or
// cannot be reached.
func (s *Store) CheckHealth(ctx context.Context) error {
	_, err := s.exec(ctx, `UPDATE gatehouse.sessions SET version = version WHERE key = ''`)
	return err
}

// exec runs a statement, and returns how many rows it has changed or returned.
func (s *Store) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	return s.db.Exec(ctx, sql, args...)
}

// one returns the only record of the answer, or ErrNotFound.
func (s *Store) one(ctx context.Context, sql string, args ...any) (sessions.Record, error) {
	found, err := s.many(ctx, s.patience, sql, args...)
	switch {
	case err != nil:
		return sessions.Record{}, err
	case len(found) == 0:
		return sessions.Record{}, sessions.ErrNotFound
	}
	return found[0].Record, found[0].err
}

// many returns the records of the answer, damaged ones too. patience 0: as long as the db
// lets it run.
func (s *Store) many(ctx context.Context, patience time.Duration, sql string, args ...any) (found []listed, err error) {
	if patience > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, patience)
		defer cancel()
	}
	err = s.db.Query(ctx, func(row postgres.Row) error {
		e, err := scanRow(row)
		if err != nil && !errors.Is(err, sessions.ErrDamaged) {
			return err
		}
		found = append(found, listed{e, err})
		return nil
	}, sql, args...)
	if err != nil {
		return nil, err
	}
	return found, nil
}
