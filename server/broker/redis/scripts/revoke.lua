-- Keeps a revocation and tells all nodes.
--
-- KEYS: revocations, a sorted set by the time until which they count.
-- ARGV: time until which the revocation counts, in ms; the revocation, as its member; pub/sub channel of all nodes.
-- Answer: 1.
local revoked = KEYS[1]
local till, revocation, nodes_channel = unpack(ARGV)

redis.call('ZADD', revoked, 'GT', till, revocation)
local time = redis.call('TIME')
redis.call('ZREMRANGEBYSCORE', revoked, '-inf', string.format('%.0f', time[1] * 1000))
redis.call('PUBLISH', nodes_channel, 'revoked ' .. till .. ' ' .. revocation)
return 1
