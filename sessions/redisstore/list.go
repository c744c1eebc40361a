package redisstore

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"

	"gatehouse/sessions"
)

// allShards are the names of the 16 shards, in the order of the keys that they hold.
var allShards = func() []string {
	var all []string
	for _, c := range "0123456789abcdef" {
		all = append(all, shardOf(string(c)))
	}
	return all
}()

// pageLen is how many keys of an index one command reads at most.
const pageLen = 256

// sweepMax is how many records one script removes at most. Redis serves nobody else
// while a script runs.
const sweepMax = 100

// each sends one command for each of the shards (or keys) in a single round trip; add puts
// the commands into the pipeline. They must be reads or idempotent, because a pipeline
// can fail after some of its commands have run. A missing value (redis.Nil) is no error;
// add's commands hold their results.
func (s *Store) each(ctx context.Context, shards []string, add func(p redis.Pipeliner, shard string)) error {
	ctx, cancel, err := s.begin(ctx)
	if err != nil {
		return err
	}
	defer cancel()
	p := s.client.Pipeline()
	for _, shard := range shards {
		add(p, shard)
	}
	if _, err = p.Exec(ctx); err != nil && !errors.Is(err, redis.Nil) {
		return s.failed(err)
	}
	return nil
}

// Count implements sessions.Store. It adds up the sizes of the 16 indexes in one round
// trip; expired records that have not been deleted count as well.
func (s *Store) Count(ctx context.Context) (n int, err error) {
	var counts []*redis.IntCmd
	err = s.each(ctx, allShards, func(p redis.Pipeliner, shard string) {
		counts = append(counts, p.ZCard(ctx, s.index(shard, "keys")))
	})
	for _, c := range counts {
		n += int(c.Val())
	}
	if err != nil {
		return 0, err
	}
	return n, nil
}

// List implements sessions.Store. It reads pages of pageLen keys. For one user it asks all
// shards at once, because they have few records in each; otherwise one shard after the
// other, so that few records are in memory. Both yield in the order of the keys.
func (s *Store) List(ctx context.Context, q sessions.Query) iter.Seq2[sessions.Entry, error] {
	return func(yield func(sessions.Entry, error) bool) {
		shards := shardsOf(&q)
		atOnce := 1
		if q.User != "" {
			atOnce = len(allShards)
		}
		for some := range slices.Chunk(shards, atOnce) {
			pages, err := s.pages(ctx, &q, some)
			for i := 0; err == nil && i < len(pages); {
				for _, e := range pages[i].entries {
					if !yield(e.Entry, e.err) {
						return
					}
				}
				if !pages[i].more {
					i++
					continue
				}
				var next []listPage
				more := q
				more.After = pages[i].last
				if next, err = s.pages(ctx, &more, some[i:i+1]); err == nil {
					pages[i] = next[0]
				}
			}
			if err != nil {
				yield(sessions.Entry{}, err)
				return
			}
		}
	}
}

// shardsOf returns the shards that can hold records selected by q, in order. A prefix
// selects one shard, and After rules out those before its own.
func shardsOf(q *sessions.Query) []string {
	from, to := 0, len(allShards)
	if q.After != "" {
		from = digit(q.After[0])
	}
	if q.Prefix != "" {
		n := digit(q.Prefix[0])
		from, to = max(from, n), n+1
	}
	return allShards[min(from, to):to]
}

// A listed is one result of List. err is nil or ErrDamaged; with ErrDamaged, the entry has
// nothing but its key.
type listed struct {
	sessions.Entry
	err error
}

// A listPage is a part of one shard.
type listPage struct {
	entries []listed // those that the query selects, by key
	last    string   // the last key that was read, selected or not; the next page begins after it
	more    bool     // the page was full: there may be more keys
}

// pages returns the first page of each shard after q.After, in two round trips: one reads
// keys from the indexes, the other one the records. A record that is removed in between
// is left out.
func (s *Store) pages(ctx context.Context, q *sessions.Query, shards []string) ([]listPage, error) {
	index, lead := "keys", ""
	if q.User != "" {
		index, lead = "users", q.User+"\x00"
	}
	by := &redis.ZRangeBy{Min: "[" + lead + q.Prefix, Max: "(" + lead + q.Prefix + "g", Count: pageLen}
	if q.After >= q.Prefix && q.After != "" {
		by.Min = "(" + lead + q.After
	}
	var found []*redis.StringSliceCmd
	err := s.each(ctx, shards, func(p redis.Pipeliner, shard string) {
		p.Persist(ctx, s.index(shard, index)) // a write without effect: a replica refuses it, whose data may be old
		found = append(found, p.ZRangeByLex(ctx, s.index(shard, index), by))
	})
	if err != nil {
		return nil, err
	}
	pages := make([]listPage, len(shards))
	var keys []string
	for i, f := range found {
		for _, member := range f.Val() {
			key := member[strings.LastIndexByte(member, 0)+1:]
			pages[i].last = key
			keys = append(keys, key)
		}
		pages[i].more = len(f.Val()) == pageLen
	}
	if len(keys) == 0 {
		return pages, nil
	}
	return pages, s.fill(ctx, q, shards, pages, keys)
}

