-- Appends lifecycle events of a node, keeps what is open there, and says that the node is alive. All or nothing.
--
-- KEYS: the stream; what is open in this round of the node, a hash; the same of the round before it;
--   the rounds by the time of their last call, a sorted set; how many rounds have each channel, a hash; the counters.
-- ARGV: the round; the round before it, or ""; number of the batch; how many entries stay in the stream; then for each
--   event: action, type, JSON, and for open: session, sequence, when it was opened, its text; step: session, sequence;
--   close: session; occupy: channel, its text; vacate: channel. An event with an empty JSON is not told.
-- Answer: 1; 0 if the round is not known, so that the node has to begin another one.
--
-- The hash has a field "s:SESSION" with "SEQUENCE OPENED JSON", "c:CHANNEL" with JSON, and "#" with the batch's number.
-- Each call of a command costs a few events' worth of Lua. So what the batch means for sessions is noted by two calls at
-- the end.
local stream, open, earlier, rounds, channels, counters = unpack(KEYS)
local round, before, batch, max_len = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local call = redis.call

local last = tonumber(call('HGET', open, '#') or 0)
if last == batch then return 1 end -- it was done, and the answer was lost
if last ~= batch - 1 then return 0 end -- Redis has lost batches
local time = call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
call('ZADD', rounds, now, round)
if before ~= '' then call('ZADD', rounds, 'XX', now, before) end

local number = tonumber(call('HGET', counters, 'number') or 0)
local first = number
local function tell(at)
  if ARGV[at + 2] == '' then return end
  number = number + 1
  call('XADD', stream, 'MAXLEN', '~', max_len, '*', 'type', ARGV[at + 1], 'number', number, 'event', ARGV[at + 2])
end

local sequences, texts = {}, {} -- by session: its last sequence, and what an `open` of this batch says of it
local ended, moved = {}, {} -- fields that leave the hash of this round and of the round before it
local at = 5
while ARGV[at] do
  local action, key = ARGV[at], ARGV[at + 3]
  if action == 'tell' then
    tell(at)
    at = at + 3
  elseif action == 'open' then
    tell(at)
    sequences[key], texts[key] = ARGV[at + 4], ARGV[at + 5] .. ' ' .. ARGV[at + 6]
    moved[#moved + 1] = 's:' .. key
    at = at + 7
  elseif action == 'step' then
    tell(at)
    sequences[key] = ARGV[at + 4]
    at = at + 5
  elseif action == 'close' then
    tell(at)
    sequences[key] = nil
    ended[#ended + 1] = 's:' .. key
    moved[#moved + 1] = 's:' .. key
    at = at + 4
  elseif action == 'occupy' then
    local had = before ~= '' and call('HDEL', earlier, 'c:' .. key) == 1
    local new = call('HSETNX', open, 'c:' .. key, ARGV[at + 4]) == 1
    if new and not had and call('HINCRBY', channels, key, 1) == 1 then tell(at) end
    if had and not new then call('HINCRBY', channels, key, -1) end
    at = at + 5
  else
    local had = call('HDEL', open, 'c:' .. key)
    if before ~= '' then had = had + call('HDEL', earlier, 'c:' .. key) end
    if had > 0 and call('HINCRBY', channels, key, -had) <= 0 then
      call('HDEL', channels, key)
      tell(at)
    end
    at = at + 4
  end
end

local noted = {'#', batch}
for session, sequence in pairs(sequences) do
  local field = 's:' .. session
  local text = texts[session] or string.match(call('HGET', open, field) or '', ' (.*)$')
  if text then
    noted[#noted + 1] = field
    noted[#noted + 1] = sequence .. ' ' .. text
  end
end
call('HSET', open, unpack(noted))
if #ended > 0 then call('HDEL', open, unpack(ended)) end
if before ~= '' and #moved > 0 then call('HDEL', earlier, unpack(moved)) end
if number > first then call('HSET', counters, 'number', number) end
return 1
