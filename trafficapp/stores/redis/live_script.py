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
#: KEYS and ARGV as they are named, those of each camera behind the others, then messages. The offset to store is -1 for
#: none; from so many returns on a camera is in two partitions; its age is how long ago its window was told; what is to
#: be told of it alone, or nothing, is told if its window is put.
#: The field put_at of the offsets says when a newer window came last, by the server's clock in epoch seconds.
#: Returns OK and the cameras that are in two partitions from now on, or LOST when the server is not the one that
#: took the earlier writes.
PUT_WINDOWS = """
local generation_key, offsets_key, owners_key, last_seen_key, put_key, in_two_key = unpack(KEYS, 1, 6)
local generation, partition, least_offset, offset, channel = unpack(ARGV, 1, 5)
local returns_of_two, remember_seconds, most_ahead_seconds = unpack(ARGV, 6, 8)
local FIRST_KEY, KEYS_A_CAMERA, FIRST_ARGUMENT, ARGUMENTS_A_CAMERA = 7, 2, 9, 5

if redis.call('GET', generation_key) ~= generation then return {'LOST'} end
local stored = tonumber(redis.call('HGET', offsets_key, partition) or '-1')
if stored < tonumber(least_offset) then return {'LOST'} end
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000

local function text(seconds) return string.format('%.6f', seconds) end

local function is_in_two(camera, key, owner, known, ends)
  local last, from, told = unpack(redis.call('HMGET', key, 'last', 'from', 'e:' .. partition), 1, 3)
  if not last then
    if not owner or owner == partition then return false end
    local put = redis.call('ZSCORE', put_key, camera) or text(now)
    redis.call('HSET', key, 'last', partition, 'from', ends, 'returns', 0,
      'e:' .. owner, known or ends, 't:' .. owner, put, 'e:' .. partition, ends, 't:' .. partition, text(now))
    redis.call('EXPIRE', key, remember_seconds)
    return false
  end
  if told and tonumber(ends) <= tonumber(told) then return false end
  redis.call('HSET', key, 'e:' .. partition, ends, 't:' .. partition, text(now))
  if last == partition or tonumber(ends) <= tonumber(from) then return false end
  redis.call('HSET', key, 'last', partition, 'from', ends)
  local returns = redis.call('HINCRBY', key, 'returns', 1)
  redis.call('EXPIRE', key, remember_seconds)
  return returns >= tonumber(returns_of_two) and redis.call('ZADD', in_two_key, text(now), camera) == 1
end

local answer, newest, at = {'OK'}, nil, FIRST_ARGUMENT
for i = FIRST_KEY, #KEYS, KEYS_A_CAMERA do
  local current_key, partitions_key = KEYS[i], KEYS[i + 1]
  local camera, ends, document, age_seconds, told = unpack(ARGV, at, at + 4)
  local owner = redis.call('HGET', owners_key, camera)
  local known = redis.call('ZSCORE', last_seen_key, camera)
  if is_in_two(camera, partitions_key, owner, known, ends) then answer[#answer + 1] = camera end
  local last = tonumber(known)
  if not last or last <= tonumber(ends) or last > now + tonumber(most_ahead_seconds) then
    local put = now - tonumber(age_seconds)
    redis.call('SET', current_key, document)
    redis.call('ZADD', last_seen_key, ends, camera)
    redis.call('ZADD', put_key, text(put), camera)
    if owner ~= partition then redis.call('HSET', owners_key, camera, partition) end
    newest = math.max(newest or put, put)
    if told ~= '' then redis.call('PUBLISH', channel, told) end
  end
  at = at + ARGUMENTS_A_CAMERA
end
if newest then
  local before = tonumber(redis.call('HGET', offsets_key, 'put_at') or '0')
  if before > now or before < newest then
    redis.call('HSET', offsets_key, 'put_at', string.format('%.0f', math.floor(newest)))
  end
end
local first_message = at
for i = first_message, #ARGV do redis.call('PUBLISH', channel, ARGV[i]) end
if tonumber(offset) > stored then redis.call('HSET', offsets_key, partition, offset) end
return answer
"""

#: Forgets cameras of which nothing was put after a time, and says so on a channel.
#: KEYS and ARGV as they are named, then for each camera its current key and that of its partitions, and its name.
#: Returns how many were forgotten.
FORGET_CAMERAS = """
local put_key, last_seen_key, owners_key, in_two_key = unpack(KEYS, 1, 4)
local put_until, channel = tonumber(ARGV[1]), ARGV[2]
local forgotten, key_at = {}, 5
for i = 3, #ARGV do
  local camera, current_key, partitions_key = ARGV[i], KEYS[key_at], KEYS[key_at + 1]
  local put = tonumber(redis.call('ZSCORE', put_key, camera))
  if put and put <= put_until then
    redis.call('DEL', current_key, partitions_key)
    redis.call('ZREM', put_key, camera)
    redis.call('ZREM', last_seen_key, camera)
    redis.call('HDEL', owners_key, camera)
    redis.call('ZREM', in_two_key, camera)
    forgotten[#forgotten + 1] = camera
  end
  key_at = key_at + 2
end
if #forgotten > 0 then redis.call('PUBLISH', channel, cjson.encode(forgotten)) end
return #forgotten
"""

#: Notes that cameras come from one partition again, when nothing else was seen after a time.
#: KEYS and ARGV as they are named, then for each camera the key of its partitions, and its name.
#: Returns those of which it holds.
END_TWO_PARTITIONS = """
local in_two_key, seen_until = KEYS[1], tonumber(ARGV[1])
local ended = {}
for i = 2, #ARGV do
  local partitions_key, camera = KEYS[i], ARGV[i]
  local seen = tonumber(redis.call('ZSCORE', in_two_key, camera))
  if seen and seen <= seen_until then
    redis.call('ZREM', in_two_key, camera)
    redis.call('DEL', partitions_key)
    ended[#ended + 1] = camera
  end
end
return ended
"""
