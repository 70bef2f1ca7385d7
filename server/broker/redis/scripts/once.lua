-- Publishes an event of a channel without history, unless its event_id is known.
--
-- KEYS: the key that remembers the event_id; live channel.
-- ARGV: id of the event; its JSON; idempotency window in ms; PUBLISH or SPUBLISH.
-- Answer: id, epoch, offset, and 1 if the event_id was known, else 0. Without history the epoch is empty and the offset 0.
--
-- No key has the name of the live channel. In a cluster the name keeps the script from a server that is taking the slot over (TRYAGAIN).
-- Nobody is subscribed there yet, so the subscribers of the other server would miss the event.
local remembered, live = unpack(KEYS)
local id, event, window, publish = unpack(ARGV)

local known = redis.call('GET', remembered)
if known then
  local known_id, epoch, offset = string.match(known, '^(%S+) (%S*) (%d+)$')
  if known_id then return {known_id, epoch, offset, 1} end
end
redis.call('SET', remembered, id .. '  0', 'PX', window)
local sent = redis.pcall(publish, live, event)
if type(sent) == 'table' then
  redis.call('DEL', remembered)
  return sent
end
return {id, '', '0', 0}
