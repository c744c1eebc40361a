-- A record is one line for these scripts, the user, and what Go has encoded
-- (value.go). The line: a format, version, seen, expires, limit, idle and
-- the length of the user, in decimal digits, and the mark in hexadecimal ones;
-- times in microseconds, - for none. Format 1 has no mark.
-- Numbers stay text wherever they can, because Lua's have 53 bits only.
--
-- KEYS of every script: the indexes of the shard (keys; user NUL key; key NUL user by
-- expiry), then records. A script does all of its work or nothing: commands that Redis may
-- refuse come first (publish, if the user has no right to it; set and zadd, if the memory
-- is full).

local function parse(value)
  local version, seen, expires, limit, idle, len, at =
    string.match(value, '^1 (%d+) (%S+) (%S+) (%S+) (%-?%d+) (%d+)\n()')
  if not version then
    version, seen, expires, limit, idle, len, at =
      string.match(value, '^2 (%d+) (%S+) (%S+) (%S+) (%-?%d+) (%d+) %S+\n()')
  end
  if not version then return nil end
  return {
    version = version, seen = seen, expires = expires, limit = limit, idle = idle,
    user = string.sub(value, at, at + len - 1), rest = string.sub(value, at),
  }
end

-- read returns what is stored; false if nothing is, and '' if it is no string, which is
-- then a damaged record.
local function read(record)
  local value = redis.pcall('get', record)
  if type(value) == 'table' then return '' end
  return value
end

local function expired(r, now)
  return (tonumber(r.expires) or -math.huge) <= now or (tonumber(r.limit) or math.huge) <= now
end

-- put stores the record, until slack milliseconds after it expires, and puts it into the
-- indexes, where it may be already.
local function put(record, key, value, user, expires, slack)
  local at = tonumber(expires) or 0
  redis.call('set', record, value, 'PXAT', string.format('%.0f', math.max(math.ceil(at / 1000) + slack, 1)))
  redis.call('zadd', KEYS[1], 0, key)
  if user ~= '' then redis.call('zadd', KEYS[2], 0, user .. '\0' .. key) end
  redis.call('zadd', KEYS[3], expires == '-' and '-inf' or expires, key .. '\0' .. user)
end

-- unindex removes the record from the indexes, where it is under this user.
local function unindex(key, user)
  redis.call('zrem', KEYS[2], user .. '\0' .. key)
  redis.call('zrem', KEYS[3], key .. '\0' .. user)
end

