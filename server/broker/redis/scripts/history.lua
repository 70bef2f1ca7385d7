-- Reads a page of a channel's log, with the channel's position.
--
-- KEYS: meta and log of the channel (publish.lua).
-- ARGV: 1 for newest first, else 0; offset to begin above, or, newest first, below (0: at the end); the most events; about
--   the most bytes.
-- Answer: epoch (empty: the channel has no history); offset of the last event ever; 1 if there are more events in that
--   direction; `last` and `before` of meta; then offset and JSON of each event.
--
-- The log is read in small pieces, since how many events fit is only known when they have been read.
local meta, log = unpack(KEYS)
local newest_first, from, limit, max_bytes = unpack(ARGV)
limit, max_bytes = tonumber(limit), tonumber(max_bytes)

local at = redis.call('HMGET', meta, 'epoch', 'offset', 'last', 'before')
if not at[1] then return {'', '0', 0, '', ''} end
local answer = {at[1], at[2] or '0', 0, at[3] or '', at[4] or ''}
local count, bytes = 0, 0
while true do
  local part
  if newest_first == '1' then
    local below = from == '0' and '+' or '(' .. from .. '-0'
    part = redis.call('XREVRANGE', log, below, '-', 'COUNT', 32)
  else
    part = redis.call('XRANGE', log, '(' .. from .. '-0', '+', 'COUNT', 32)
  end
  for _, entry in ipairs(part) do
    local event = entry[2][2]
    bytes = bytes + #event
    if count == limit or (count > 0 and bytes > max_bytes) then
      answer[3] = 1
      return answer
    end
    from = string.match(entry[1], '^%d+')
    count = count + 1
    answer[#answer + 1] = from
    answer[#answer + 1] = event
  end
  if #part < 32 then return answer end
end
