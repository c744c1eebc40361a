-- ARGV: now, channel, slack, then the key and the user of each record, as the index by
-- expiry has them. Returns for each the record that was removed, '' for one that Redis had
-- removed by itself, and false for one that was used, or removed by somebody else,
-- meanwhile.
local now, gone = tonumber(ARGV[1]), {}
for i = 1, #KEYS - 3 do
  local record, key, user = KEYS[i + 3], ARGV[2 * i + 2], ARGV[2 * i + 3]
  local value = read(record)
  local r = value and parse(value)
  gone[i] = false
  if r and (tonumber(r.expires) or -math.huge) > now then
    put(record, key, value, r.user, r.expires, tonumber(ARGV[3]))
    if r.user ~= user then unindex(key, user) end
  elseif redis.call('zscore', KEYS[3], key .. '\0' .. user) then
    redis.call('publish', ARGV[2], key)
    redis.call('del', record)
    redis.call('zrem', KEYS[1], key)
    unindex(key, user)
    if r and r.user ~= user then unindex(key, r.user) end
    gone[i] = value or ''
  end
end
return gone
