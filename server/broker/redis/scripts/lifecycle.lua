-- Appends lifecycle events of a node, keeps what is open there, and says that the node is alive. All or nothing.
--
-- KEYS: the stream; what is open in this round of the node, a hash; the same of the round before it;
--   the rounds by the time of their last call, a sorted set; how many rounds have each channel, a hash; the counters.
-- ARGV: the round; the round before it, or ""; number of the batch; how many entries stay in the stream; "1" if the node
--   wants to know the places; how many arguments each of the next three lists has; sessions that have ended: field; sessions
--   that are open: field, sequence; sessions that are open and new here: field, value; then the events: type, JSON; of
--   channel.occupied also the channel and its text; of channel.vacated also the channel. Such an event with an empty JSON is
--   not told.
-- Answer: 0 if the round is not known, so that the node has to begin another one; else 1, or the places: number and id of the
--   event before these, and for each event with a JSON the id of its entry, or "-" if it was not told, as one text.
--
-- The hash has a field "s:SESSION" with "SEQUENCE OPENED JSON", "c:CHANNEL" with JSON, and "#" with the batch's number.
-- Lua hashes each byte of each text, and a call costs as much as an event's text. So the node sums up what the batch says
-- of each session, and one call notes it for all.
local stream, open, earlier, rounds, channels, counters = unpack(KEYS)
local round, before, batch, max_len = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local ended = 9
local stepped = ended + ARGV[6]
local opened = stepped + ARGV[7]
local events = opened + ARGV[8]
local call = redis.call

local last = tonumber(call('HGET', open, '#') or 0)
if last == batch then return 1 end -- it was done, and the answer was lost
if last ~= batch - 1 then return 0 end -- Redis has lost batches
local time = call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
call('ZADD', rounds, now, round)
if before ~= '' then call('ZADD', rounds, 'XX', now, before) end

local told = call('HMGET', counters, 'number', 'last')
local first, before_id, places = tonumber(told[1] or 0), told[2] or '', {}
local number, id = first
local function tell(type, json, is_news)
  if json == '' then return end
  if is_news then
    number = number + 1
    id = call('XADD', stream, 'MAXLEN', '~', max_len, '*', 'type', type, 'number', string.format('%d', number), 'event', json)
  end
  places[#places + 1] = is_news and id or '-'
end

local at = events
while ARGV[at] do
  local type, json, key = ARGV[at], ARGV[at + 1], ARGV[at + 2]
  if type == 'channel.occupied' then
    local had = before ~= '' and call('HDEL', earlier, 'c:' .. key) == 1
    local new = call('HSETNX', open, 'c:' .. key, ARGV[at + 3]) == 1
    tell(type, json, new and not had and call('HINCRBY', channels, key, 1) == 1)
    if had and not new then call('HINCRBY', channels, key, -1) end
    at = at + 4
  elseif type == 'channel.vacated' then
    local had = call('HDEL', open, 'c:' .. key)
    if before ~= '' then had = had + call('HDEL', earlier, 'c:' .. key) end
    local is_last = had > 0 and call('HINCRBY', channels, key, -had) <= 0
    if is_last then call('HDEL', channels, key) end
    tell(type, json, is_last)
    at = at + 3
  else
    tell(type, json, true)
    at = at + 2
  end
end

if before ~= '' then
  for i = ended, stepped - 1 do call('HDEL', earlier, ARGV[i]) end
  for i = opened, events - 1, 2 do call('HDEL', earlier, ARGV[i]) end
end
if ended < stepped then call('HDEL', open, unpack(ARGV, ended, stepped - 1)) end
local moved = {}
for i = stepped, opened - 1, 2 do
  local text = string.match(call('HGET', open, ARGV[i]) or '', ' .*$')
  if text then
    moved[#moved + 1] = ARGV[i]
    moved[#moved + 1] = ARGV[i + 1] .. text
  end
end
if #moved > 0 then call('HSET', open, unpack(moved)) end
call('HSET', open, '#', batch, unpack(ARGV, opened, events - 1)) -- '#' is noted after all that can fail
if id then call('HSET', counters, 'number', number, 'last', id) end
return ARGV[5] == '1' and {first, before_id, table.concat(places, ' ')} or 1
