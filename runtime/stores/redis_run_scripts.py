"""Scripts that keep runs on a Redis server; ``redis_runs`` describes the keys."""

from __future__ import annotations

_NOW = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local function text(number) return string.format('%.0f', number) end
local function expire(key, seconds)
    if tonumber(seconds) > 0 then redis.call('EXPIRE', key, seconds) end
end
local function has_owner(status, unsaved) return status == 'running' or unsaved == '1' end
"""
# KEYS: the thread's numbers, leases. ARGV: prefix of the thread's runs, what is published of each
DELETE = """
local numbers = redis.call('ZRANGE', KEYS[1], 0, -1)
for _, number in ipairs(numbers) do
    local run = ARGV[1] .. number
    redis.call('DEL', run, run .. ':events')
    redis.call('ZREM', KEYS[2], run)
    redis.call('PUBLISH', run, ARGV[2])
end
redis.call('DEL', KEYS[1])
return #numbers
"""
# KEYS: run, stream, leases, the thread's numbers. ARGV: owner, the run's number, what is published
DISCARD = """
if redis.call('HGET', KEYS[1], 'owner') ~= ARGV[1] then return 0 end
redis.call('DEL', KEYS[1], KEYS[2])
redis.call('ZREM', KEYS[3], KEYS[1])
redis.call('ZREM', KEYS[4], ARGV[2])
redis.call('PUBLISH', KEYS[1], ARGV[3])
return 1
"""
# KEYS: the thread's numbers, leases. ARGV: prefix of the thread's runs, owner, lease, ttl, thread, run id, agent, about
OPEN = f"""{_NOW}
local prefix, owner, lease, ttl = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local newest = redis.call('ZREVRANGE', KEYS[1], 0, 0)[1]
local number = text((newest or 0) + 1)
local run = prefix .. number
redis.call('ZADD', KEYS[1], number, number)
redis.call('HSET', run, 'thread', ARGV[5], 'number', number, 'run', ARGV[6], 'agent', ARGV[7], 'about', ARGV[8],
    'owner', owner, 'status', 'running', 'last', 0, 'started', text(now), 'updated', text(now))
