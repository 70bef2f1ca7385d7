-- Counts a session among the sessions of its user, if there is room.
--
-- KEYS: sessions of the user, a sorted set of sessions by the time until which they count.
-- ARGV: take, keep or leave; the session; ms that it counts from now on; how many sessions there may be when it is taken.
-- Answer: 1, or 0 if there is no room.
local sessions = KEYS[1]
local action, session, counts_ms, limit = unpack(ARGV)

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('ZREMRANGEBYSCORE', sessions, '-inf', string.format('%.0f', now))
if action == 'leave' then
  redis.call('ZREM', sessions, session)
  return 1
end
if action == 'take' and redis.call('ZCARD', sessions) >= tonumber(limit) then return 0 end
redis.call('ZADD', sessions, string.format('%.0f', now + counts_ms), session)
redis.call('PEXPIRE', sessions, counts_ms)
return 1
