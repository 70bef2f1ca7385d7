-- Tells the ends of the sessions and channels of a node that is dead, some of them.
--
-- KEYS: the stream; the rounds of nodes by the time of their last call, a sorted set; how many rounds have each channel,
--   a hash; the counters.
-- ARGV: what the hash of a round (lifecycle.lua) begins with; ms without a call after which a node is dead; how many
--   entries stay in the stream; the time as text.
-- Answer: how many events were told; 1 if there are more.
--
-- The first command that writes is one that a full Redis refuses. The hash of the round shares the hash tag of the KEYS.
local stream, rounds, channels, counters = unpack(KEYS)
local prefix, silent_ms, max_len, time_text = unpack(ARGV)

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HMGET', counters, 'looked', 'since')
local looked, since = tonumber(state[1] or 0), tonumber(state[2] or 0)
if now - looked > silent_ms / 2 then since = now end -- Redis was away: the others have yet to say that they are alive
redis.call('HSET', counters, 'looked', string.format('%.0f', now), 'since', string.format('%.0f', since))
if now - since < tonumber(silent_ms) then return {0, 0} end
local round = redis.call('ZRANGEBYSCORE', rounds, '-inf', string.format('%.0f', now - silent_ms), 'LIMIT', 0, 1)[1]
if not round then return {0, 0} end

-- Its node may have been slow only. Without the number of its last batch it begins another round.
local open = prefix .. round
redis.call('HDEL', open, '#')
local node = string.match(round, '^[^#]*')
local number = tonumber(redis.call('HGET', counters, 'number') or 0)
local told = 0
local last
local function tell(type, subject, id, sequence, data)
  number = number + 1
  told = told + 1
  last = redis.call('XADD', stream, 'MAXLEN', '~', max_len, '*', 'type', type, 'number', string.format('%.0f', number), 'event',
    '{"specversion":"1.0","id":"' .. (id or round .. '.' .. string.format('%.0f', number)) .. '","source":"/nodes/' .. node ..
    '","type":"carillon.' .. type .. '","subject":' .. subject .. ',"time":"' .. time_text .. '",' .. sequence ..
    '"datacontenttype":"application/json","data":{' .. data .. '}}')
end

-- A Redis that went back to an older state has a round again that its node had replaced. What is open in a living round
-- of the same node has not ended.
local living = {}
for _, other in ipairs(redis.call('ZRANGEBYSCORE', rounds, '(' .. string.format('%.0f', now - silent_ms), '+inf')) do
  if string.match(other, '^[^#]*') == node then living[#living + 1] = prefix .. other end
end
local function lives(field)
  for _, other in ipairs(living) do
    if redis.call('HEXISTS', other, field) == 1 then return true end
  end
  return false
end

-- What earlier calls have removed leaves places in the hash that a scan finds empty. So one page may have nothing.
local cursor, rows = '0'
repeat
  local page = redis.call('HSCAN', open, cursor, 'COUNT', 100)
  cursor, rows = page[1], page[2]
until #rows > 0 or cursor == '0'
for i = 1, #rows, 2 do
  local kind, key, value = string.sub(rows[i], 1, 2), string.sub(rows[i], 3), rows[i + 1]
  if kind == 's:' then
    local sequence, opened, about = string.match(value, '^(%d+) (%d+) (.*)$')
    sequence = string.format('%.0f', sequence + 1)
    if about ~= '' and not lives(rows[i]) then
      tell('session.closed', '"' .. key .. '"', key .. '.' .. sequence .. '.lost', '"sequence":"' .. sequence .. '",',
        about .. ',"code":1006,"reason":"node_lost","duration_ms":' .. string.format('%.0f', math.max(now - opened, 0)))
    end
  elseif kind == 'c:' and redis.call('HINCRBY', channels, key, -1) <= 0 then
    redis.call('HDEL', channels, key)
    if value ~= '' then tell('channel.vacated', value, nil, '', '"channel":' .. value) end
  end
  redis.call('HDEL', open, rows[i])
end
redis.call('HSET', counters, 'number', string.format('%.0f', number))
if last then redis.call('HSET', counters, 'last', last) end
if redis.call('HLEN', open) > 0 then return {told, 1} end
redis.call('ZREM', rounds, round)
return {told, redis.call('ZCOUNT', rounds, '-inf', string.format('%.0f', now - silent_ms)) > 0 and 1 or 0}
