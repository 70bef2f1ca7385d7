-- Reads lifecycle events for the one node that sends them on.
--
-- KEYS: the stream; the counters: who reads and until when, and the place and number of the last event that is sent.
-- ARGV: the node; ms that it reads from now on; how many events; place and number of the last event that is sent, or "".
-- Answer: "" if another node reads; else the number of the last event that is sent, the place of the last entry here, how
--   many entries there are, then number and event of each that is an event.
local stream, counters = unpack(KEYS)
local node, reader_ms, limit, done, done_number = unpack(ARGV)

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local state = redis.call('HMGET', counters, 'reader', 'until', 'done', 'done_number')
if state[1] and state[1] ~= node and tonumber(state[2]) > now then return {''} end
redis.call('HSET', counters, 'reader', node, 'until', string.format('%.0f', now + reader_ms))
local from, sent = state[3], state[4]
if done ~= '' and state[1] == node then
  from, sent = done, done_number
  redis.call('HSET', counters, 'done', from, 'done_number', sent)
end
if limit == '0' then return {sent or '0', ''} end
local entries = redis.call('XRANGE', stream, from and '(' .. from or '-', '+', 'COUNT', limit)
local out = {sent or '0', '', #entries}
for _, entry in ipairs(entries) do
  local fields = entry[2]
  out[2] = entry[1]
  if fields[3] == 'number' and fields[5] == 'event' then -- as nodes write it; others may write to the stream
    out[#out + 1] = fields[4]
    out[#out + 1] = fields[6]
  end
end
return out
