"""Which cameras are not to be believed now, by what the rules of `trafficapp.quality` told of them last."""

from __future__ import annotations

import msgspec
from msgspec import Struct
from redis.asyncio import Redis

from trafficapp.quality.feeds import SOURCES
from trafficapp.stores.feeds.current import CurrentDocuments
from trafficapp.stores.redis.documents import readable

_KEYS_AT_ONCE = 500


class _Health(Struct):
    """What is read of a source."""

    camera_id: str | None
    state: str


_decode = msgspec.json.Decoder(_Health).decode


async def unhealthy_cameras(client: Redis) -> frozenset[str]:
    """Cameras that are unhealthy, or have a lane that is: their means are of all lanes.

    Empty where no rules run: nothing is known against anybody then.

    Raises:
        Exception: one of `trafficapp.stores.redis.connection.UNAVAILABLE`.
    """
    current = CurrentDocuments(client, SOURCES)
    keys = await current.keys()
    found: set[str] = set()
    for first in range(0, len(keys), _KEYS_AT_ONCE):
        documents = await current.documents(keys[first : first + _KEYS_AT_ONCE])
        told = readable(documents, _decode, SOURCES.name)
        found |= {one.camera_id for one in told if one.state == "unhealthy" and one.camera_id is not None}
    return frozenset(found)
