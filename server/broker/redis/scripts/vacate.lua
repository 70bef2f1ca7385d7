-- Lets a position without an event expire soon, if nobody is subscribed to its channel any more.
--
-- KEYS: meta of the channel (publish.lua).
-- ARGV: live channel; NUMSUB or SHARDNUMSUB; ms that the position outlives its last subscriber.
-- Answer: 1 if meta expires, else 0.
--
-- A node that is about to subscribe asks for the position afterwards, which renews the ttl of meta (position.lua).
local meta = KEYS[1]
local live, count_subscribers, ttl = unpack(ARGV)

if redis.call('HGET', meta, 'offset') ~= '0' then return 0 end
if redis.call('PUBSUB', count_subscribers, live)[2] > 0 then return 0 end
return redis.call('PEXPIRE', meta, ttl)
