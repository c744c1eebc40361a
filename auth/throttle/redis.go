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

// NewRedisCounter returns a Counter in the Redis of s, beside its sessions. Keys
// expire when their bucket is full again, so nothing has to be purged. The caller
// keeps s and closes it.
func NewRedisCounter(s *redisstore.Store) Counter { return redisCounter{s} }

// A redisCounter stores one string for each bucket: the time when the bucket will
// be full again, as Unix time in microseconds by the nodes' clocks. All keys are
// in one slot of a cluster, so that a script can take from several atomically.
type redisCounter struct{ store *redisstore.Store }

// takeScript takes from all buckets or none. ARGV: now, then for each key the time
// in which it refills by one event and completely. It returns how long to wait; 0
// if it took. All times are in microseconds. Numbers are formatted with %.0f,
// because Lua would write large ones with an exponent.
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

// returnScript puts one event back into each bucket. ARGV: for each key the time
// in which it refills by one event, in microseconds. A missing key is a full
// bucket and stays missing.
var returnScript = redis.NewScript(`
for i, key in ipairs(KEYS) do
	local full = tonumber(redis.call('GET', key) or 0)
	local less = string.format('%.0f', full - tonumber(ARGV[i]))
	redis.call('SET', key, less, 'KEEPTTL', 'XX')
end
return '0'
`)

// Take implements Counter.
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

// Return implements Counter.
func (c redisCounter) Return(ctx context.Context, buckets []limit.Bucket) error {
	var args []any
	for _, b := range buckets {
		args = append(args, b.Rate.Interval().Microseconds())
	}
	_, err := c.store.Eval(ctx, returnScript, "throttle", keyNames(buckets), args...)
	return err
}

// keyNames returns the names of the buckets' keys, without the prefix that the
// store adds.
func keyNames(buckets []limit.Bucket) (names []string) {
	for _, b := range buckets {
		names = append(names, hex.EncodeToString(b.Key[:]))
	}
	return names
}
