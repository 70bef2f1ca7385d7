-- Changes the members that a node has in a channel: some come, some go, and the node is alive.
--
-- KEYS and ARGV: first those of presence_head.lua.
-- ARGV also: connections of the node; 1 if all of its members have been told in this round, else 0; changes as JSON, [[here,
--   user, entry], ...]; number of this update; number of the last update of this round that Redis has answered (0: none).
-- Answer: 0 if Redis does not know that last update, so has lost data: then nothing has been done. Else 1, or 2 if there
--   are still members of nodes that are over; then the users who have come to the channel or left it.
--
-- The members of a node's earlier rounds stay until all have been told in this one. Then those go that are in no other. All
-- of it stays for an hour without any member. So a user who left while Redis was away, or with its node, is told to have
-- left.
local held, complete, changes, number, answered = unpack(ARGV, 7)

if (tonumber(last) or 0) < tonumber(answered) then return 0 end
local till = string.format('%.0f', now + alive)
redis.call('HSET', nodes_key, '', mark)
for _, node in ipairs(over) do forget(node) end
for _, change in ipairs(cjson.decode(changes)) do
  local here, user, entry = change[1], change[2], change[3]
  if here then
    local new = not is_there(user)
    redis.call('ZADD', by_user, 0, user .. '\0' .. me)
    redis.call('ZADD', by_node, 0, me .. '\0' .. user)
    redis.call('HSET', entries, user, entry)
    if new then tell('join', entry, user) end
  else
    remove(user, me)
  end
end
for _, node in ipairs(earlier) do
  if complete == '1' then forget(node) else redis.call('HSET', nodes_key, node, till .. ' 0 0') end
end
if redis.call('ZLEXCOUNT', by_node, '[' .. me .. '\0', '(' .. me .. '\1') == 0 then
  redis.call('HDEL', nodes_key, me)
else
  redis.call('HSET', nodes_key, me, till .. ' ' .. held .. ' ' .. number)
end
drop_if_empty()
for i = 1, 4 do redis.call('PEXPIRE', KEYS[i], string.format('%.0f', alive + 3600000)) end
return {more and 2 or 1, changed}
