"""The script that changes the current state in Redis, all or nothing."""

#: Puts newest windows of cameras, tells the subscribers and moves the applied offset.
#:
#: KEYS: generation, offsets, partitions of cameras, last seen, then one current key a camera.
#: ARGV: generation, partition, offset that must be stored at least, offset to store (or -1), channel,
#: then camera_id, end of window and document for each camera, then messages.
#: The field put_at of the offsets says when a newer window came last, by the server's clock in epoch seconds.
#: Returns OK, or LOST when the server is not the one that took the earlier writes.
PUT_WINDOWS = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'LOST' end
local stored = tonumber(redis.call('HGET', KEYS[2], ARGV[2]) or '-1')
if stored < tonumber(ARGV[3]) then return 'LOST' end
local at = 6
for i = 5, #KEYS do
  local camera, last_seen = ARGV[at], ARGV[at + 1]
  local known = redis.call('ZSCORE', KEYS[4], camera)
  if not known or tonumber(known) <= tonumber(last_seen) then
    redis.call('SET', KEYS[i], ARGV[at + 2])
    redis.call('ZADD', KEYS[4], last_seen, camera)
    redis.call('HSET', KEYS[3], camera, ARGV[2])
    redis.call('HSET', KEYS[2], 'put_at', redis.call('TIME')[1])
  end
  at = at + 3
end
for i = at, #ARGV do redis.call('PUBLISH', ARGV[5], ARGV[i]) end
if tonumber(ARGV[4]) > stored then redis.call('HSET', KEYS[2], ARGV[2], ARGV[4]) end
return 'OK'
"""
