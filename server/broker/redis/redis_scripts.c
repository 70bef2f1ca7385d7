/* redis_scripts.c - see redis_scripts.h. A refused script has changed nothing that counts. Redis looks at its memory
 * before the first command of a script that writes, and only if that command may need memory; the type of a key, it
 * looks at with each command. So scripts write first by a command that Redis may refuse, and change nothing before a
 * command that can fail after that. The ACL is taken to allow whatever a script does. */
#include "server/broker/redis/redis_scripts.h"

#include <assert.h>
#include <hiredis/hiredis.h>
#include <stdio.h>

/* KEYS: meta, log and, with an event_id, the key that remembers it.
 * ARGV: epoch if a new one is needed, history size, its ttl and that of meta in ms (0: none), the event's id, its JSON
 * before and after the position, idempotency window in ms, live channel, PUBLISH or SPUBLISH. Answer: id, epoch,
 * offset, 1 if the event_id was known.
 *
 * Meta also has `last`, "OFFSET ID" of the last event, and `before`, the same of the event before the log's first one,
 * where the others had gone with age when that came. What they say counts only for the offset it names.
 *
 * Meta outlives the log, so that a channel that falls silent for longer than its ttl keeps counting. Once meta has
 * gone, the next event begins a new epoch at 1, and a log without meta is worth nothing: it is deleted. So is a log
 * that has offsets which meta has not given yet.
 *
 * The event goes into the log before meta counts it: a refused event uses up no offset. */
static const char publish_text[] =
    "local known = KEYS[3] and redis.call('GET', KEYS[3])\n"
    "if known then\n"
    "  local id, epoch, offset = string.match(known, '^(%S+) (%S*) (%d+)$')\n"
    "  if id then return {id, epoch, offset, 1} end\n"
    "end\n"
    "local at = redis.call('HMGET', KEYS[1], 'epoch', 'offset', 'last')\n"
    "local epoch, offset = at[1], string.format('%.0f', (at[2] or 0) + 1)\n"
    "local ages, begins, event = ARGV[3] ~= '0', true\n"
    "local function add(option)\n"
    "  event = ARGV[6] .. ',\"epoch\":\"' .. epoch .. '\",\"offset\":' .. offset .. ARGV[7]\n"
    "  if option then return redis.pcall('XADD', KEYS[2], option, 'MAXLEN', ARGV[2], offset .. '-0', 'd', event) end\n"
    "  return redis.pcall('XADD', KEYS[2], 'MAXLEN', ARGV[2], offset .. '-0', 'd', event)\n"
    "end\n"
    "if epoch then\n"
    "  local added = add('NOMKSTREAM')\n"
    "  begins = not added\n"
    "  if begins then added = add() end\n"
    "  if type(added) == 'table' then\n"
    "    if not string.find(added.err, 'equal or smaller', 1, true) then return added end\n"
    "    redis.call('DEL', KEYS[1])\n"
    "    epoch = nil\n"
    "  end\n"
    "end\n"
    "if epoch then\n"
    "  redis.call('HSET', KEYS[1], 'offset', offset, 'last', offset .. ' ' .. ARGV[5])\n"
    "  if ages and begins and at[3] then redis.call('HSET', KEYS[1], 'before', at[3]) end\n"
    "else\n"
    "  epoch, offset = ARGV[1], '1'\n"
    "  redis.call('HSET', KEYS[1], 'epoch', epoch, 'offset', offset, 'last', offset .. ' ' .. ARGV[5])\n"
    "  redis.call('DEL', KEYS[2])\n"
    "  local added = add()\n"
    "  if type(added) == 'table' then\n"
    "    redis.call('DEL', KEYS[1])\n"
    "    return added\n"
    "  end\n"
    "end\n"
    "if ages then\n"
    "  redis.call('PEXPIRE', KEYS[2], ARGV[3])\n"
    "  redis.call('PEXPIRE', KEYS[1], ARGV[4])\n"
    "elseif redis.call('PTTL', KEYS[1]) >= 0 then\n" /* the rule had a ttl before, or this is the first event */
    "  redis.call('PERSIST', KEYS[2])\n"
    "  redis.call('PERSIST', KEYS[1])\n"
    "end\n"
    "if KEYS[3] then\n"
    "  redis.call('SET', KEYS[3], ARGV[5] .. ' ' .. epoch .. ' ' .. offset, 'PX', ARGV[8])\n"
    "end\n"
    "redis.call(ARGV[10], ARGV[9], event)\n"
    "return {ARGV[5], epoch, offset, 0}\n";

