-- ARGV: key, seen, slack, expires, now, mark. Returns done or absent. A touch is not
-- announced: who has the record of before it only believes that the session ends earlier.
local value = read(KEYS[4])
if not value then return 'absent' end
local r = parse(value)
if not r then return redis.error_reply('ERR the record is damaged') end
if expired(r, tonumber(ARGV[5])) then return 'absent' end
local expires = r.expires
if tonumber(r.idle) > 0 then
  expires = ARGV[4]
  if tonumber(r.limit) and tonumber(expires) > tonumber(r.limit) then expires = r.limit end
end
value = table.concat({'2', r.version, ARGV[2], expires, r.limit, r.idle, #r.user, ARGV[6]}, ' ') .. '\n' .. r.rest
put(KEYS[4], ARGV[1], value, r.user, expires, tonumber(ARGV[3]))
return 'done'
