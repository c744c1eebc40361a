package throttle

import (
	"context"
	"encoding/hex"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"gatehouse/internal/limit"
	"gatehouse/sessions/redisstore"
)

// NewRedisCounter returns the Counter that lies beside the sessions of s, which
// stays the caller's. Redis drops a bucket by itself when it is full again.
func NewRedisCounter(s *redisstore.Store) Counter { return redisCounter{s} }

// A redisCounter keeps one string for each bucket: the time when it will be
// full again, in microseconds of the nodes' clocks. All of them lie in one
// slot of a Cluster, so that they are taken from in one step.
type redisCounter struct{ store *redisstore.Store }

// ARGV: now, then for each key the time of one event and of all. The answer is
// how long to wait.
var takeScript = redis.NewScript(`
local now, wait = tonumber(ARGV[1]), 0
local after = {}
for i, key in ipairs(KEYS) do
	local every, per = tonumber(ARGV[2 * i]), tonumber(ARGV[2 * i + 1])
	local full = tonumber(redis.call('GET', key) or now)
	after[i] = math.min(math.max(full, now), now + per) + every
	wait = math.max(wait, after[i] - now - per)
end
if wait > 0 then
	return string.format('%.0f', wait)
end
for i, key in ipairs(KEYS) do
	redis.call('SET', key, string.format('%.0f', after[i]), 'PX', math.ceil((after[i] - now) / 1000) + 1)
end
return '0'
`)

// ARGV: for each key the time of one event. A bucket that is gone is full.
var returnScript = redis.NewScript(`
for i, key in ipairs(KEYS) do
	local full = tonumber(redis.call('GET', key) or 0)
	local less = string.format('%.0f', full - tonumber(ARGV[i]))
	redis.call('SET', key, less, 'KEEPTTL', 'XX')
end
return '0'
`)

// Take serves Counter.
func (c redisCounter) Take(ctx context.Context, buckets []limit.Bucket) (ok bool, wait time.Duration, err error) {
	args := []any{time.Now().UnixMicro()}
	for _, b := range buckets {
		args = append(args, b.Rate.Interval().Microseconds(), b.Rate.Per.Microseconds())
	}
	answer, err := c.store.Eval(ctx, takeScript, "throttle", keyNames(buckets), args...)
	if err != nil {
		return false, 0, err
	}
	var micro int64
	if _, err := fmt.Sscan(fmt.Sprint(answer), &micro); err != nil {
		return false, 0, fmt.Errorf("throttle: redis has answered %v: %w", answer, err)
	}
	return micro == 0, time.Duration(micro) * time.Microsecond, nil
}

// Return serves Counter.
func (c redisCounter) Return(ctx context.Context, buckets []limit.Bucket) error {
	var args []any
	for _, b := range buckets {
		args = append(args, b.Rate.Interval().Microseconds())
	}
	_, err := c.store.Eval(ctx, returnScript, "throttle", keyNames(buckets), args...)
	return err
}

func keyNames(buckets []limit.Bucket) (names []string) {
	for _, b := range buckets {
		names = append(names, hex.EncodeToString(b.Key[:]))
	}
	return names
}