/* KEYS: the key that remembers the event_id, the live channel. ARGV: the event's id, its JSON, idempotency window in
 * ms, PUBLISH or SPUBLISH.
 *
 * No key has the live channel's name. In a cluster it keeps the script from a server that is only taking the slot over
 * (TRYAGAIN): there is nobody subscribed yet, and those who are subscribed to the other one would not be told. */
static const char once_text[] = "local known = redis.call('GET', KEYS[1])\n"
                                "if known then\n"
                                "  local id, epoch, offset = string.match(known, '^(%S+) (%S*) (%d+)$')\n"
                                "  if id then return {id, epoch, offset, 1} end\n"
                                "end\n"
                                "redis.call('SET', KEYS[1], ARGV[1] .. '  0', 'PX', ARGV[3])\n"
                                "local sent = redis.pcall(ARGV[4], KEYS[2], ARGV[2])\n"
                                "if type(sent) == 'table' then\n"
                                "  redis.call('DEL', KEYS[1])\n"
                                "  return sent\n"
                                "end\n"
                                "return {ARGV[1], '', '0', 0}\n";

/* KEYS: meta, log. ARGV: the node's own pub/sub channel, the live channel, epoch if the channel is to have one (empty:
 * it has no history), ttl of a new meta in ms; epoch, offset and id of the last event that the node has had (empty:
 * none), epoch in case those are gone, PUBLISH or SPUBLISH. The answer that counts goes over pub/sub, with the id of
 * the event at that position: on the connection where the channel's events come in it stands exactly between those it
 * covers and those after it.
 *
 * What the node has had may be gone: a failover, or a restart from an older snapshot, loses the last writes. Offsets
 * are then given a second time, so the epoch must be another one: who comes back with the old one is not to be taken
 * for somebody who has the new events.
 *
 * An epoch that is begun here is told to all nodes at once, on the live channel. An epoch that a publication begins is
 * told by its event. So all subscribers know the epoch that is in meta.
 *
 * A meta that no event has touched yet always ages, and soon once nobody is subscribed (vacate_text): so subscribing to
 * ever new names does not fill Redis. Who subscribes gives it its time again. Where Redis takes no writes the channel
 * can be had all the same, without a position. */
