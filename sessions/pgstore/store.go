package pgstore

import (
	"context"
	"errors"
	"iter"
	"time"

	"gatehouse/internal/postgres"
	"gatehouse/sessions"
)

// Store is the Shared store in PostgreSQL, 13 or later: a row for each
// record, in the table sessions of the schema gatehouse. Every method is one
// statement, or one and a question, and holds no lock when it returns; what
// Create, Update, Delete and DeleteExpired did is on disk as the server's
// synchronous_commit says, a Touch follows within a second.
//
// Whether a record has expired is judged by the clock of the node that asks,
// as in every store; the clock of the database is never asked. A node whose
// clock is ahead by a minute therefore ends sessions a minute early, and one
// that is behind does so late: nodes keep their clocks in step (NTP).
//
// Announcements are made by the statement that changes the record, so that
// whoever hears one finds the change. No call takes longer than 3 seconds,
// DeleteExpired and Count not longer than 10.
type Store struct {
	db       *postgres.DB
	now      func() time.Time
	patience time.Duration // with a call, but for DeleteExpired and Count
}

const (
	defaultPatience = 3 * time.Second
	channel         = "gatehouse_sessions"
)

// New uses the tables of db, which stays the caller's: it is closed
// after the store. A server that does not answer now may do so later, and until
// then every call fails.
func New(db *postgres.DB) *Store {
	return &Store{db: db, now: time.Now, patience: defaultPatience}
}

// columns are the columns as scanRow reads them.
const columns = `key, version, user_name, source, stamp, created, login, seen, expires, ends, idle, browser, addr, agent, data, auth_time, level, methods, actor, proof, mark`

// announce announces the key of each row that it is joined with.
const announce = `LATERAL pg_notify('` + channel + `', key) AS told`

// alive is the condition that the record has not expired at $2.
const alive = `expires > $2 AND (ends IS NULL OR ends > $2)`

// pageLen is how many rows List reads in one query.
const pageLen = 256

// A listed is a row as List yields it: err is nil or ErrDamaged, and then the
// entry has its key alone.
type listed struct {
	sessions.Entry
	err error
}

// Load serves Store.
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

// Create serves Store.
func (s *Store) Create(ctx context.Context, key string, r sessions.Record) error {
	const sql = `INSERT INTO gatehouse.sessions (` + columns + `)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21) ON CONFLICT (key) DO NOTHING`
	n, err := s.exec(ctx, sql, append([]any{key}, rowValues(&r, 1)...)...)
	if err == nil && n == 0 {
		return sessions.ErrExists
	}
	return err
}

// Update serves Store.
func (s *Store) Update(ctx context.Context, key string, r sessions.Record) error {
	const sql = `WITH changed AS (UPDATE gatehouse.sessions SET
			version = $4, user_name = $5, source = $6, stamp = $7, created = $8, login = $9, seen = $10,
			expires = $11, ends = $12, idle = $13, browser = $14, addr = $15, agent = $16, data = $17,
			auth_time = $18, level = $19, methods = $20, actor = $21, proof = $22, mark = $23
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

// Touch serves Store. The use may be lost with the power: nobody waits for the
// disk.
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

// Delete serves Store.
func (s *Store) Delete(ctx context.Context, key string) (sessions.Record, error) {
	const sql = `WITH gone AS (DELETE FROM gatehouse.sessions WHERE key = $1 RETURNING ` + columns + `)
		SELECT ` + columns + ` FROM gone, ` + announce
	r, err := s.one(ctx, sql, key)
	if errors.Is(err, sessions.ErrDamaged) {
		return sessions.Record{}, nil // it is gone, and that was the question
	}
	return r, err
}

// List serves Store.
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

// page gives the next records that q selects. What begins with the prefix lies
// between it and it with a byte behind that is greater than every digit.
func (s *Store) page(ctx context.Context, q sessions.Query) ([]listed, error) {
	sql := `SELECT ` + columns + ` FROM gatehouse.sessions WHERE key > $1 AND key >= $2 AND key < $3`
	args := []any{q.After, q.Prefix, q.Prefix + "~", pageLen}
	if q.User != "" {
		sql += ` AND user_name = $5 AND user_name <> ''`
		args = append(args, escapeText(q.User))
	}
	return s.many(ctx, s.patience, sql+` ORDER BY key LIMIT $4`, args...)
}

// DeleteExpired serves Store. What another node is removing, or using, at the
// same moment is left to it; where there was much of that, fewer than limit
// may have gone though some are left.
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

// Count serves Store. It counts: a second or so for ten million.
func (s *Store) Count(ctx context.Context) (n int, err error) {
	err = s.db.Query(ctx, func(row postgres.Row) error { return row.Scan(&n) }, `SELECT count(*) FROM gatehouse.sessions`)
	return n, err
}

// Close serves Store. The db stays open.
func (s *Store) Close() error { return nil }

// Watch serves Shared. It notices within 3 seconds that nothing comes through
// any more.
func (s *Store) Watch(ctx context.Context, changed func(key string), missed func()) {
	s.db.Listen(ctx, channel, changed, missed)
}

// CheckHealth reports whether the store can be written to: not when the database is
// read-only, or gone.
func (s *Store) CheckHealth(ctx context.Context) error {
	_, err := s.exec(ctx, `UPDATE gatehouse.sessions SET version = version WHERE key = ''`)
	return err
}

func (s *Store) exec(ctx context.Context, sql string, args ...any) (int64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.patience)
	defer cancel()
	return s.db.Exec(ctx, sql, args...)
}

// one gives the only record of the answer, or ErrNotFound.
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

// many gives the records of the answer, damaged ones too.
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
