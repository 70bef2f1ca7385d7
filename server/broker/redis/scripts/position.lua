-- Tells a node the position of a channel, in line with the channel's events. May begin the channel's epoch.
--
-- KEYS: meta and log of the channel (publish.lua).
-- ARGV: pub/sub channel of the node; live channel; epoch for a channel that has none (empty: the channel has no history);
--   ttl of a new meta in ms; epoch, offset and id of the last event that the node has had (empty: none); epoch that begins
--   when Redis has lost that event; PUBLISH or SPUBLISH.
-- Answer: 1. The position itself goes to the node's pub/sub channel, as "position OFFSET EPOCH ID LIVE-CHANNEL", with the id
--   of the event at the offset. On the connection where the channel's events arrive, it stands exactly between the events
--   that it covers and those after it.
--
-- Redis may have lost the last event of the node: a failover, or a restart from an older snapshot, loses the last writes.
-- Offsets are then given a second time, so a new epoch begins. A client that comes back with the old epoch is not taken
-- for a client that has the new events.
--
-- An epoch that begins here is told to all nodes at once, on the live channel. An epoch that a publication begins is told
-- by its event. So all subscribers know the epoch that is in meta.
--
-- A meta that no event has touched yet always expires, and soon after its last subscriber has left (vacate.lua). So
-- subscriptions to ever new names do not fill Redis. A new subscriber renews the ttl. When Redis refuses writes, the node
-- gets the channel all the same, without a position.
local meta, log = unpack(KEYS)
local node_channel, live, first_epoch, ttl, had_epoch, had_offset, had_id, next_epoch, publish = unpack(ARGV)

local begins = false
local at = redis.call('HMGET', meta, 'epoch', 'offset', 'last', 'before')
local function id_at(offset)
  for i = 3, 4 do
    local id = string.match(at[i] or '', '^' .. offset .. ' (.+)$')
    if id then return id end
  end
  local entry = redis.call('XRANGE', log, offset .. '-0', offset .. '-0')[1]
  return entry and string.match(entry[2][2], '"id":"([^"]*)"') or ''
end
if not at[1] and first_epoch ~= '' then
  local made = redis.pcall('HSET', meta, 'epoch', first_epoch, 'offset', 0)
  if type(made) == 'number' then
    redis.call('PEXPIRE', meta, ttl)
    redis.call('DEL', log)
    at, begins = {first_epoch, '0'}, true
  end
elseif at[1] and at[1] == had_epoch then
  local gone = tonumber(at[2]) < tonumber(had_offset)
  if not gone and had_id ~= '' then
    local id = id_at(had_offset)
    gone = id ~= '' and id ~= had_id
  end
  if gone and type(redis.pcall('HSET', meta, 'epoch', next_epoch)) == 'number' then
    at[1], begins = next_epoch, true
  end
end
if at[1] and (at[2] or '0') == '0' and first_epoch ~= '' then redis.pcall('PEXPIRE', meta, ttl) end
local id = at[1] and id_at(at[2]) or ''
if begins then
  local known = id ~= '' and ',"id":"' .. id .. '"' or ''
  redis.call(publish, live, '{"type":"gap","data":{"reason":"epoch_changed","epoch":"' .. at[1] ..
    '","offset":' .. at[2] .. known .. '}}')
end
redis.call('PUBLISH', node_channel, table.concat({'position', at[2] or '0', at[1] or '', id, live}, ' '))
return 1