static const char position_text[] =
    "local begins = false\n"
    "local at = redis.call('HMGET', KEYS[1], 'epoch', 'offset', 'last', 'before')\n"
    "local function id_at(offset)\n"
    "  for i = 3, 4 do\n"
    "    local id = string.match(at[i] or '', '^' .. offset .. ' (.+)$')\n"
    "    if id then return id end\n"
    "  end\n"
    "  local entry = redis.call('XRANGE', KEYS[2], offset .. '-0', offset .. '-0')[1]\n"
    "  return entry and string.match(entry[2][2], '\"id\":\"([^\"]*)\"') or ''\n"
    "end\n"
    "if not at[1] and ARGV[3] ~= '' then\n"
    "  local made = redis.pcall('HSET', KEYS[1], 'epoch', ARGV[3], 'offset', 0)\n"
    "  if type(made) == 'number' then\n"
    "    redis.call('PEXPIRE', KEYS[1], ARGV[4])\n"
    "    redis.call('DEL', KEYS[2])\n"
    "    at, begins = {ARGV[3], '0'}, true\n"
    "  end\n"
    "elseif at[1] and at[1] == ARGV[5] then\n"
    "  local gone = tonumber(at[2]) < tonumber(ARGV[6])\n"
    "  if not gone and ARGV[7] ~= '' then\n"
    "    local id = id_at(ARGV[6])\n"
    "    gone = id ~= '' and id ~= ARGV[7]\n"
    "  end\n"
    "  if gone and type(redis.pcall('HSET', KEYS[1], 'epoch', ARGV[8])) == 'number' then\n"
    "    at[1], begins = ARGV[8], true\n"
    "  end\n"
    "end\n"
    "if at[1] and (at[2] or '0') == '0' and ARGV[3] ~= '' then redis.pcall('PEXPIRE', KEYS[1], ARGV[4]) end\n"
    "local id = at[1] and id_at(at[2]) or ''\n"
    "if begins then\n"
    "  local known = id ~= '' and ',\"id\":\"' .. id .. '\"' or ''\n"
    "  redis.call(ARGV[9], ARGV[2], '{\"type\":\"gap\",\"data\":{\"reason\":\"epoch_changed\",\"epoch\":\"' .. at[1] "
    "..\n"
    "    '\",\"offset\":' .. at[2] .. known .. '}}')\n"
    "end\n"
    "redis.call('PUBLISH', ARGV[1], table.concat({'position', at[2] or '0', at[1] or '', id, ARGV[2]}, ' '))\n"
    "return 1\n";

/* KEYS: meta. ARGV: the live channel, NUMSUB or SHARDNUMSUB, ms that a position without an event outlives its last
 * subscriber. A node that is only about to subscribe asks for the position afterwards, which gives meta its time again.
 */
static const char vacate_text[] = "if redis.call('HGET', KEYS[1], 'offset') ~= '0' then return 0 end\n"
                                  "if redis.call('PUBSUB', ARGV[2], ARGV[1])[2] > 0 then return 0 end\n"
                                  "return redis.call('PEXPIRE', KEYS[1], ARGV[3])\n";

/* KEYS: meta, log. ARGV: 1 for newest first, offset to begin above (newest first: below; 0: at the end), at most so
 * many events, and about so many bytes. Answer: epoch (empty: no history), offset of the last event ever, 1 if there is
 * more in that direction, meta's `last` and `before`, then offset and JSON of each event. The log is read in small
 * pieces, since how many fit is only known once they are read. */
static const char history_text[] = "local at = redis.call('HMGET', KEYS[1], 'epoch', 'offset', 'last', 'before')\n"
                                   "if not at[1] then return {'', '0', 0, '', ''} end\n"
                                   "local answer = {at[1], at[2] or '0', 0, at[3] or '', at[4] or ''}\n"
                                   "local from, limit, max = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])\n"
                                   "local count, bytes = 0, 0\n"
                                   "while true do\n"
                                   "  local part\n"
                                   "  if ARGV[1] == '1' then\n"
                                   "    local below = from == '0' and '+' or '(' .. from .. '-0'\n"
                                   "    part = redis.call('XREVRANGE', KEYS[2], below, '-', 'COUNT', 32)\n"
                                   "  else\n"
                                   "    part = redis.call('XRANGE', KEYS[2], '(' .. from .. '-0', '+', 'COUNT', 32)\n"
                                   "  end\n"
                                   "  for _, entry in ipairs(part) do\n"
                                   "    local event = entry[2][2]\n"
                                   "    bytes = bytes + #event\n"
                                   "    if count == limit or (count > 0 and bytes > max) then\n"
                                   "      answer[3] = 1\n"
                                   "      return answer\n"
                                   "    end\n"
                                   "    from = string.match(entry[1], '^%d+')\n"
                                   "    count = count + 1\n"
                                   "    answer[#answer + 1] = from\n"
                                   "    answer[#answer + 1] = event\n"
                                   "  end\n"
                                   "  if #part < 32 then return answer end\n"
                                   "end\n";

/* KEYS: nodes. ARGV: the node's id, ms after which a silent node is gone. Redis's clock is the only one used. Answer: 1
 * if the node was not there, then all that are. It stays for an hour when it is gone, as its members do (presence): so
 * where a node that has been there is not, Redis has lost what it had. */
