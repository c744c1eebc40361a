package throttle

import (
	"context"
	"errors"
	"time"

	"gatehouse/internal/limit"
	"gatehouse/internal/postgres"
)

// NewPostgresCounter returns a Counter in the table gatehouse.throttle. The table
// is unlogged: a crash of the database loses the counts, as a restart of a node
// loses its own. The caller keeps db and closes it.
func NewPostgresCounter(db *postgres.DB) *PostgresCounter { return &PostgresCounter{db} }

// A PostgresCounter is a Counter in PostgreSQL. It stores one row for each bucket:
// the time when the bucket will be full again. Call Purge from time to time. Safe
// for concurrent use.
type PostgresCounter struct{ db *postgres.DB }

// Take implements Counter, in one statement.
func (c *PostgresCounter) Take(ctx context.Context, buckets []limit.Bucket) (ok bool, wait time.Duration, err error) {
	keys, every, per := columns(buckets)
	err = errNoAnswer
	qerr := c.db.Query(ctx, func(row postgres.Row) error {
		var seconds float64
		if err = row.Scan(&seconds); err == nil {
			ok, wait = seconds <= 0, time.Duration(seconds*float64(time.Second))
		}
		return err
	}, "SELECT gatehouse.throttle_take($1, $2, $3, $4)", now(), keys, every, per)
	if qerr != nil {
		return false, 0, qerr
	}
	return ok, wait, err
}

// errNoAnswer guards against an empty result. It should not occur: the function
// returns one row.
var errNoAnswer = errors.New("throttle: the database has given no row")

// Return implements Counter. A bucket whose row was purged is full already.
func (c *PostgresCounter) Return(ctx context.Context, buckets []limit.Bucket) error {
	keys, every, _ := columns(buckets)
	_, err := c.db.Exec(ctx, `UPDATE gatehouse.throttle AS t SET full_at = t.full_at - b.every
		FROM unnest($1::bytea[], $2::double precision[]) AS b(key, every) WHERE t.key = b.key`, keys, every)
	return err
}

// Purge removes the rows of full buckets, which are the same as no row. It may be
// called by several nodes at once.
func (c *PostgresCounter) Purge(ctx context.Context) error {
	_, err := c.db.Exec(ctx, "DELETE FROM gatehouse.throttle WHERE full_at < $1", now())
	return err
}

// now returns this node's Unix time in seconds. A float64 holds it to the
// microsecond.
func now() float64 { return float64(time.Now().UnixMicro()) / 1e6 }

// columns returns the keys of the buckets, and in seconds the time in which each
// refills by one event and completely.
func columns(buckets []limit.Bucket) (keys [][]byte, every, per []float64) {
	for _, b := range buckets {
		keys = append(keys, b.Key[:])
		every = append(every, b.Rate.Interval().Seconds())
		per = append(per, b.Rate.Per.Seconds())
	}
	return keys, every, per
}
