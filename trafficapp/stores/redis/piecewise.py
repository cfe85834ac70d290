"""Sinks into Redis whose changes are a list: put in pieces that each take the server about a millisecond.

The script of such a sink is told of the changes only; the frame around it, which knows the generation and the offsets,
is here once. Changes go as one argument, in MessagePack: the client writes every argument by itself, which for some
thousand a second costs more than all else that is done with them.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

import msgspec
from redis.asyncio import Redis

from trafficapp.stores.redis.read_back import ReadBack
from trafficapp.stores.redis.sink import Call, Memory, RedisSink

Change = TypeVar("Change")

_encode = msgspec.msgpack.Encoder().encode

#: KEYS: generation, offsets, that of the sink. ARGV: generation, partition, offset that must be stored at least, offset
#: to store (or -1), the changes, those of the sink.
#: Returns OK, or LOST when the server is not the one that took the earlier writes.
_BEGIN = """
local changes = cmsgpack.unpack(ARGV[5])
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 'LOST' end
local stored = tonumber(redis.call('HGET', KEYS[2], ARGV[2]) or '-1')
if stored < tonumber(ARGV[3]) then return 'LOST' end
"""
_END = """
if tonumber(ARGV[4]) > stored then redis.call('HSET', KEYS[2], ARGV[2], ARGV[4]) end
return 'OK'
"""


class PiecewiseSink(RedisSink[Memory, list[Change]], Generic[Memory, Change]):
    """Puts a list of changes, each with a key of its own.

    Args:
        client: from `trafficapp.stores.redis.connection.connect`.
        topic: the topic the records are of.
        read_back: where to begin when Redis knows no offset.
        on_rows: told how many records took effect.
        script: Lua; ``changes`` has the values of each, the sink's arguments begin at ``ARGV[6]``.
        shared_key: ``KEYS[3]``.
        shared_args: the sink's arguments, the same for every call.
        per_call: changes at a time.
    """

    def __init__(
        self,
        client: Redis,
        topic: str,
        read_back: ReadBack,
        on_rows: Callable[[int], None] | None,
        script: str,
        shared_key: str,
        shared_args: Sequence[Any],
        per_call: int,
    ) -> None:
        super().__init__(client, topic, read_back, on_rows)
        self._script = client.register_script(_BEGIN + script + _END)
        self._keys = [self.generation_key, self.offsets_key, shared_key]
        self._shared_args, self._per_call = list(shared_args), per_call

    @abstractmethod
    def still_to_put(self, changes: list[Change]) -> list[tuple[Any, ...]]:
        """What the script is told of each change that is worth to be put now: texts and numbers, but no bytes."""

    def no_changes(self) -> list[Change]:
        """None."""
        return []

    async def put(self, call: Call, changes: list[Change]) -> bool:
        """Run the script for each piece; False when Redis lost data."""
        found = self.still_to_put(changes)
        pieces = [found[first : first + self._per_call] for first in range(0, len(found), self._per_call)]
        for number, piece in enumerate(pieces or [[]], 1):
            # the offset covers what comes before it, so it goes with the last piece
            next_offset = call.next_offset if number >= len(pieces) else -1
            args: list[Any] = [call.generation, call.partition, call.stored, next_offset, _encode(piece)]
            if await self._script(keys=self._keys, args=args + self._shared_args) != b"OK":
                return False
        return True