static const char register_text[] =
    "local time = redis.call('TIME')\n"
    "local now = time[1] * 1000 + math.floor(time[2] / 1000)\n"
    "local new = redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[1])\n"
    "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - ARGV[2] - 3600000))\n"
    "local ids = redis.call('ZRANGEBYSCORE', KEYS[1], string.format('(%.0f', now - ARGV[2]), '+inf')\n"
    "table.sort(ids)\n"
    "table.insert(ids, 1, new)\n"
    "return ids\n";

/* KEYS: a user's sessions. ARGV: take, keep or leave, the session, ms it counts from now, how many may be there when
 * it is taken. Answer: 1, or 0 if there is no room. */
static const char session_slot_text[] =
    "local time = redis.call('TIME')\n"
    "local now = time[1] * 1000 + math.floor(time[2] / 1000)\n"
    "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))\n"
    "if ARGV[1] == 'leave' then\n"
    "  redis.call('ZREM', KEYS[1], ARGV[2])\n"
    "  return 1\n"
    "end\n"
    "if ARGV[1] == 'take' and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[4]) then return 0 end\n"
    "redis.call('ZADD', KEYS[1], string.format('%.0f', now + ARGV[3]), ARGV[2])\n"
    "redis.call('PEXPIRE', KEYS[1], ARGV[3])\n"
    "return 1\n";

/* KEYS: presence, a hash of each user's entry; users, a sorted set of "user NUL node" and, the same as "node NUL
 * user", members, both in bytewise order; nodes, a hash of each node's "until when, how many connections, number of its
 * last update", and under the empty name of "when somebody looked last, since when"; live. ARGV: the node and its round
 * (redis_presence.c; empty: it only reads), PUBLISH or SPUBLISH if join and leave are told, what stands in them between
 * type and entry, ms that a node's members count from its update on, ms for which the node has had its connection, 1 if
 * it asks again.
 *
 * A user is there as long as one node has it. Nodes whose time is over lose their members, a part of them at a time,
 * whoever asks: so their users leave once, and no later than somebody looks.
 *
 * Each of the keys can be told from the others to have been lost or to be of another type: every script looks before it
 * writes. Then all of them go, and the nodes tell their members again, each at its next sign of life. Until they have
 * had the time for it (the third number under the empty name), nobody knows who is there.
 *
 * A node is not over because Redis was away. Every node with members comes by in a third of ARGV[4], so where nobody
 * has looked for two thirds of it, nobody may have got through: all have as much time again, from now on; or, if who
 * asks had no reason to come by, from when it got its connection. It is told to ask again, which comes after what had
 * been waiting for Redis with its first question. */