// fill reads the records under keys and adds those that q selects to the pages of their
// shards. Damaged records are added whatever q selects.
func (s *Store) fill(ctx context.Context, q *sessions.Query, shards []string, pages []listPage, keys []string) error {
	var values []*redis.StringCmd
	err := s.each(ctx, keys, func(p redis.Pipeliner, key string) {
		cmd := s.get(ctx, key)
		values = append(values, cmd)
		_ = p.Process(ctx, cmd) // queues it; Exec returns errors
	})
	if err != nil && !noString(err) {
		return err
	}
	for i, v := range values {
		key := keys[i]
		r, err := readRecord(key, v)
		bad := errors.Is(err, sessions.ErrDamaged)
		switch {
		case errors.Is(err, redis.Nil):
			continue // removed meanwhile
		case err != nil && !bad:
			return s.failed(err)
		}
		if bad || q.Matches(key, &r) {
			page := &pages[slices.Index(shards, shardOf(key))]
			page.entries = append(page.entries, listed{sessions.Entry{Key: key, Record: r}, err})
		}
	}
	return nil
}

// DeleteExpired implements sessions.Store. For a record that Redis has already removed by
// its own expiry, it returns what the index knows: the key, the user and the time of
// expiry. After an error it returns those that have been removed before.
func (s *Store) DeleteExpired(ctx context.Context, now time.Time, limit int) ([]sessions.Entry, error) {
	var gone []sessions.Entry
	for len(gone) < limit {
		due, err := s.due(ctx, now, limit-len(gone))
		if err != nil || len(due) == 0 {
			return gone, err
		}
		removed, err := s.sweep(ctx, now, due)
		gone = append(gone, removed...)
		if err != nil {
			return gone, err
		}
	}
	return gone, nil
}

// due returns up to limit records that have expired according to the indexes, the oldest
// of all shards, oldest first. It may return fewer than limit although there are more,
// but returns none only if there are none.
//
// Each shard is asked for its share of the limit and some more. Where a shard had as many
// as it was asked for, younger ones of it are unknown. So the result ends at the
// oldest of the last records of such shards: up to there it is complete.
func (s *Store) due(ctx context.Context, now time.Time, limit int) ([]sessions.Entry, error) {
	some := min(limit, 2*limit/len(allShards)+8)
	var found []*redis.ZSliceCmd
	err := s.each(ctx, allShards, func(p redis.Pipeliner, shard string) {
		found = append(found, p.ZRangeByScoreWithScores(ctx, s.index(shard, "expiry"),
			&redis.ZRangeBy{Min: "-inf", Max: scoreOf(now), Count: int64(some)}))
	})
	if err != nil {
		return nil, err
	}
	var due []sessions.Entry
	var last []sessions.Entry // the last record read of each shard that may have more
	for _, f := range found {
		for _, z := range f.Val() {
			member, _ := z.Member.(string)
			key, user, _ := strings.Cut(member, "\x00")
			due = append(due, sessions.Entry{Key: key, Record: sessions.Record{User: user, Expires: scoreTime(z.Score)}})
		}
		if len(f.Val()) == some {
			last = append(last, due[len(due)-1])
		}
	}
	slices.SortFunc(due, byExpiry)
	n := len(due)
	if len(last) > 0 {
		at, _ := slices.BinarySearchFunc(due, slices.MinFunc(last, byExpiry), byExpiry)
		n = at + 1
	}
	return due[:min(n, limit)], nil
}

// byExpiry orders entries by Expires, then by key.
func byExpiry(a, b sessions.Entry) int {
	return cmp.Or(a.Expires.Compare(b.Expires), cmp.Compare(a.Key, b.Key))
}

// sweep removes the records in due, except those that have been used in the meantime, and
// returns what it has removed, in the order of due. After an error it goes no further,
// but still returns those.
func (s *Store) sweep(ctx context.Context, now time.Time, due []sessions.Entry) (gone []sessions.Entry, err error) {
	removed := make([]bool, len(due))
	for _, shard := range allShards {
		var mine []int
		for i, e := range due {
			if shardOf(e.Key) == shard {
				mine = append(mine, i)
			}
		}
		for some := range slices.Chunk(mine, sweepMax) {
			if err == nil {
				err = s.sweepShard(ctx, now, shard, due, removed, some)
			}
		}
	}
	for i, e := range due {
		if removed[i] {
			gone = append(gone, e)
		}
	}
	return gone, err
}

// sweepShard removes due[i] for each i in which, all records of one shard, in one script.
// It sets removed[i] for each that it has removed, and due[i].Record to the stored record
// if that could still be read. The script decides what has expired, so that a session that
// is used at the same moment survives (lua/sweep.lua).
func (s *Store) sweepShard(ctx context.Context, now time.Time, shard string, due []sessions.Entry, removed []bool, which []int) error {
	args := []any{formatTime(now), s.channel, slack.Milliseconds()}
	var keys []string
	for _, i := range which {
		keys = append(keys, due[i].Key)
		args = append(args, due[i].Key, due[i].User)
	}
	said, err := s.run(ctx, scriptSweep, shard, keys, args...)
	if err != nil {
		return err
	}
	values, _ := said.([]any)
	for n, v := range values {
		value, ok := v.(string)
		if !ok || n >= len(which) {
			continue
		}
		e := &due[which[n]]
		removed[which[n]] = true
		if r, err := decode(e.Key, value); err == nil {
			e.Record = r
		}
	}
	return nil
}

// scoreOf returns the score of a time in the index by expiry: microseconds since 1970, and
// -inf for the zero time. Scores are floats, which are exact to 2^53 microseconds: 285
// years.
func scoreOf(t time.Time) string {
	if t.IsZero() {
		return "-inf"
	}
	return formatTime(t)
}

// scoreTime is the inverse of scoreOf.
func scoreTime(score float64) time.Time {
	if score < -1e18 {
		return time.Time{}
	}
	return time.UnixMicro(int64(score)).UTC()
}
