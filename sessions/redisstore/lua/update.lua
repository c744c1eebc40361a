-- ARGV: key, record, slack, the version to replace, now, channel. Returns done, absent or
-- changed.
local value = read(KEYS[4])
if not value then return 'absent' end
local old, new = parse(value), parse(ARGV[2])
if not old then return redis.error_reply('ERR the record is damaged') end
if expired(old, tonumber(ARGV[5])) then return 'absent' end
if old.version ~= ARGV[4] then return 'changed' end
redis.call('publish', ARGV[6], ARGV[1])
put(KEYS[4], ARGV[1], ARGV[2], new.user, new.expires, tonumber(ARGV[3]))
if old.user ~= new.user then unindex(ARGV[1], old.user) end
return 'done'