#define PRESENCE_TEXT                                                                                                  \
    "local time = redis.call('TIME')\n"                                                                                \
    "local now = time[1] * 1000 + math.floor(time[2] / 1000)\n"                                                        \
    "local function tell(type, entry)\n"                                                                               \
    "  if ARGV[2] ~= '' then redis.call(ARGV[2], KEYS[5], '{\"type\":\"' .. type .. ARGV[3] .. entry .. '}') end\n"    \
    "end\n"                                                                                                            \
    "local function is_there(user)\n"                                                                                  \
    "  return redis.call('ZLEXCOUNT', KEYS[2], '[' .. user .. '\\0', '(' .. user .. '\\1') > 0\n"                      \
    "end\n"                                                                                                            \
    "local function remove(user, node)\n"                                                                              \
    "  if redis.call('ZREM', KEYS[2], user .. '\\0' .. node) == 0 then return end\n"                                   \
    "  redis.call('ZREM', KEYS[3], node .. '\\0' .. user)\n"                                                           \
    "  if is_there(user) then return end\n"                                                                            \
    "  local entry = redis.call('HGET', KEYS[1], user)\n"                                                              \
    "  redis.call('HDEL', KEYS[1], user)\n"                                                                            \
    "  if entry then tell('leave', entry) end\n"                                                                       \
    "end\n"                                                                                                            \
    "local more, room = false, 1000\n"                                                                                 \
    "local function forget(node)\n"                                                                                    \
    "  local left = redis.call('ZRANGEBYLEX', KEYS[3], '[' .. node .. '\\0', '(' .. node .. '\\1', 'LIMIT', 0, "       \
    "room)\n"                                                                                                          \
    "  for _, member in ipairs(left) do remove(string.sub(member, #node + 2), node) end\n"                             \
    "  if #left < room then redis.call('HDEL', KEYS[4], node) else more = true end\n"                                  \
    "  room = room - #left\n"                                                                                          \
    "end\n"                                                                                                            \
    "local lost\n"                                                                                                     \
    "local function drop_if_empty()\n"                                                                                 \
    "  if not lost and redis.call('HLEN', KEYS[4]) == 1 then redis.call('HDEL', KEYS[4], '') end\n"                    \
    "end\n"                                                                                                            \
    "local me, self, alive = ARGV[1], string.match(ARGV[1], '^[^#]*'), tonumber(ARGV[4])\n"                            \
    "local last, connections, earlier, others, over = '', 0, {}, {}, {}\n"                                             \
    "local seen, since\n"                                                                                              \
    "local count, nodes, users = 0, redis.pcall('HGETALL', KEYS[4]), redis.pcall('HLEN', KEYS[1])\n"                   \
    "local by_user, by_node = redis.pcall('ZCARD', KEYS[2]), redis.pcall('ZCARD', KEYS[3])\n"                          \
    "local broken = nodes.err or type(users) ~= 'number' or type(by_user) ~= 'number' or by_user ~= by_node\n"         \
    "  or (users > 0) ~= (by_user > 0)\n"                                                                              \
    "for i = 1, #nodes, 2 do\n"                                                                                        \
    "  local node, first, second, third = nodes[i], string.match(nodes[i + 1], '^(%d+) (%d+) ?(%d*)$')\n"              \
    "  if node ~= '' then count = count + 1 end\n"                                                                     \
    "  if not first then\n"                                                                                            \
    "    broken = true\n"                                                                                              \
    "  elseif node == '' then\n"                                                                                       \
    "    seen, since, lost = tonumber(first), tonumber(second), tonumber(third)\n"                                     \
    "    if lost and lost <= now then lost = nil end\n"                                                                \
    "  elseif string.match(node, '^[^#]*') == self then\n"                                                             \
    "    if node == me then last = third else earlier[#earlier + 1] = node end\n"                                      \
    "  else\n"                                                                                                         \
    "    others[#others + 1] = {node, tonumber(first), tonumber(second)}\n"                                            \
    "  end\n"                                                                                                          \
    "end\n"                                                                                                            \
    "if broken or (count == 0 and by_user > 0) then\n"                                                                 \
    "  for i = 1, 4 do redis.call('DEL', KEYS[i]) end\n"                                                               \
    "  redis.call('HSET', KEYS[4], '', string.format('%.0f %.0f %.0f', now, now, now + alive * 2 / 3))\n"              \
    "  redis.call('PEXPIRE', KEYS[4], string.format('%.0f', alive + 3600000))\n"                                       \
    "  return 0\n"                                                                                                     \
    "end\n"                                                                                                            \
    "local silent = not seen or now - seen > alive * 2 / 3\n"                                                          \
    "if silent then since = math.max(since or 0, last ~= '' and now or now - ARGV[5]) end\n"                           \
    "for _, node in ipairs(others) do\n"                                                                               \
    "  if math.max(node[2], since + alive) <= now then\n"                                                              \
    "    over[#over + 1] = node[1]\n"                                                                                  \
    "  else\n"                                                                                                         \
    "    connections = connections + node[3]\n"                                                                        \
    "  end\n"                                                                                                          \
    "end\n"                                                                                                            \
    "local mark = string.format('%.0f %.0f', now, since) .. (lost and string.format(' %.0f', lost) or '')\n"           \
    "if silent and ARGV[6] == '0' then\n"                                                                              \
    "  more = #over > 0\n"                                                                                             \
    "  over = {}\n"                                                                                                    \
    "end\n"

