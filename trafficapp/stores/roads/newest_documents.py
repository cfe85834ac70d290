"""Reading what Redis keeps of every road: a document of each, and a sorted set of those that have one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from redis.asyncio import Redis

from trafficapp.stores.redis.connection import scan_pairs

_KEYS_PER_COMMAND = 500


class NewestDocuments:
    """Reads the newest documents.

    Every method raises one of `trafficapp.stores.redis.connection.UNAVAILABLE` when Redis is away.

    Args:
        client: from `trafficapp.stores.redis.connection.connect`.
        roads_key: the sorted set of the roads' ids.
        document_key: key of a road's document.
    """

    def __init__(self, client: Redis, roads_key: str, document_key: Callable[[str], str]) -> None:
        self.client = client
        self._roads_key = roads_key
        self._document_key = document_key

    async def road_ids(self) -> list[str]:
        """Every road that was told of lately, in order of the ids."""
        found: set[str] = set()
        async for roads in scan_pairs(self.client, "ZSCAN", self._roads_key):
            found.update(road_id for road_id, _ in roads)
        return sorted(found)

    async def page_of_ids(self, after: str | None, limit: int) -> tuple[list[str], str | None]:
        """So many of them behind an id, or the first, and the last of these when more follow."""
        rest = [road_id for road_id in await self.road_ids() if after is None or road_id > after]
        return rest[:limit], rest[limit - 1] if len(rest) > limit else None

    async def documents(self, road_ids: Sequence[str]) -> list[bytes]:
        """Documents as JSON, in the order asked for; a road whose document has expired is left out."""
        return [document async for _, document in self.by_key(road_ids)]

    async def by_key(self, road_ids: Sequence[str]) -> AsyncIterator[tuple[str, bytes]]:
        """The same with the keys they stand under."""
        for first in range(0, len(road_ids), _KEYS_PER_COMMAND):
            keys: list[Any] = [self._document_key(road_id) for road_id in road_ids[first : first + _KEYS_PER_COMMAND]]
            documents: Any = await self.client.mget(keys)
            for key, document in zip(keys, documents, strict=True):
                if document is not None:
                    yield key, document
