-- ARGV: key, channel. Returns the record, or false if there was none. A damaged record is
-- removed as well; the index by expiry keeps it until then.
local value = read(KEYS[4])
if not value then return false end
redis.call('publish', ARGV[2], ARGV[1])
redis.call('del', KEYS[4])
redis.call('zrem', KEYS[1], ARGV[1])
local r = parse(value)
if r then unindex(ARGV[1], r.user) end
return value
