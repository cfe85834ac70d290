"""The current state in Redis: names of its keys, and reading it.

====================================  =========================================================
``camera:{camera_id}:current``        JSON object: the newest window of the camera, its fields as
                                      in `models.window_rows`, and ``lanes``: an array of lane rows
``cameras:last_seen``                 sorted set: camera_id, scored by the end of its newest
                                      window in epoch seconds
``traffic:metrics``                   channel: JSON arrays of rows of newly finished windows
``sink:traffic.metrics:*``            bookkeeping of the sink that writes the above
====================================  =========================================================

Redis holds nothing that cannot be built again from Kafka.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError

LAST_SEEN_KEY = "cameras:last_seen"
METRICS_CHANNEL = "traffic:metrics"
WINDOW_OFFSETS_KEY = "sink:traffic.metrics"

_KEYS_PER_COMMAND = 500

#: Where the lane rows begin in a document of `current_key`.
LANES_MARK = b',"lanes":['

#: What a client call may raise when the server is away, starting or shutting down.
UNAVAILABLE = (RedisError, OSError, TimeoutError)


def current_key(camera_id: str) -> str:
    """Key of a camera's newest window."""
    return f"camera:{camera_id}:current"


def connect(url: str, retries: int = 1) -> Redis:
    """A client that fails quickly and leaves waiting to its caller. Connects at its first command.

    Args:
        url: ``redis://host:port/db``.
        retries: a pooled connection may be left over from before a restart of the server, so one retry is
            right for commands. A subscription wants none: it would connect again without a word about
            the messages that it missed.
    """
    client: Redis = Redis.from_url(
        url,
        protocol=2,
        socket_connect_timeout=1.0,
        socket_timeout=5.0,
        health_check_interval=15,
        retry=Retry(NoBackoff(), retries),
    )
    return client


def is_outage(error: Exception) -> bool:
    """Whether waiting may help: the server is away, loading, read-only or out of memory for now."""
    if isinstance(error, ResponseError):
        return str(error).split(" ", 1)[0] in (
            "LOADING",
            "READONLY",
            "MASTERDOWN",
            "OOM",
            "BUSY",
            "MISCONF",
            "TRYAGAIN",
        )
    return isinstance(error, RedisConnectionError | OSError | TimeoutError | RedisError)


def document(camera_row: bytes, lane_rows: Sequence[bytes]) -> bytes:
    """Splice JSON rows of one window into the object kept under `current_key`; nothing is decoded."""
    return b"".join((camera_row[:-1], LANES_MARK, b",".join(lane_rows), b"]}"))


def rows_of(current: bytes) -> bytes:
    """The rows of a `document`, camera-wide first, joined by commas: the inside of a JSON array."""
    # A quote inside a JSON string is escaped, so the mark cannot stand within a camera_id.
    head, mark, tail = current.rpartition(LANES_MARK)
    if not mark:
        return current
    lanes = tail[:-2]
    return head + b"}," + lanes if lanes else head + b"}"


class CurrentState:
    """Reads the current state.

    Every method raises one of `UNAVAILABLE` when Redis is away.
    """

    def __init__(self, client: Redis) -> None:
        self.client = client

    async def camera(self, camera_id: str) -> bytes | None:
        """The document of one camera, or None when it never reported."""
        value: Any = await self.client.get(current_key(camera_id))
        return None if value is None else bytes(value)

    async def cameras(self, camera_ids: Sequence[str]) -> list[bytes]:
        """The documents of cameras, in the order asked for; one that never reported is left out."""
        documents: list[bytes] = []
        for first in range(0, len(camera_ids), _KEYS_PER_COMMAND):
            keys: list[Any] = [current_key(camera_id) for camera_id in camera_ids[first : first + _KEYS_PER_COMMAND]]
            values: Any = await self.client.mget(keys)
            documents.extend(value for value in values if value is not None)
        return documents

    async def last_seen(self) -> list[tuple[str, float]]:
        """Each camera_id with the end of its newest window in epoch seconds, ordered by camera_id."""
        pairs: Any = await self.client.zrange(LAST_SEEN_KEY, 0, -1, withscores=True)
        return sorted((camera_id.decode(), float(score)) for camera_id, score in pairs)

    async def put_at(self) -> float | None:
        """When a newer window was put last, in epoch seconds by the server's clock; None before the first."""
        value: Any = await self.client.hget(WINDOW_OFFSETS_KEY, "put_at")
        return None if value is None else float(value)

    async def ping(self) -> None:
        """Return when the server answers."""
        await self.client.ping()
