package throttle

import (
	"context"
	"errors"
	"time"

	"gatehouse/internal/limit"
	"gatehouse/internal/postgres"
)

// NewPostgresCounter returns the Counter in the table throttle of the schema
// gatehouse. It is unlogged: a crash of the database forgets what was counted,
// as a restart of a node does. The db stays the caller's.
func NewPostgresCounter(db *postgres.DB) *PostgresCounter { return &PostgresCounter{db} }

// A PostgresCounter keeps one row for each bucket: when it will be full again.
type PostgresCounter struct{ db *postgres.DB }

// Take serves Counter.
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

// errNoAnswer cannot happen: a function gives one row.
var errNoAnswer = errors.New("throttle: the database has given no row")

// Return serves Counter.
func (c *PostgresCounter) Return(ctx context.Context, buckets []limit.Bucket) error {
	keys, every, _ := columns(buckets)
	_, err := c.db.Exec(ctx, `UPDATE gatehouse.throttle AS t SET full_at = t.full_at - b.every
		FROM unnest($1::bytea[], $2::double precision[]) AS b(key, every) WHERE t.key = b.key`, keys, every)
	return err
}

// Purge removes buckets that are full, which say nothing any more.
func (c *PostgresCounter) Purge(ctx context.Context) error {
	_, err := c.db.Exec(ctx, "DELETE FROM gatehouse.throttle WHERE full_at < $1", now())
	return err
}

// now is the node's clock in seconds, which a double holds to the microsecond.
func now() float64 { return float64(time.Now().UnixMicro()) / 1e6 }

// columns gives the keys, and in seconds the time of one event and of all.
func columns(buckets []limit.Bucket) (keys [][]byte, every, per []float64) {
	for _, b := range buckets {
		keys = append(keys, b.Key[:])
		every = append(every, b.Rate.Interval().Seconds())
		per = append(per, b.Rate.Per.Seconds())
	}
	return keys, every, per
}
