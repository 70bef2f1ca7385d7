-- Says that a node is alive, and reads which nodes are.
--
-- KEYS: registry of the nodes, a sorted set of node ids by the time of their last call.
-- ARGV: id of the node; ms without a call after which a node is gone.
-- Answer: 1 if the node was not in the registry, else 0; then the ids of all nodes that are alive.
--
-- Only the clock of Redis counts. A node stays in the registry for an hour after it is gone, as its members do
-- (presence.lua). So a node that has been in the registry and is not there any more shows that Redis has lost data.
local nodes = KEYS[1]
local node, silent_ms = unpack(ARGV)

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local new = redis.call('ZADD', nodes, string.format('%.0f', now), node)
redis.call('ZREMRANGEBYSCORE', nodes, '-inf', string.format('%.0f', now - silent_ms - 3600000))
local ids = redis.call('ZRANGEBYSCORE', nodes, string.format('(%.0f', now - silent_ms), '+inf')
table.sort(ids)
table.insert(ids, 1, new)
return ids
