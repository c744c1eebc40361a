-- ARGV: key, record, slack. Says whether the key was free; a record that has
-- expired takes it still.
if redis.call('exists', KEYS[4]) == 1 then return 0 end
local r = parse(ARGV[2])
put(KEYS[4], ARGV[1], ARGV[2], r.user, r.expires, tonumber(ARGV[3]))
return 1
