-- Takes or renews the lease of the ingest stream, and reads a batch of entries.
--
-- KEYS: lease, a key that expires and names the node that reads; ingest stream.
-- ARGV: id of the node; ms that the lease lasts; entry at which claiming goes on, empty: nothing is to be claimed;
-- largest batch.
-- Answer: 0 if another node has the lease, else 1; entry at which claiming goes on then, "0-0": all are claimed; the
-- entries.
--
-- A node that takes the lease claims the entries of earlier readers first. Lease and reading are one step: so a node
-- that stood still in between does not read entries of another node.
local lease, stream = unpack(KEYS)
local node, lease_ms, claim_from, batch = unpack(ARGV)

local holder = redis.call('GET', lease)
if holder and holder ~= node then return {0, '', {}} end
redis.call('SET', lease, node, 'PX', lease_ms)
local from = holder and claim_from or '0-0'
if from ~= '' then
  local claimed = redis.call('XAUTOCLAIM', stream, 'carillon', node, 0, from, 'COUNT', batch)
  return {1, claimed[1], claimed[2]}
end
local read = redis.call('XREADGROUP', 'GROUP', 'carillon', node, 'COUNT', batch, 'STREAMS', stream, '>')
return {1, '', read and read[1][2] or {}}
