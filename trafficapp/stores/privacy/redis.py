"""A vehicle in Redis: every key is looked at, whatever it is for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

from redis.asyncio import Redis

from trafficapp.privacy.names import Names

_AT_ONCE = 500

#: XDEL marks an entry and leaves its bytes in their node, and in what the server writes to its disk. So a stream is
#: made anew, in one step: others may write to it.
_WITHOUT_ENTRIES = """
local gone = {}
for _, id in ipairs(ARGV) do gone[id] = true end
local entries, expires = redis.call('XRANGE', KEYS[1], '-', '+'), redis.call('PTTL', KEYS[1])
local last
redis.call('DEL', KEYS[1])
for _, entry in ipairs(entries) do
  last = entry[1]
  if not gone[last] then redis.call('XADD', KEYS[1], last, unpack(entry[2])) end
end
if redis.call('EXISTS', KEYS[1]) == 1 then
  redis.call('XSETID', KEYS[1], last)
  if expires > 0 then redis.call('PEXPIRE', KEYS[1], expires) end
end
"""


async def find(client: Redis, names: Names) -> dict[str, int]:
    """How many keys, members, fields or entries name it, by the key, with the id left out."""
    return await _search(client, names, erase=False)


async def erase(client: Redis, names: Names) -> dict[str, int]:
    """Delete them: documents and their keys, members of sets and lists, fields of hashes, entries of streams."""
    return await _search(client, names, erase=True)


async def _search(client: Redis, names: Names, *, erase: bool) -> dict[str, int]:
    found: dict[str, int] = {}
    keys: list[bytes] = []
    async for key in client.scan_iter(count=_AT_ONCE):
        keys.append(key if isinstance(key, bytes) else key.encode())
        if len(keys) == _AT_ONCE:
            await _search_keys(client, names, keys, found, erase=erase)
            keys = []
    await _search_keys(client, names, keys, found, erase=erase)
    return found


async def _search_keys(client: Redis, names: Names, keys: list[bytes], found: dict[str, int], *, erase: bool) -> None:
    if not keys:
        return
    pipeline = client.pipeline(transaction=False)
    for key in keys:
        pipeline.type(key)
    kinds = [kind.decode() if isinstance(kind, bytes) else str(kind) for kind in await pipeline.execute()]
    texts = [key for key, kind in zip(keys, kinds, strict=True) if kind == "string"]
    values = dict(zip(texts, await client.mget(texts), strict=True)) if texts else {}
    for key, kind in zip(keys, kinds, strict=True):
        if names.stand_in(key) or (kind == "string" and names.stand_in(_bytes(values[key]))):
            found[_shown(key, names)] = found.get(_shown(key, names), 0) + 1
            if erase:
                await client.delete(key)
        elif kind in _PARTS:
            gone = [part async for part in _PARTS[kind](client, key) if any(names.stand_in(_bytes(x)) for x in part)]
            if gone:
                found[_shown(key, names)] = len(gone)
            if erase:
                for part in gone if kind != "stream" else ():
                    await _DELETE[kind](client, key, part)
                if gone and kind == "stream":
                    await client.eval(_WITHOUT_ENTRIES, 1, key, *(part[0] for part in gone))


async def _hash(client: Any, key: bytes) -> AsyncIterator[tuple[Any, ...]]:
    async for field, value in client.hscan_iter(key, count=_AT_ONCE):
        yield field, value


async def _zset(client: Any, key: bytes) -> AsyncIterator[tuple[Any, ...]]:
    async for member, _ in client.zscan_iter(key, count=_AT_ONCE):
        yield (member,)


async def _set(client: Any, key: bytes) -> AsyncIterator[tuple[Any, ...]]:
    async for member in client.sscan_iter(key, count=_AT_ONCE):
        yield (member,)


async def _list(client: Any, key: bytes) -> AsyncIterator[tuple[Any, ...]]:
    for member in await client.lrange(key, 0, -1):
        yield (member,)


async def _stream(client: Any, key: bytes) -> AsyncIterator[tuple[Any, ...]]:
    first = "-"
    while entries := await client.xrange(key, first, "+", count=_AT_ONCE):
        for entry_id, fields in entries:
            yield (entry_id, *fields, *fields.values())
        first = f"({entries[-1][0].decode() if isinstance(entries[-1][0], bytes) else entries[-1][0]}"


_PARTS: dict[str, Callable[[Any, bytes], AsyncIterator[tuple[Any, ...]]]] = {
    "hash": _hash,
    "zset": _zset,
    "set": _set,
    "list": _list,
    "stream": _stream,
}
_DELETE: dict[str, Callable[[Any, bytes, tuple[Any, ...]], Any]] = {
    "hash": lambda client, key, part: client.hdel(key, part[0]),
    "zset": lambda client, key, part: client.zrem(key, part[0]),
    "set": lambda client, key, part: client.srem(key, part[0]),
    "list": lambda client, key, part: client.lrem(key, 0, part[0]),
}


def _bytes(said: Any) -> bytes:
    return b"" if said is None else said if isinstance(said, bytes) else str(said).encode()


def _shown(key: bytes, names: Names) -> str:
    """A key for people: whose it is they know."""
    return ":".join("…" if names.are(part) else part for part in key.decode(errors="replace").split(":"))
