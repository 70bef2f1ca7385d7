-- What Redis keeps of a ticket, or of a token that opens one connection (server/core/ticket.h has the states).
--
-- KEYS: the ticket, a hash with use (once or resume), purpose, resource and claims. While a session has it, also holder
--       and until (ms). Then positions, used and wanted. Of a token it is a string.
-- ARGV: the action, ms that it lives (issue, spend) or is held (use, keep), ms that it waits for a next use, the holder,
--       positions, a word (issue, keep: once or resume, use: which of purpose and resource does not count: none, purpose,
--       resource, any), purpose, resource, claims.
-- Answer: the outcome. After use and done also use, purpose, resource, claims and positions.
local ticket = KEYS[1]
local action, lives_ms, resume_ms, holder, positions, word, purpose, resource, claims = unpack(ARGV)

if action == 'spend' then
  if redis.call('SET', ticket, '1', 'NX', 'PX', lives_ms) then return {'done'} end
  return {'used'}
end
if action == 'issue' then
  redis.call('HSET', ticket, 'use', word, 'purpose', purpose, 'resource', resource, 'claims', claims)
  redis.call('PEXPIRE', ticket, lives_ms)
  return {'done'}
end

local kept = redis.call('HMGET', ticket, 'use', 'purpose', 'resource', 'claims', 'positions', 'holder', 'until', 'used',
  'wanted')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function hold()
  redis.call('HSET', ticket, 'holder', holder, 'until', string.format('%.0f', now + lives_ms))
  redis.call('PEXPIRE', ticket, string.format('%.0f', lives_ms + resume_ms))
end

if action == 'use' then
  if not kept[1] then return {'unknown'} end
  if word ~= 'any' and word ~= 'purpose' and kept[2] ~= purpose then return {'wrong'} end
  if word ~= 'any' and word ~= 'resource' and kept[3] ~= resource then return {'wrong'} end
  if kept[8] then return {'used'} end
  if kept[1] == 'once' then
    redis.call('HSET', ticket, 'used', '1', 'holder', holder)
  elseif kept[6] and kept[6] ~= holder and tonumber(kept[7]) > now then
    redis.call('HSET', ticket, 'wanted', '1')
    return {'held'}
  else
    hold()
    redis.call('HDEL', ticket, 'wanted')
  end
  return {'done', kept[1], kept[2], kept[3], kept[4], kept[5] or ''}
end

if action == 'keep' then
  if not kept[1] then
    redis.call('HSET', ticket, 'use', word, 'purpose', purpose, 'resource', resource, 'claims', claims)
  elseif kept[8] or (kept[6] and kept[6] ~= holder) then
    return {'used'}
  end
  redis.call('HSET', ticket, 'positions', positions)
  hold()
  if not kept[9] then return {'done'} end
  redis.call('HDEL', ticket, 'wanted')
  return {'wanted'}
end

if kept[6] ~= holder then return {'unknown'} end
if action == 'free' then
  redis.call('HDEL', ticket, 'used', 'holder', 'until', 'wanted')
elseif action == 'lost' then
  redis.call('HSET', ticket, 'positions', positions)
  redis.call('HDEL', ticket, 'holder', 'until', 'wanted')
  redis.call('PEXPIRE', ticket, resume_ms)
else
  redis.call('HSET', ticket, 'used', '1')
  redis.call('HDEL', ticket, 'claims', 'positions', 'holder', 'until', 'wanted')
end
return {'done'}
