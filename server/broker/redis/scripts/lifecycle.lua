-- Appends lifecycle events of a node, keeps what is open there, and says that the node is alive. All or nothing.
--
-- KEYS: the stream; what is open in this round of the node, a hash; the same of the round before it;
--   the rounds by the time of their last call, a sorted set; how many rounds have each channel, a hash; the counters.
-- ARGV: the round; the round before it, or ""; number of the batch; how many entries stay in the stream; then for each
--   event: action, type, JSON, and for open: session, its text; step: session, sequence; close: session; occupy:
--   channel, its text; vacate: channel. An event with an empty JSON is not told.
-- Answer: 1; 0 if the round is not known, so that the node has to begin another one.
--
-- The hash has a field "s:SESSION" with "SEQUENCE OPENED JSON", "c:CHANNEL" with JSON, and "#" with the batch's number.
local stream, open, earlier, rounds, channels, counters = unpack(KEYS)
local round, before, batch, max_len = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]

local last = redis.call('HGET', open, '#')
if tonumber(last or 0) == batch then return 1 end -- it was done, and the answer was lost
if tonumber(last or 0) ~= batch - 1 then return 0 end -- Redis has lost batches
redis.call('HSET', open, '#', ARGV[3])
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('ZADD', rounds, now, round)
if before ~= '' then redis.call('ZADD', rounds, 'XX', now, before) end

local number = tonumber(redis.call('HGET', counters, 'number') or 0)
local first = number
local function tell(at)
  if ARGV[at + 2] == '' then return end
  number = number + 1
  redis.call('XADD', stream, 'MAXLEN', '~', max_len, '*', 'type', ARGV[at + 1], 'number', string.format('%.0f', number),
    'event', ARGV[at + 2])
end

local at = 5
while ARGV[at] do
  local action = ARGV[at]
  local key, text = ARGV[at + 3], ARGV[at + 4]
  if action == 'tell' then
    tell(at)
    at = at + 3
  elseif action == 'open' then
    tell(at)
    redis.call('HSET', open, 's:' .. key, text)
    if before ~= '' then redis.call('HDEL', earlier, 's:' .. key) end
    at = at + 5
  elseif action == 'step' then
    local known = redis.call('HGET', open, 's:' .. key)
    tell(at)
    if known then redis.call('HSET', open, 's:' .. key, text .. string.match(known, ' .*$')) end
    at = at + 5
  elseif action == 'close' then
    tell(at)
    redis.call('HDEL', open, 's:' .. key)
    if before ~= '' then redis.call('HDEL', earlier, 's:' .. key) end
    at = at + 4
  elseif action == 'occupy' then
    local moved = before ~= '' and redis.call('HDEL', earlier, 'c:' .. key) == 1
    local new = redis.call('HSETNX', open, 'c:' .. key, text) == 1
    if new and not moved and redis.call('HINCRBY', channels, key, 1) == 1 then tell(at) end
    if moved and not new then redis.call('HINCRBY', channels, key, -1) end
    at = at + 5
  else
    local had = redis.call('HDEL', open, 'c:' .. key)
    if before ~= '' then had = had + redis.call('HDEL', earlier, 'c:' .. key) end
    if had > 0 and redis.call('HINCRBY', channels, key, -had) <= 0 then
      redis.call('HDEL', channels, key)
      tell(at)
    end
    at = at + 4
  end
end
if number > first then redis.call('HSET', counters, 'number', string.format('%.0f', number)) end
return 1
