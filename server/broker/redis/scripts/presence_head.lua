-- The beginning of presence.lua and presence_members.lua. CMake puts this text before theirs.
--
-- KEYS: entries, a hash of the entry of each user; by_user, a sorted set of "user NUL node"; by_node, the same as "node NUL
--   user", both in bytewise order; nodes_key, a hash of "until when, how many connections, number of the last update" of
--   each node, and under the empty name "when a node looked last, since when"; live channel.
-- ARGV: the node and its round (redis_presence.c; empty: only reads); PUBLISH or SPUBLISH if join and leave are told, else
--   empty; what stands in them between type and entry; ms that the members of a node count from its update on; ms for which
--   the node has had its connection; 1 if it asks again.
--
-- A user is there as long as one node has it. A node whose time is over loses its members, a part of them at a time,
-- whichever node calls. So its users leave once, and no later than the next call.
--
-- Redis may have lost any of the keys, or one may be of another type. The others show it, so each script looks before it
-- writes. Then all keys go, and the nodes tell their members again, each at its next sign of life. Until they have had the
-- time for it (the third number under the empty name), nobody knows who is there.
--
-- A node is not over because Redis was away. Each node with members calls in a third of `alive_ms`. If no node has called for
-- two thirds of it, perhaps no node could. All nodes then have as much time again: from now on or, if the caller had no
-- reason to call, from when it got its connection. The caller is told to ask again. That question comes after the calls
-- that waited for Redis with its first one.
local entries, by_user, by_node, nodes_key, live = unpack(KEYS)
local me, publish, around, alive_ms, connected_ms, again = unpack(ARGV)

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local changed = {} -- "+USER" has come, "-USER" has left
local function tell(type, entry, user)
  changed[#changed + 1] = (type == 'join' and '+' or '-') .. user
  if publish ~= '' then redis.call(publish, live, '{"type":"' .. type .. around .. entry .. '}') end
end
local function is_there(user)
  return redis.call('ZLEXCOUNT', by_user, '[' .. user .. '\0', '(' .. user .. '\1') > 0
end
local function remove(user, node)
  if redis.call('ZREM', by_user, user .. '\0' .. node) == 0 then return end
  redis.call('ZREM', by_node, node .. '\0' .. user)
  if is_there(user) then return end
  local entry = redis.call('HGET', entries, user)
  redis.call('HDEL', entries, user)
  if entry then tell('leave', entry, user) end
end
local more, room = false, 1000
local function forget(node)
  local left = redis.call('ZRANGEBYLEX', by_node, '[' .. node .. '\0', '(' .. node .. '\1', 'LIMIT', 0, room)
  for _, member in ipairs(left) do remove(string.sub(member, #node + 2), node) end
  if #left < room then redis.call('HDEL', nodes_key, node) else more = true end
  room = room - #left
end
local lost
local function drop_if_empty()
  if not lost and redis.call('HLEN', nodes_key) == 1 then redis.call('HDEL', nodes_key, '') end
end
local self, alive = string.match(me, '^[^#]*'), tonumber(alive_ms)
local last, connections, earlier, others, over = '', 0, {}, {}, {}
local seen, since
local count, nodes, users = 0, redis.pcall('HGETALL', nodes_key), redis.pcall('HLEN', entries)
local user_rows, node_rows = redis.pcall('ZCARD', by_user), redis.pcall('ZCARD', by_node)
local broken = nodes.err or type(users) ~= 'number' or type(user_rows) ~= 'number' or user_rows ~= node_rows
  or (users > 0) ~= (user_rows > 0)
for i = 1, #nodes, 2 do
  local node, first, second, third = nodes[i], string.match(nodes[i + 1], '^(%d+) (%d+) ?(%d*)$')
  if node ~= '' then count = count + 1 end
  if not first then
    broken = true
  elseif node == '' then
    seen, since, lost = tonumber(first), tonumber(second), tonumber(third)
    if lost and lost <= now then lost = nil end
  elseif string.match(node, '^[^#]*') == self then
    if node == me then last = third else earlier[#earlier + 1] = node end
  else
    others[#others + 1] = {node, tonumber(first), tonumber(second)}
  end
end
if broken or (count == 0 and user_rows > 0) then
  redis.call('DEL', entries, by_user, by_node, nodes_key)
  redis.call('HSET', nodes_key, '', string.format('%.0f %.0f %.0f', now, now, now + alive * 2 / 3))
  redis.call('PEXPIRE', nodes_key, string.format('%.0f', alive + 3600000))
  return 0
end
local silent = not seen or now - seen > alive * 2 / 3
if silent then since = math.max(since or 0, last ~= '' and now or now - connected_ms) end
for _, node in ipairs(others) do
  if math.max(node[2], since + alive) <= now then
    over[#over + 1] = node[1]
  else
    connections = connections + node[3]
  end
end
local mark = string.format('%.0f %.0f', now, since) .. (lost and string.format(' %.0f', lost) or '')
if silent and again == '0' then
  more = #over > 0
  over = {}
end