/* ARGV also: the node's connections, 1 if all of its members have been told in this round, changes as JSON ([[here,
 * user, entry], ...]), number of this update and of the last one of this round that Redis has answered (0: none).
 * Answer: 0 if Redis has not had that one, so has lost some, and then nothing of it was done; else 1, or 2 if there are
 * still members of nodes that are over.
 *
 * The members of earlier rounds stay until all have been told, and then those go who are in no other. All of it stays
 * for an hour without anybody, so that who has left while Redis was away, or with its node, is told to have left. */
static const char presence_text[] =
    PRESENCE_TEXT "if (tonumber(last) or 0) < tonumber(ARGV[11]) then return 0 end\n"
                  "local till = string.format('%.0f', now + alive)\n"
                  "redis.call('HSET', KEYS[4], '', mark)\n"
                  "for _, node in ipairs(over) do forget(node) end\n"
                  "for _, change in ipairs(cjson.decode(ARGV[9])) do\n"
                  "  local here, user, entry = change[1], change[2], change[3]\n"
                  "  if here then\n"
                  "    local new = not is_there(user)\n"
                  "    redis.call('ZADD', KEYS[2], 0, user .. '\\0' .. me)\n"
                  "    redis.call('ZADD', KEYS[3], 0, me .. '\\0' .. user)\n"
                  "    redis.call('HSET', KEYS[1], user, entry)\n"
                  "    if new then tell('join', entry) end\n"
                  "  else\n"
                  "    remove(user, me)\n"
                  "  end\n"
                  "end\n"
                  "for _, node in ipairs(earlier) do\n"
                  "  if ARGV[8] == '1' then forget(node) else redis.call('HSET', KEYS[4], node, till .. ' 0 0') end\n"
                  "end\n"
                  "if redis.call('ZLEXCOUNT', KEYS[3], '[' .. me .. '\\0', '(' .. me .. '\\1') == 0 then\n"
                  "  redis.call('HDEL', KEYS[4], me)\n"
                  "else\n"
                  "  redis.call('HSET', KEYS[4], me, till .. ' ' .. ARGV[7] .. ' ' .. ARGV[10])\n"
                  "end\n"
                  "drop_if_empty()\n"
                  "for i = 1, 4 do redis.call('PEXPIRE', KEYS[i], string.format('%.0f', alive + 3600000)) end\n"
                  "return more and 2 or 1\n";

/* KEYS also: the registry of nodes, unless it is in another slot. ARGV also: the user to begin after (empty: from the
 * first), how many, and about how many bytes; the node, if it has been in the registry. Answer: 0 if it has to be asked
 * again, as there are still members of nodes that are over; 1 if Redis has lost who is there, and the nodes have yet to
 * tell it again: the whole channel, or all it had, with the registry; else users and connections in all, the user to
 * begin after for the next page (empty: there is none), entries. */
static const char members_text[] =
    PRESENCE_TEXT "if #nodes > 0 then redis.pcall('HSET', KEYS[4], '', mark) end\n" /* a full Redis can be read */
                  "for _, node in ipairs(over) do forget(node) end\n"
                  "drop_if_empty()\n"
                  "if more then return 0 end\n"
                  "if lost or (KEYS[6] and not redis.call('ZSCORE', KEYS[6], ARGV[10])) then return 1 end\n"
                  "local from = ARGV[7] == '' and '-' or '[' .. ARGV[7] .. '\\1'\n"
                  "local limit, max, bytes = tonumber(ARGV[8]), tonumber(ARGV[9]), 0\n"
                  "local entries, last, next = {}, nil, ''\n"
                  "while next == '' do\n"
                  "  local count = math.min(200, limit - #entries + 1)\n"
                  "  local part = redis.call('ZRANGEBYLEX', KEYS[2], from, '+', 'LIMIT', 0, count)\n"
                  "  for _, member in ipairs(part) do\n"
                  "    local user = string.sub(member, 1, string.find(member, '\\0', 1, true) - 1)\n"
                  "    if user ~= last then\n"
                  "      local entry = redis.call('HGET', KEYS[1], user) or '{}'\n"
                  "      bytes = bytes + #entry + 1\n"
                  "      if #entries == limit or (last and bytes > max) then\n"
                  "        next = last\n"
                  "        break\n"
                  "      end\n"
                  "      entries[#entries + 1] = entry\n"
                  "      last = user\n"
                  "    end\n"
                  "    from = '(' .. member\n"
                  "  end\n"
                  "  if #part < count then break end\n"
                  "end\n"
                  "return {redis.call('HLEN', KEYS[1]), connections, next, entries}\n";

