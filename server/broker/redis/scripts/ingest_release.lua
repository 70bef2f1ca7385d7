-- Gives the lease of the ingest stream back.
--
-- KEYS: lease.
-- ARGV: id of the node.
-- Answer: nothing.
local lease = KEYS[1]
local node = ARGV[1]

if redis.call('GET', lease) == node then redis.call('DEL', lease) end
