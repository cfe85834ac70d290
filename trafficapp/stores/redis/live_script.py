"""The scripts that change the current state in Redis, each all or nothing.

Of a camera whose rows come from another partition than before there is a hash, see
`trafficapp.stores.redis.connection.partitions_key`:

=============  ==============================================================================
``last``       the partition that began to tell of it last
``from``       end of the first window that this one told, epoch seconds
``returns``    how often another one went on behind that
``e:{n}``      end of the newest window that partition n told
``t:{n}``      when it told that, by the server's clock
=============  ==============================================================================

When a camera moves, as after its producer was mended, the partition it came from ends before the other one begins, but
for windows that were still open. Only when it goes on behind that, and the other one behind that, and so on, do rows
keep coming from both. Windows are compared, not the times at which they come: after an outage both pasts are read side
by side. A row that is sent again is not newer than what its partition told.
"""

#: Puts newest windows of cameras, tells the subscribers and moves the applied offset.
#:
#: KEYS: generation, offsets, partitions of cameras, last seen, put, in two partitions; then for each camera its
#: current key and that of its partitions.
#: ARGV: generation, partition, offset that must be stored at least, offset to store (or -1), channel, returns from
#: which a camera is in two partitions, seconds to remember a move, seconds that a window may be ahead of the server's
#: clock; then for each camera: camera_id, end of window, document, seconds since it was told; then messages.
#: The field put_at of the offsets says when a newer window came last, by the server's clock in epoch seconds.
#: Returns OK and the cameras that are in two partitions from now on, or LOST when the server is not the one that
#: took the earlier writes.
PUT_WINDOWS = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return {'LOST'} end
local partition = ARGV[2]
local stored = tonumber(redis.call('HGET', KEYS[2], partition) or '-1')
if stored < tonumber(ARGV[3]) then return {'LOST'} end
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000

local function text(seconds) return string.format('%.6f', seconds) end

local function is_in_two(camera, key, owner, known, ends)
  local moved = redis.call('HMGET', key, 'last', 'from', 'e:' .. partition)
  if not moved[1] then
    if not owner or owner == partition then return false end
    local put = redis.call('ZSCORE', KEYS[5], camera) or text(now)
    redis.call('HSET', key, 'last', partition, 'from', ends, 'returns', 0,
      'e:' .. owner, known or ends, 't:' .. owner, put, 'e:' .. partition, ends, 't:' .. partition, text(now))
    redis.call('EXPIRE', key, ARGV[7])
    return false
  end
  if moved[3] and tonumber(ends) <= tonumber(moved[3]) then return false end
  redis.call('HSET', key, 'e:' .. partition, ends, 't:' .. partition, text(now))
  if moved[1] == partition or tonumber(ends) <= tonumber(moved[2]) then return false end
  redis.call('HSET', key, 'last', partition, 'from', ends)
  local returns = redis.call('HINCRBY', key, 'returns', 1)
  redis.call('EXPIRE', key, ARGV[7])
  return returns >= tonumber(ARGV[6]) and redis.call('ZADD', KEYS[6], text(now), camera) == 1
end

local answer, newest, at = {'OK'}, nil, 9
for i = 7, #KEYS, 2 do
  local camera, ends, age = ARGV[at], ARGV[at + 1], tonumber(ARGV[at + 3])
  local owner = redis.call('HGET', KEYS[3], camera)
  local known = redis.call('ZSCORE', KEYS[4], camera)
  if is_in_two(camera, KEYS[i + 1], owner, known, ends) then answer[#answer + 1] = camera end
  local last = tonumber(known)
  if not last or last <= tonumber(ends) or last > now + tonumber(ARGV[8]) then
    local put = now - age
    redis.call('SET', KEYS[i], ARGV[at + 2])
    redis.call('ZADD', KEYS[4], ends, camera)
    redis.call('ZADD', KEYS[5], text(put), camera)
    if owner ~= partition then redis.call('HSET', KEYS[3], camera, partition) end
    newest = math.max(newest or put, put)
  end
  at = at + 4
end
if newest then
  local before = tonumber(redis.call('HGET', KEYS[2], 'put_at') or '0')
  if before > now or before < newest then
    redis.call('HSET', KEYS[2], 'put_at', string.format('%.0f', math.floor(newest)))
  end
end
for i = at, #ARGV do redis.call('PUBLISH', ARGV[5], ARGV[i]) end
if tonumber(ARGV[4]) > stored then redis.call('HSET', KEYS[2], partition, ARGV[4]) end
return answer
"""

#: Forgets cameras of which nothing was put after a time, and says so on a channel.
#: KEYS: put, last seen, partitions of cameras, in two partitions; then for each camera its current key and that of its
#: partitions. ARGV: that time, channel, then the cameras. Returns how many were forgotten.
FORGET_CAMERAS = """
local forgotten = {}
for i = 3, #ARGV do
  local camera = ARGV[i]
  local put = tonumber(redis.call('ZSCORE', KEYS[1], camera))
  if put and put <= tonumber(ARGV[1]) then
    local at = 5 + (i - 3) * 2
    redis.call('DEL', KEYS[at], KEYS[at + 1])
    redis.call('ZREM', KEYS[1], camera)
    redis.call('ZREM', KEYS[2], camera)
    redis.call('HDEL', KEYS[3], camera)
    redis.call('ZREM', KEYS[4], camera)
    forgotten[#forgotten + 1] = camera
  end
end
if #forgotten > 0 then redis.call('PUBLISH', ARGV[2], cjson.encode(forgotten)) end
return #forgotten
"""

#: Notes that cameras come from one partition again, when nothing else was seen after a time.
#: KEYS: in two partitions, then for each camera the key of its partitions. ARGV: that time, then the cameras.
#: Returns those of which it holds.
END_TWO_PARTITIONS = """
local ended = {}
for i = 2, #ARGV do
  local noticed = tonumber(redis.call('ZSCORE', KEYS[1], ARGV[i]))
  if noticed and noticed <= tonumber(ARGV[1]) then
    redis.call('ZREM', KEYS[1], ARGV[i])
    redis.call('DEL', KEYS[i])
    ended[#ended + 1] = ARGV[i]
  end
end
return ended
"""
