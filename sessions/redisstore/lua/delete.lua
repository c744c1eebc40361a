-- ARGV: key, channel. Gives the record, or false when there was none. A damaged
-- record goes as well; its place by expiry goes when the time has come.
local value = read(KEYS[4])
if not value then return false end
redis.call('publish', ARGV[2], ARGV[1])
redis.call('del', KEYS[4])
redis.call('zrem', KEYS[1], ARGV[1])
local r = parse(value)
if r then unindex(ARGV[1], r.user) end
return value
