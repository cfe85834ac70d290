"""The newest documents of vehicles in Redis, by their times."""

from __future__ import annotations

from typing import Any, TypeAlias

from redis.asyncio import Redis

from trafficapp.feeds.declaration import Current

#: Where a vehicle stands in that order: epoch seconds of its document, and its id.
Position: TypeAlias = tuple[float, str]

_KEYS_PER_COMMAND = 500


async def newest_documents(
    client: Redis, current: Current, limit: int, after: Position | None = None
) -> tuple[list[bytes], Position | None]:
    """Documents, the newest first; of the same time those of later ids first.

    Args:
        client: of Redis.
        current: where documents are.
        limit: so many at most.
        after: behind this one.

    Returns:
        the documents, and the position of the last one when more may follow.

    Raises:
        RedisError: the server is away, see `trafficapp.stores.redis.connection.UNAVAILABLE`.
    """
    found: list[bytes] = []
    passed = 0
    while True:
        highest = "+inf" if after is None else repr(after[0])
        listed: Any = await client.zrange(
            current.listed, highest, "-inf", desc=True, byscore=True, offset=passed, num=_KEYS_PER_COMMAND,
            withscores=True,
        )  # fmt: skip
        passed += len(listed)
        places = [(float(score), member.decode()) for member, score in listed]
        places = [place for place in places if after is None or place < after]
        documents: Any = await client.mget([current.key_of(key) for _, key in places]) if places else []
        for place, document in zip(places, documents, strict=True):
            if document is None:
                continue  # expired; it stays listed for a day
            found.append(document)
            if len(found) == limit:
                return found, place
        if len(listed) < _KEYS_PER_COMMAND:
            return found, None