/* KEYS: revoked. ARGV: until when, the revocation as its member, the nodes' pub/sub channel. */
static const char revoke_text[] =
    "redis.call('ZADD', KEYS[1], 'GT', ARGV[1], ARGV[2])\n"
    "local time = redis.call('TIME')\n"
    "redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', time[1] * 1000))\n"
    "redis.call('PUBLISH', ARGV[3], 'revoked ' .. ARGV[1] .. ' ' .. ARGV[2])\n"
    "return 1\n";

static const struct str texts[SCRIPT_COUNT] = {
    [SCRIPT_PUBLISH] = {publish_text, sizeof publish_text - 1},
    [SCRIPT_ONCE] = {once_text, sizeof once_text - 1},
    [SCRIPT_POSITION] = {position_text, sizeof position_text - 1},
    [SCRIPT_VACATE] = {vacate_text, sizeof vacate_text - 1},
    [SCRIPT_HISTORY] = {history_text, sizeof history_text - 1},
    [SCRIPT_SESSION_SLOT] = {session_slot_text, sizeof session_slot_text - 1},
    [SCRIPT_PRESENCE] = {presence_text, sizeof presence_text - 1},
    [SCRIPT_MEMBERS] = {members_text, sizeof members_text - 1},
    [SCRIPT_REVOKE] = {revoke_text, sizeof revoke_text - 1},
    [SCRIPT_REGISTER] = {register_text, sizeof register_text - 1},
};

static void on_loaded(void *owner, void *argument, const redisReply *reply)
{
    /* A refusal is no harm: without a hash the text is sent each time. */
    if (reply && reply->type == REDIS_REPLY_STRING && reply->len == SCRIPT_HASH_LEN)
        memcpy(argument, reply->str, SCRIPT_HASH_LEN + 1);
}

void redis_scripts_load(struct redis_scripts *scripts, struct redis_connection *connection)
{
    for (size_t i = 0; i < SCRIPT_COUNT; i++)
        redis_connection_send(connection, 3, (struct str[]){STR("SCRIPT"), STR("LOAD"), texts[i]}, on_loaded,
                              scripts->hashes[i]);
}

void redis_scripts_send(const struct redis_scripts *scripts, struct redis_connection *connection,
                        enum redis_script script, bool with_text, size_t key_count, size_t count,
                        const struct str *arguments, redis_answered *done, void *argument)
{
    struct str argv[SCRIPT_ARGS_MAX + 3];
    char keys[8];
    assert(count <= SCRIPT_ARGS_MAX);
    with_text = with_text || scripts->hashes[script][0] == '\0';
    argv[0] = with_text ? STR("EVAL") : STR("EVALSHA");
    argv[1] = with_text ? texts[script] : str_from(scripts->hashes[script], SCRIPT_HASH_LEN);
    argv[2] = str_from(keys, (size_t)snprintf(keys, sizeof keys, "%zu", key_count));
    memcpy(argv + 3, arguments, count * sizeof *arguments);
    redis_connection_send(connection, count + 3, argv, done, argument);
}

bool redis_scripts_is_unknown(const struct redisReply *reply)
{
    return reply && reply->type == REDIS_REPLY_ERROR && strncmp(reply->str, "NOSCRIPT", 8) == 0;
}