redis.call('ZADD', KEYS[2], text(now + lease), run)
expire(KEYS[1], ttl)
expire(run, ttl)
return {{number, text(now)}}
"""
# KEYS: run, stream, leases, the thread's numbers. ARGV: owner, then each script's own
_OWNED = f"""{_NOW}
local kept = redis.call('HMGET', KEYS[1], 'owner', 'status', 'last', 'stop')
if kept[1] ~= ARGV[1] or kept[2] ~= 'running' then return false end
"""
# KEYS: leases. ARGV: in MessagePack, the owner, lease, ttl, the stream's bound, and of each run its key, that of the
# thread's numbers, first, last and payload. Returns the places of the runs that are to stop, counted from 1, and below
# zero those of the runs that are not the owner's.
APPEND = f"""{_NOW}
local owner, lease, ttl, bound, batches = unpack(cmsgpack.unpack(ARGV[1]))
local expires, exceptions = text(now + lease), {{}}
for place, batch in ipairs(batches) do
    local run, numbers, first, last, payload = unpack(batch)
    local stream = run .. ':events'
    local kept = redis.call('HMGET', run, 'owner', 'status', 'last', 'stop')
    if kept[1] ~= owner or kept[2] ~= 'running' then
        exceptions[#exceptions + 1] = -place
    else
        if last > tonumber(kept[3]) then
            redis.call('XADD', stream, 'MAXLEN', '~', bound, text(last) .. '-0', 'f', text(first), 'd', payload)
            redis.call('HSET', run, 'last', text(last), 'updated', text(now))
            redis.call('PUBLISH', run, text(last))
        else
            redis.call('HSET', run, 'updated', text(now))
        end
        redis.call('ZADD', KEYS[1], expires, run)
        for _, key in ipairs({{run, stream, numbers}}) do expire(key, ttl) end
        if kept[4] == '1' then exceptions[#exceptions + 1] = place end
    end
end
return exceptions
"""
# KEYS and ARGV as above, but of each run its key and that of the thread's numbers alone.
RENEW = f"""{_NOW}
local owner, lease, ttl, runs = unpack(cmsgpack.unpack(ARGV[1]))
local expires, exceptions = text(now + lease), {{}}
for place, names in ipairs(runs) do
    local run, numbers = unpack(names)
    local kept = redis.call('HMGET', run, 'owner', 'status', 'stop', 'unsaved')
    if kept[1] ~= owner or not has_owner(kept[2], kept[4]) then
        exceptions[#exceptions + 1] = -place
    else
        redis.call('ZADD', KEYS[1], expires, run)
        for _, key in ipairs({{run, run .. ':events', numbers}}) do expire(key, ttl) end
        if kept[3] == '1' then exceptions[#exceptions + 1] = place end
    end
end
return exceptions
"""
COMPACT = f"""{_OWNED}
local last, payload = ARGV[2], ARGV[3]
redis.call('HSET', KEYS[1], 'base', payload, 'base_last', last, 'updated', text(now))
if tonumber(last) > tonumber(kept[3]) then redis.call('HSET', KEYS[1], 'last', last) end
redis.call('PUBLISH', KEYS[1], last)
redis.call('XTRIM', KEYS[2], 'MINID', text(last + 1) .. '-0')
return 1
"""
# ARGV: also the prefix of the thread's runs, the lease of a run that is unsaved, whether a broken run is amended, and
# at the end, if there are any, the first of the last events and these
CLOSE = f"""{_NOW}
local kept = redis.call('HMGET', KEYS[1], 'owner', 'status', 'last')
if ARGV[13] == '1' then
    if kept[2] ~= 'broken' then return false end
    redis.call('DEL', KEYS[2])
elseif kept[1] ~= ARGV[1] or kept[2] ~= 'running' then
    return false
end
local last, payload, status, grace = ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local max_runs, max_bytes, prefix, about = tonumber(ARGV[6]), tonumber(ARGV[7]), ARGV[8], ARGV[9]
if about ~= '' then redis.call('HSET', KEYS[1], 'about', about) end
if ARGV[15] and tonumber(last) > tonumber(kept[3]) then
    redis.call('XADD', KEYS[2], 'MAXLEN', '~', ARGV[11], last .. '-0', 'f', ARGV[14], 'd', ARGV[15])
end
redis.call('HSET', KEYS[1], 'base', payload, 'base_last', last, 'last', last, 'status', status,
    'updated', text(now), 'size', #payload, 'owner', ARGV[1])
if tonumber(ARGV[12]) > 0 then
    redis.call('HSET', KEYS[1], 'unsaved', '1')
    redis.call('ZADD', KEYS[3], text(now + tonumber(ARGV[12])), KEYS[1])
else
    redis.call('ZREM', KEYS[3], KEYS[1])
end
redis.call('EXPIRE', KEYS[2], grace)
redis.call('PUBLISH', KEYS[1], last .. '!')
local size, place = 0, 0
for _, number in ipairs(redis.call('ZREVRANGE', KEYS[4], 0, -1)) do
    local run = prefix .. number
    local other = redis.call('HMGET', run, 'status', 'size', 'unsaved')
    place = place + 1
    size = size + tonumber(other[2] or 0)
    if not other[1] then
        redis.call('ZREM', KEYS[4], number)
    elseif place > 1 and not has_owner(other[1], other[3]) and (place > max_runs or size > max_bytes) then
        redis.call('DEL', run, run .. ':events')
        redis.call('ZREM', KEYS[4], number)
    elseif place > tonumber(ARGV[10]) and other[1] ~= 'running' then
        redis.call('DEL', run .. ':events')
    end
end
return 1
"""
SAVED = """
if redis.call('HDEL', KEYS[1], 'unsaved') == 1 then redis.call('ZREM', KEYS[2], KEYS[1]) end
return 1
"""
STOP = """
if redis.call('HGET', KEYS[1], 'status') ~= 'running' then return 0 end
redis.call('HSET', KEYS[1], 'stop', '1')
redis.call('PUBLISH', ARGV[1], KEYS[1])
return 1
"""
ABANDONED = f"""{_NOW}
local found = {{}}
for _, run in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '(' .. text(now), 'LIMIT', 0, ARGV[1])) do
    if has_owner(unpack(redis.call('HMGET', run, 'status', 'unsaved'))) then
        found[#found + 1] = run
    else
        redis.call('ZREM', KEYS[1], run)
    end
end
return found
"""
CLAIM = f"""{_NOW}
local expires = redis.call('ZSCORE', KEYS[2], KEYS[1])
if not has_owner(unpack(redis.call('HMGET', KEYS[1], 'status', 'unsaved'))) then return 0 end
if expires and tonumber(expires) >= now then return 0 end
redis.call('HSET', KEYS[1], 'owner', ARGV[1])
redis.call('HINCRBY', KEYS[1], 'takeovers', 1)
redis.call('ZADD', KEYS[2], text(now + tonumber(ARGV[2])), KEYS[1])
return 1
"""
TAKE = f"""{_NOW}
local kept = redis.call('HMGET', KEYS[1], 'status', 'owner')
if kept[1] ~= 'running' or kept[2] ~= ARGV[3] then return false end
redis.call('HSET', KEYS[1], 'owner', ARGV[1])
redis.call('ZADD', KEYS[2], text(now + tonumber(ARGV[2])), KEYS[1])
return redis.call('HMGET', KEYS[1], unpack(ARGV, 4))
"""
RELEASE = f"""{_NOW}
local kept = redis.call('HMGET', KEYS[1], 'owner', 'status', 'unsaved')
if kept[1] ~= ARGV[1] or not has_owner(kept[2], kept[3]) then return false end
redis.call('HINCRBY', KEYS[1], 'takeovers', -1)
redis.call('ZADD', KEYS[3], 0, KEYS[1])
return 1
"""
# KEYS: of each run: run, stream. ARGV: how many batches of each, then of each run the first number that is wanted
READ = """
local found = {}
for place = 1, #KEYS / 2 do
    local kept = redis.call('HMGET', KEYS[2 * place - 1], 'last', 'status', 'started')
    local entries = redis.call('XRANGE', KEYS[2 * place], ARGV[place + 1] .. '-0', '+', 'COUNT', ARGV[1])
    found[place] = {kept[1], kept[2], kept[3], entries}
end
return found
"""
