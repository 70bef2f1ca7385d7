-- Reads a page of the members of a channel.
--
-- KEYS and ARGV: first those of presence_head.lua.
-- KEYS also: registry of the nodes (register.lua), unless it is in another slot.
-- ARGV also: user to begin after (empty: from the first); the most users; about the most bytes; id of the node if it has
--   been in the registry.
-- Answer: 0 if the caller has to ask again, as there are still members of nodes that are over. 1 if Redis has lost who is
--   there and the nodes have yet to tell it again: either the whole channel, or all data, with the registry. Else users and
--   connections in all; user to begin after for the next page (empty: there is none); entries. Last in each array: the
--   users who have left the channel with their nodes.
local registry = KEYS[6]
local after, limit, max_bytes, node_id = unpack(ARGV, 7)
limit, max_bytes = tonumber(limit), tonumber(max_bytes)

if #nodes > 0 then redis.pcall('HSET', nodes_key, '', mark) end -- a full Redis can be read
for _, node in ipairs(over) do forget(node) end
drop_if_empty()
if more then return {0, changed} end
if lost or (registry and not redis.call('ZSCORE', registry, node_id)) then return {1, changed} end
local from, bytes = after == '' and '-' or '[' .. after .. '\1', 0
local page, last_user, next_after = {}, nil, ''
while next_after == '' do
  local wanted = math.min(200, limit - #page + 1)
  local part = redis.call('ZRANGEBYLEX', by_user, from, '+', 'LIMIT', 0, wanted)
  for _, member in ipairs(part) do
    local user = string.sub(member, 1, string.find(member, '\0', 1, true) - 1)
    if user ~= last_user then
      local entry = redis.call('HGET', entries, user) or '{}'
      bytes = bytes + #entry + 1
      if #page == limit or (last_user and bytes > max_bytes) then
        next_after = last_user
        break
      end
      page[#page + 1] = entry
      last_user = user
    end
    from = '(' .. member
  end
  if #part < wanted then break end
end
return {redis.call('HLEN', entries), connections, next_after, page, changed}
