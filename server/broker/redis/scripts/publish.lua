-- Orders, stores and publishes an event of a channel with history.
--
-- KEYS: meta and log of the channel; with an event_id also the key that remembers it.
-- ARGV: epoch that begins if a new one is needed; history size; ttl of the log and ttl of meta in ms (0: none); id of the
--   event; JSON of the event before and after its position; idempotency window in ms; live channel; PUBLISH or SPUBLISH.
-- Answer: id, epoch, offset, and 1 if the event_id was known, else 0.
--
-- Meta is a hash: epoch, offset, `last` and `before`. `last` is "OFFSET ID" of the last event. `before` is the same of the
-- event before the first one in the log, if older events had aged out when the first one came. Each counts only for the
-- offset that it names.
--
-- Meta outlives the log, so a channel that is silent for longer than the ttl goes on counting. When meta has gone, the next
-- event begins a new epoch at offset 1. A log without meta is worth nothing and is deleted. So is a log that has offsets
-- which meta has not given yet.
--
-- The event goes into the log before meta counts it, so a refused event uses up no offset.
local meta, log, remembered = unpack(KEYS)
local new_epoch, size, ttl, meta_ttl, id, head, tail, window, live, publish = unpack(ARGV)

local known = remembered and redis.call('GET', remembered)
if known then
  local known_id, known_epoch, known_offset = string.match(known, '^(%S+) (%S*) (%d+)$')
  if known_id then return {known_id, known_epoch, known_offset, 1} end
end
local at = redis.call('HMGET', meta, 'epoch', 'offset', 'last')
local epoch, offset = at[1], string.format('%.0f', (at[2] or 0) + 1)
local ages, begins, event = ttl ~= '0', true
local function add(option)
  event = head .. ',"epoch":"' .. epoch .. '","offset":' .. offset .. tail
  if option then return redis.pcall('XADD', log, option, 'MAXLEN', size, offset .. '-0', 'd', event) end
  return redis.pcall('XADD', log, 'MAXLEN', size, offset .. '-0', 'd', event)
end
if epoch then
  local added = add('NOMKSTREAM')
  begins = not added
  if begins then added = add() end
  if type(added) == 'table' then
    if not string.find(added.err, 'equal or smaller', 1, true) then return added end
    redis.call('DEL', meta)
    epoch = nil
  end
end
if epoch then
  redis.call('HSET', meta, 'offset', offset, 'last', offset .. ' ' .. id)
  if ages and begins and at[3] then redis.call('HSET', meta, 'before', at[3]) end
else
  epoch, offset = new_epoch, '1'
  redis.call('HSET', meta, 'epoch', epoch, 'offset', offset, 'last', offset .. ' ' .. id)
  redis.call('DEL', log)
  local added = add()
  if type(added) == 'table' then
    redis.call('DEL', meta)
    return added
  end
end
if ages then
  redis.call('PEXPIRE', log, ttl)
  redis.call('PEXPIRE', meta, meta_ttl)
elseif redis.call('PTTL', meta) >= 0 then -- the rule had a ttl before, or this is the first event
  redis.call('PERSIST', log)
  redis.call('PERSIST', meta)
end
if remembered then
  redis.call('SET', remembered, id .. ' ' .. epoch .. ' ' .. offset, 'PX', window)
end
redis.call(publish, live, event)
return {id, epoch, offset, 0}
