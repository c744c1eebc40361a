-- ARGV: key, record, slack. Returns 1 if it has stored the record, and 0 if the key is
-- taken, even by a record that has expired.
if redis.call('exists', KEYS[4]) == 1 then return 0 end
local r = parse(ARGV[2])
put(KEYS[4], ARGV[1], ARGV[2], r.user, r.expires, tonumber(ARGV[3]))
return 1
